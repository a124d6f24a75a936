//! The helper process: that it reads a disk like anybody, and that it can do nothing else. Has its own `main`, because
//! this program is started anew as the helper; some of its helpers misbehave on purpose.
//!
//! Tests run one after the other, so that descriptors and child processes can be counted.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod images;

use images::*;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::time::{Duration, Instant};
use storage::confined::{helper_main_doing, read_boot_files_as};
use storage::{BootFiles, HELPER_ARGUMENT, HelperError, ReadBootDiskError, helper_main, read_boot_files};

const NEWEST: &str = "6.1.0-10-amd64";
/// Longer than anything here takes on a slow machine; the tests that wait for it to pass have their own.
const TIMEOUT: Duration = Duration::from_secs(60);

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    ("hands_over_kernel_and_initrd", hands_over_kernel_and_initrd),
    ("reads_a_disk_that_is_in_use", reads_a_disk_that_is_in_use),
    ("says_what_is_on_the_disk", says_what_is_on_the_disk),
    ("refuses_what_is_no_disk", refuses_what_is_no_disk),
    ("forbidden_calls_kill", forbidden_calls_kill),
    ("is_nobody_and_filtered", is_nobody_and_filtered),
    ("has_no_memory_to_spare", has_no_memory_to_spare),
    ("a_panic_is_reported", a_panic_is_reported),
    ("nonsense_is_refused", nonsense_is_refused),
    ("a_helper_that_hangs_is_killed", a_helper_that_hangs_is_killed),
    ("a_program_without_a_helper_is_noticed", a_program_without_a_helper_is_noticed),
    ("serves_several_threads", serves_several_threads),
    ("leaves_nothing_behind", leaves_nothing_behind),
];

fn main() {
    let argument = std::env::args().nth(1).unwrap_or_default();
    match argument.as_str() {
        HELPER_ARGUMENT => helper_main(),
        name if name.starts_with("misbehave-") => misbehave(name),
        "no-helper" => return,
        _ => {}
    }
    // The little of the usual test runner's command line that people and tools use.
    if std::env::args().any(|argument| argument == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return;
    }
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    for (name, test) in TESTS.iter().filter(|(name, _)| name.contains(&filter)) {
        print!("test {name} ... ");
        let _ = std::io::stdout().flush();
        test();
        println!("ok");
    }
}

/// What a helper would do that a disk has taken over.
fn misbehave(name: &str) -> ! {
    match name {
        "misbehave-open" => helper_main_doing(|_| done(File::open("/etc/passwd").is_ok())),
        "misbehave-socket" => helper_main_doing(|_| done(std::net::UdpSocket::bind("127.0.0.1:0").is_ok())),
        "misbehave-exec" => {
            helper_main_doing(|_| done(std::process::Command::new("/bin/true").spawn().is_ok()))
        }
        "misbehave-thread" => helper_main_doing(|_| done(std::thread::Builder::new().spawn(|| ()).is_ok())),
        "misbehave-kill" => helper_main_doing(|_| {
            // SAFETY: kill takes any numbers; signal 0 to init does nothing.
            done(unsafe { libc::kill(1, 0) } == 0)
        }),
        "misbehave-code" => helper_main_doing(|_| {
            // SAFETY: an anonymous mapping at an address of the kernel's choice touches no other memory.
            let memory = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    4096,
                    libc::PROT_READ | libc::PROT_EXEC,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                    -1,
                    0,
                )
            };
            done(memory != libc::MAP_FAILED)
        }),
        "misbehave-write-disk" => helper_main_doing(|_| done(write_to_every_descriptor())),
        // Three for standard input and so on, the socket, disk, kernel and initrd.
        "misbehave-count" => {
            helper_main_doing(|_| done((0..1000).filter(|number| is_open(*number)).count() == 7))
        }
        "misbehave-memory" => helper_main_doing(|_| done(vec![1_u8; 2 << 30].len() == 7)),
        "misbehave-file-size" => helper_main_doing(|mut task| {
            let chunk = vec![0; 1 << 20];
            done((0..2000).all(|_| task.kernel.write_all(&chunk).is_ok()))
        }),
        "misbehave-panic" => helper_main_doing(|_| panic!("a \u{1b}[31mred panic")),
        "misbehave-flood" => helper_main_doing(|_| {
            // The answer's socket is one of these; whoever listens there shall not drown.
            loop {
                write_to_the_socket(&[b'['; 65536]);
            }
        }),
        "misbehave-lie" => helper_main_doing(|_| {
            write_to_the_socket(
                br#"{"done":{"title":"","version":"","kernel":"/k","initrds":[],"cmdline":""}}"#,
            );
            // Not what `helper_main_doing` would add: it ends here.
            exit()
        }),
        "misbehave-babble" => helper_main_doing(|_| {
            write_to_the_socket(b"}{");
            exit()
        }),
        "misbehave-hang" => helper_main_doing(|_| {
            loop {
                std::hint::spin_loop();
            }
        }),
        "misbehave-close" => helper_main_doing(|_| {
            for number in 0..16 {
                // SAFETY: this process does nothing afterwards that needs a descriptor.
                unsafe { libc::close(number) };
            }
            loop {
                std::hint::spin_loop();
            }
        }),
        _ => panic!("no such helper: {name}"),
    }
}

fn done(worked: bool) -> Result<storage::BootEntry, String> {
    Err(if worked { "it worked" } else { "it failed" }.to_owned())
}

fn exit() -> ! {
    // SAFETY: _exit takes any status.
    unsafe { libc::_exit(0) }
}

fn is_open(number: i32) -> bool {
    // SAFETY: asks for the flags of a descriptor, which may not exist.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

/// The disk is the first descriptor after the socket.
fn write_to_every_descriptor() -> bool {
    // SAFETY: write with a valid buffer; writing to descriptors that do not exist fails.
    (4..16).any(|number| unsafe { libc::write(number, b"x".as_ptr().cast(), 1) } == 1)
}

fn write_to_the_socket(bytes: &[u8]) {
    // The socket was duplicated before anything else was received.
    const SOCKET: i32 = 3;
    // SAFETY: write with a valid buffer.
    unsafe { libc::write(SOCKET, bytes.as_ptr().cast(), bytes.len()) };
}

fn disk(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn fails_as(argument: &str) -> ReadBootDiskError {
    read_boot_files_as(argument, &disk(&[0; 4096]), TIMEOUT).expect_err(argument)
}

fn content(file: &mut File) -> Vec<u8> {
    let mut content = Vec::new();
    file.read_to_end(&mut content).unwrap();
    content
}

#[track_caller]
fn assert_is_newest_debian(files: BootFiles) {
    let BootFiles { entry, mut kernel, initrd } = files;
    assert_eq!(entry.version, NEWEST);
    assert_eq!(entry.cmdline, format!("root=UUID={ROOT_UUID} ro quiet"));
    assert_eq!(content(&mut kernel), images::kernel(NEWEST));
    assert_eq!(content(&mut initrd.unwrap()), padded(&[images::initrd(NEWEST)]));
}

fn hands_over_kernel_and_initrd() {
    let disk = disk(&gpt(512, &[(1, LINUX_TYPE, &debian_root().ext4())]));
    let mut files = read_boot_files(&disk, TIMEOUT).unwrap();
    let seals = fcntl(&files.kernel, FcntlArg::F_GET_SEALS).map(SealFlag::from_bits_retain).unwrap();
    assert!(seals.contains(SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW));
    assert!(files.kernel.write_all(b"x").is_err() && files.initrd.as_mut().unwrap().set_len(0).is_err());
    assert_is_newest_debian(files);

    let tree = Tree::new().file("boot/vmlinuz-1", "kernel").file("etc/fstab", "");
    let files = read_boot_files(&self::disk(&tree.ext4()), TIMEOUT).unwrap();
    assert!(files.initrd.is_none());
}

/// As the VMM has it: open for writing, past the page cache where the file system can, locked, at some position.
fn reads_a_disk_that_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    fs::write(&path, debian_root().ext4()).unwrap();
    let mut open = OpenOptions::new();
    open.read(true).write(true);
    let direct = open.custom_flags(OFlag::O_DIRECT.bits()).open(&path);
    let mut disk = direct.unwrap_or_else(|_| open.custom_flags(0).open(&path).unwrap());
    // SAFETY: all zeros are a valid flock: the whole file from its start.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as _;
    fcntl(&disk, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
    disk.seek(SeekFrom::Start(77)).unwrap();
    assert_is_newest_debian(read_boot_files(&disk, TIMEOUT).unwrap());
    assert_eq!(disk.stream_position().unwrap(), 77);
    // Neither the right to open it is needed, which only root has now, nor its name.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    assert_is_newest_debian(read_boot_files(&disk, TIMEOUT).unwrap());
    assert_eq!(disk.stream_position().unwrap(), 77);
    fs::remove_file(&path).unwrap();
    assert_is_newest_debian(read_boot_files(&disk, TIMEOUT).unwrap());
}

fn says_what_is_on_the_disk() {
    let cases: [(&[u8], &str); 2] =
        [(&[0; 4096], "the disk is empty"), (b"QFI\xfb", "qemu-img convert -f qcow2 -O raw")];
    for (bytes, expected) in cases {
        let error = read_boot_files(&disk(bytes), TIMEOUT).unwrap_err();
        assert!(
            matches!(&error, ReadBootDiskError::NothingToBoot(text) if text.contains(expected)),
            "{error}"
        );
    }
}

fn refuses_what_is_no_disk() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let pipe = OpenOptions::new().read(true).write(true).open(pipe).unwrap();
    for file in [pipe, File::open("/dev/zero").unwrap(), File::open("/").unwrap()] {
        let error = read_boot_files(&file, TIMEOUT).unwrap_err().to_string();
        assert!(error.contains("neither a regular file nor a block device"), "{error}");
    }
}

fn forbidden_calls_kill() {
    for what in ["open", "socket", "exec", "thread", "kill", "code", "write-disk"] {
        let error = fails_as(&format!("misbehave-{what}"));
        assert!(matches!(error, ReadBootDiskError::Helper(HelperError::Forbidden)), "{what}: {error}");
    }
}

/// Looks at a helper from outside, in /proc, while it hangs.
fn is_nobody_and_filtered() {
    let disk = disk(&[0; 4096]);
    std::thread::scope(|scope| {
        let helper = scope.spawn(|| read_boot_files_as("misbehave-hang", &disk, TIMEOUT));
        let (pid, status) = loop {
            assert!(!helper.is_finished(), "no child of this process was ever confined");
            let confined = fs::read_dir("/proc").unwrap().find_map(|entry| {
                let entry = entry.unwrap();
                let status = fs::read_to_string(entry.path().join("status")).ok()?;
                let is_child = status.contains(&format!("\nPPid:\t{}\n", std::process::id()));
                let is_filtered = status.contains("\nSeccomp:\t2\n");
                (is_child && is_filtered)
                    .then(|| (entry.file_name().to_str().unwrap().parse().unwrap(), status))
            });
            match confined {
                Some(confined) => break confined,
                None => std::thread::yield_now(),
            }
        };
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        let error = helper.join().unwrap().unwrap_err();
        assert!(
            matches!(&error, ReadBootDiskError::Helper(HelperError::Killed(signal)) if signal == "SIGKILL"),
            "{error}"
        );
        assert!(status.contains("\nNoNewPrivs:\t1\n"), "{status}");
        assert!(status.contains("\nCapEff:\t0000000000000000\n"), "{status}");
        assert!(status.contains("\nThreads:\t1\n"), "{status}");
        if nix::unistd::geteuid().is_root() {
            assert!(status.contains("\nUid:\t65534\t65534\t65534\t65534\n"), "{status}");
            assert!(status.contains("\nGid:\t65534\t65534\t65534\t65534\n"), "{status}");
            assert!(status.contains("\nGroups:\t \n"), "{status}");
        }
    });
}

fn has_no_memory_to_spare() {
    let error = fails_as("misbehave-memory");
    assert!(
        matches!(&error, ReadBootDiskError::Helper(HelperError::Killed(signal)) if signal == "SIGABRT"),
        "{error}"
    );
    let error = fails_as("misbehave-file-size");
    assert!(
        matches!(&error, ReadBootDiskError::Helper(HelperError::Killed(signal)) if signal == "SIGXFSZ"),
        "{error}"
    );
}

fn a_panic_is_reported() {
    let error = fails_as("misbehave-panic");
    let ReadBootDiskError::Helper(HelperError::Crashed(text)) = &error else { panic!("{error}") };
    assert!(text.contains("red panic") && text.contains("confined.rs") && !text.contains('\u{1b}'), "{text}");
}

fn nonsense_is_refused() {
    for what in ["flood", "babble", "lie"] {
        let error = fails_as(&format!("misbehave-{what}"));
        assert!(matches!(error, ReadBootDiskError::Helper(HelperError::Nonsense(_))), "{what}: {error}");
    }
}

fn a_helper_that_hangs_is_killed() {
    let started = Instant::now();
    let timeout = Duration::from_millis(300);
    let error = read_boot_files_as("misbehave-hang", &disk(&[0; 4096]), timeout).unwrap_err();
    assert!(matches!(error, ReadBootDiskError::Helper(HelperError::TimedOut(_))), "{error}");
    assert!(started.elapsed() >= timeout);
    // One that hides by closing its side does not win time.
    let error = fails_as("misbehave-close");
    assert!(
        matches!(&error, ReadBootDiskError::Helper(HelperError::Killed(signal)) if signal == "SIGKILL"),
        "{error}"
    );
    assert!(started.elapsed() < TIMEOUT);
}

fn a_program_without_a_helper_is_noticed() {
    let error = fails_as("no-helper").to_string();
    assert!(error.contains("storage::helper_main"), "{error}");
}

fn serves_several_threads() {
    let image = debian_root().ext4();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_is_newest_debian(read_boot_files(&disk(&image), TIMEOUT).unwrap()));
        }
    });
}

fn leaves_nothing_behind() {
    // A descriptor such as libraries leave open: the helper must not have it.
    let inherited = File::open("/dev/null").unwrap();
    fcntl(&inherited, FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let error = fails_as("misbehave-count");
    assert!(matches!(&error, ReadBootDiskError::NothingToBoot(text) if text == "it worked"), "{error}");
    let descriptors = || {
        let mut names: Vec<_> =
            fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let disk = disk(&debian_root().ext4());
    assert!(disk.as_raw_fd() > 2);
    let before = descriptors();
    for argument in [HELPER_ARGUMENT, "misbehave-open", "misbehave-flood", "misbehave-panic", "no-helper"] {
        drop(read_boot_files_as(argument, &disk, TIMEOUT));
        drop(read_boot_files_as(argument, &disk, Duration::ZERO));
    }
    assert_eq!(descriptors(), before);
    let child = nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG));
    assert_eq!(child, Err(nix::errno::Errno::ECHILD), "a helper is left over");
}
