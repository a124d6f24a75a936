//! One bothy-vmm process, driven over its control socket, and what its guest prints.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine};
use tempfile::TempDir;
use vmm_api::{Boot, Client, EventKind, Exit, KernelBoot, Memory, VmConfig, VmState};

use crate::{Images, Network};

/// Longest time for a tiny guest to come up and do something, on a nested host that shares its machine.
pub const BOOT: Duration = Duration::from_secs(120);
/// Longest time for Debian to come up or go down there.
pub const LOGIN: Duration = Duration::from_secs(600);

/// A VM. Dropping it kills the VMM.
pub struct Vm {
    child: Child,
    client: Client,
    runtime: tokio::runtime::Runtime,
    // Console output seen so far.
    seen: Vec<u8>,
    // Keeps socket and log until the end.
    folder: TempDir,
}

impl Vm {
    /// Starts a VMM, in the namespace of `network` if there is one, and configures it.
    pub fn new(images: &Images, network: Option<&Network>, config: &VmConfig) -> Self {
        let folder = images.folder();
        let socket = folder.path().join("control");
        let mut command = match network {
            Some(network) => network.command(&images.vmm),
            None => Command::new(&images.vmm),
        };
        let child =
            command.args(["--id", "test", "--control"]).arg(&socket).spawn().expect("bothy-vmm starts");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connected = runtime.block_on(Client::connect_when_ready(&socket, BOOT));
        let vm =
            Self { child, client: connected.expect("the socket comes"), runtime, seen: Vec::new(), folder };
        vm.ask(async |client| client.configure(config).await).expect("the configuration is good");
        vm
    }

    /// As `new`, and boots it.
    pub fn boot(images: &Images, network: Option<&Network>, config: &VmConfig) -> Self {
        let vm = Self::new(images, network, config);
        vm.ask(async |client| client.boot().await).expect("it boots");
        vm
    }

    /// Talks to the VMM.
    pub fn ask<T>(&self, body: impl AsyncFnOnce(&Client) -> T) -> T {
        self.runtime.block_on(body(&self.client))
    }

    /// The VMM's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that the guest printed, as far as it was looked at.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&self.seen).replace('\r', "")
    }

    /// Reads what the guest printed since the last look.
    pub fn look(&mut self) {
        let offset = self.seen.len() as u64;
        let news = self.runtime.block_on(self.client.console(Some(offset))).expect("the console answers");
        assert_eq!(news.offset, offset, "nothing of the console was lost");
        self.seen.extend(news.bytes);
    }

    /// Waits until the guest has printed `text`, `times` times in all.
    pub fn wait_for(&mut self, text: &str, times: usize, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        loop {
            self.look();
            if self.console().matches(text).count() >= times {
                return;
            }
            let info = self.ask(async |client| client.info().await).expect("the VMM answers");
            assert!(
                info.state != VmState::Exited,
                "ended without {text:?}: {:?}\n{}",
                info.exit,
                self.console()
            );
            if Instant::now() >= deadline {
                let (console, vitals) = (self.console(), self.vitals());
                panic!("no {text:?} within {timeout:?}:\n{console}\n{vitals}");
            }
            let offset = self.seen.len() as u64;
            let more = self.client.wait_console(offset, Duration::from_secs(1));
            self.runtime.block_on(more).expect("the console answers");
        }
    }

    /// What the VMM counts, twice, and what its threads do: whether a guest that is silent still does something, and who waits
    /// for whom if not.
    fn vitals(&self) -> String {
        let counters = || {
            let text = self.ask(async |client| client.metrics().await).expect("the VMM answers");
            let counted = |line: &&str| !line.starts_with('#') && !line.ends_with(" 0");
            text.lines().filter(counted).map(|line| format!("{line}\n")).collect::<String>()
        };
        let before = counters();
        std::thread::sleep(Duration::from_secs(2));
        let (after, mut threads) = (counters(), String::new());
        for task in fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it is there").flatten() {
            // One that ended since has none.
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            let at = fs::read_to_string(task.path().join("wchan")).unwrap_or_default();
            threads += &format!("{} {at}\n", stat.trim_end());
        }
        format!("its counters:\n{before}two seconds later:\n{after}its threads:\n{threads}")
    }

    /// Waits until the machine ended; what it printed is then complete.
    pub fn wait_for_end(&mut self, timeout: Duration) -> Exit {
        let ended =
            self.ask(async |client| client.wait_for(|info| info.state == VmState::Exited, timeout).await);
        self.look();
        match ended {
            Ok(info) => info.exit.expect("an ended machine has a reason"),
            Err(error) => panic!("no end within {timeout:?}: {error}\n{}", self.console()),
        }
    }

    /// What happened so far.
    pub fn events(&self) -> Vec<EventKind> {
        let page = self.ask(async |client| client.events(0, Duration::ZERO).await).expect("the VMM answers");
        page.events.into_iter().map(|event| event.kind).collect()
    }

    /// The line of the console that starts with `prefix`, without it.
    pub fn line(&self, prefix: &str) -> String {
        let console = self.console();
        let line = console.lines().find_map(|line| line.strip_prefix(prefix));
        line.unwrap_or_else(|| panic!("no line {prefix:?}:\n{console}")).trim().to_owned()
    }

    /// The VMM's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A machine that boots the tiny image and runs `command` in it.
pub fn kernel_boot(images: &Images, vcpus: u32, command: &str) -> VmConfig {
    let kernel = KernelBoot {
        kernel: images.kernel.clone(),
        initrd: Some(images.initrd.clone()),
        cmdline: format!("console=ttyS0 panic=-1 bothy.run={}", BASE64_STANDARD.encode(command)),
    };
    VmConfig {
        vcpus,
        threads_per_core: 1,
        memory: Memory { size_mib: 256, shared: false, huge_pages: false },
        boot: Boot::Kernel(kernel),
        disks: vec![],
        nics: vec![],
        console: Default::default(),
        smbios: Default::default(),
    }
}

/// A file of zeroes that takes no room.
pub fn sparse_file(path: PathBuf, bytes: u64) -> PathBuf {
    std::fs::File::create(&path).and_then(|file| file.set_len(bytes)).expect("the scratch disk has room");
    path
}
