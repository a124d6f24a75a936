//! Other file systems than the one that happens to be below: full ones, ones where freed blocks are soon used again, and
//! ones with reflinks. Each is mounted in a mount namespace that ends with the test's process.

use super::volumes::{MIB, SNAPSHOT, VOLUME, lock_like_a_vmm};
use super::*;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use storage::store::{Content, Fault, ImportError, StoreError, WhileInUse};

/// Status of a script that could not mount.
const CANNOT_MOUNT: i32 = 77;

/// Runs `script` with this program, what it is to do and a folder.
fn on(unshare: &[&str], script: &str, what: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(unshare)
        .args(["--mount", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .args([what, text(folder.path())])
        .output()
        .expect("unshare is there");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => print!("{said}"),
        Some(CANNOT_MOUNT) => print!("skipped, this host cannot mount it: {} ... ", said.trim()),
        _ => panic!("{said}"),
    }
}

fn on_loop(megabytes: u32, mkfs: &str, what: &str) {
    if !nix::unistd::geteuid().is_root() {
        return print!("skipped, only root can mount a file ... ");
    }
    let script = format!(
        r#"truncate -s {megabytes}M "$2/disk" && {mkfs} "$2/disk" >"$2/said" 2>&1 && mkdir "$2/mount" || {{ cat "$2/said"; exit 77; }}
           mount -o loop "$2/disk" "$2/mount" || exit 77
           "$0" "$1" "$2/mount"; status=$?
           umount "$2/mount"; exit $status"#
    );
    on(&[], &script, what);
}

pub fn full_disk() {
    let script = r#"mount -t tmpfs -o size=24m tmpfs "$2" || exit 77; exec "$0" "$1" "$2""#;
    on(&["--map-root-user"], script, "on-full-disk");
}

pub fn ext4() {
    on_loop(160, "mkfs.ext4 -q", "on-ext4");
}

pub fn xfs() {
    on_loop(512, "mkfs.xfs -q", "on-reflinks");
}

pub fn btrfs() {
    on_loop(512, "mkfs.btrfs -q", "on-reflinks");
}

#[track_caller]
fn assert_full(result: Result<impl std::fmt::Debug, StoreError>) {
    let error = result.unwrap_err();
    assert!(matches!(error, StoreError::Full(_)), "{error:?}");
    assert_eq!(error.fault(), Fault::Exhausted);
    assert!(error.to_string().contains("the disk is full"), "{error}");
}

/// 24 MiB, of which an image takes 9, and a volume of it as many.
pub fn on_full_disk(folder: &Path) {
    let store = Store::open(&folder.join("store"), Limits::default()).unwrap();
    let noise = Random(1).bytes(9 << 20);
    // The source is elsewhere, as it takes space too.
    let sources = tempfile::tempdir().unwrap();
    let file = sources.path().join("noise");
    fs::write(&file, &noise).unwrap();
    let import = |file: &Path| store.import(file, None, &mut |_, _| ());
    let image = import(&file).unwrap();
    let content = Content::Image { sha256: &image.sha256 };
    store.create_volume(VOLUME, 10 * MIB, &content).unwrap();
    let left = store.free_bytes().unwrap();
    assert!((MIB..8 * MIB).contains(&left), "{left}");

    let assert_unchanged = || {
        assert_eq!(names(&folder.join("store/temporary")), [""; 0]);
        assert_eq!(store.free_bytes().unwrap(), left);
        let present = store.present().unwrap();
        assert_eq!((present.volumes.len(), present.snapshots.len(), present.images.len()), (1, 0, 1));
    };
    assert_full(store.create_volume("vol-00000002", 10 * MIB, &content));
    assert_unchanged();
    assert_full(store.snapshot(VOLUME, SNAPSHOT, WhileInUse::AtOnce));
    assert_unchanged();
    let qcow2 = sources.path().join("other.qcow2");
    fs::write(&file, Random(2).bytes(9 << 20)).unwrap();
    import::convert(&file, &qcow2, &["-O", "qcow2"]);
    for file in [&file, &qcow2] {
        let Err(ImportError::Store(error)) = import(file) else { panic!("it fits") };
        assert_full(Err::<(), _>(error));
        assert_unchanged();
    }
    // A journal of 64 MiB that is not written takes no room, the tables of so many groups do.
    let ephemeral = Content::Ephemeral { public_key: Some("a key") };
    if let Err(error) = store.create_volume("vol-00000002", 1 << 40, &ephemeral) {
        assert_full(Err::<(), _>(error));
        assert_unchanged();
    } else {
        store.delete_volume("vol-00000002").unwrap();
    }

    // Holes take nothing, and what was there is as it was.
    store.create_volume("vol-00000002", 1 << 30, &Content::Blank).unwrap();
    assert_eq!(sha256(&folder.join("store/images").join(&image.sha256)), image.sha256);
    let mut volume = fs::read(folder.join("store/volumes").join(VOLUME)).unwrap();
    volume.truncate(noise.len());
    assert!(volume == noise);
    store.delete_volume(VOLUME).unwrap();
    import(&qcow2).unwrap();

    // Not a byte left, not even for a swap area's page; making room is possible, and enough.
    let ballast = folder.join("ballast");
    let mut bytes = fs::File::create(&ballast).unwrap();
    while bytes.write_all(&[1; 4096]).is_ok() {}
    assert_full(store.create_volume(VOLUME, MIB, &Content::Swap));
    store.delete_image(&image.sha256).unwrap();
    store.create_volume(VOLUME, MIB, &Content::Swap).unwrap();
    drop(store);
    while bytes.write_all(&[1; 4096]).is_ok() {}
    // A store can be opened on a full disk.
    let store = Store::open(&folder.join("store"), Limits::default()).unwrap();
    assert_eq!(store.present().unwrap().volumes.len(), 2);
}

/// A pattern that fills the disk is on a volume; whoever gets those blocks next does not see it.
pub fn on_ext4(folder: &Path) {
    const MARK: &[u8; 16] = b"TENANT ONE WAS H";
    let store = Store::open(&folder.join("store"), Limits::default()).unwrap();
    let file = folder.join("sample");
    fs::write(&file, sample(8)).unwrap();
    let image = store.import(&file, None, &mut |_, _| ()).unwrap();
    let size = (store.free_bytes().unwrap() - 8 * MIB).next_multiple_of(MIB);
    for round in 0..2 {
        store.create_volume(VOLUME, size, &Content::Blank).unwrap();
        let volume = store.open_volume(VOLUME, false).unwrap();
        let pattern = MARK.repeat(1 << 16);
        for at in (0..size).step_by(1 << 20) {
            volume.write_all_at(&pattern, at).unwrap();
        }
        volume.sync_all().unwrap();
        drop(volume);
        assert!(store.free_bytes().unwrap() < 9 * MIB);
        store.delete_volume(VOLUME).unwrap();

        let blank = ("vol-00000002", Content::Blank, 60 * MIB);
        let of_image = ("vol-00000003", Content::Image { sha256: &image.sha256 }, 60 * MIB);
        let ephemeral = ("vol-00000004", Content::Ephemeral { public_key: Some("a key") }, 60 * MIB);
        let swap = ("vol-00000005", Content::Swap, 60 * MIB);
        for (id, content, bytes) in [blank, of_image, ephemeral, swap] {
            store.create_volume(id, bytes, &content).unwrap();
            store.grow_volume(id, bytes + 3 * MIB).unwrap();
            let file = store.open_volume(id, false).unwrap();
            // Blocks are given to what is written in part, and only that is written.
            for at in (20 * MIB..bytes).step_by(100_003) {
                file.write_all_at(b"x", at).unwrap();
            }
            file.sync_all().unwrap();
            let path = folder.join("store/volumes").join(id);
            let found =
                Command::new("grep").args(["--quiet", "--text", "TENANT"]).arg(&path).status().unwrap();
            assert_eq!(found.code(), Some(1), "{id} in round {round} has what another tenant wrote");
            let bytes = fs::read(path).unwrap();
            if matches!(content, Content::Blank) {
                assert!(bytes.iter().all(|byte| matches!(byte, 0 | b'x')));
            }
            if matches!(content, Content::Image { .. }) {
                assert!(
                    bytes[..8 << 20] == sample(8)
                        && bytes[8 << 20..].iter().all(|byte| matches!(byte, 0 | b'x'))
                );
            }
        }
        for id in store.present().unwrap().volumes {
            store.delete_volume(&id).unwrap();
        }
    }
}

pub fn on_reflinks(folder: &Path) {
    let store = Store::open(&folder.join("store"), Limits::default()).unwrap();
    assert!(store.reflinks());
    // So large that a second copy would not fit.
    let file = folder.join("noise");
    let noise = Random(1).bytes(120 << 20);
    fs::write(&file, &noise).unwrap();
    let image = store.import(&file, None, &mut |_, _| ()).unwrap();
    fs::remove_file(&file).unwrap();
    nix::unistd::sync();
    let before = store.free_bytes().unwrap();
    let content = Content::Image { sha256: &image.sha256 };
    let started = Instant::now();
    for number in 0..20 {
        store.create_volume(&format!("vol-0000000{number:02}"), (120 + number) * MIB, &content).unwrap();
    }
    print!("20 volumes of 120 MiB in {:.2} s ... ", started.elapsed().as_secs_f32());
    nix::unistd::sync();
    let used = before.saturating_sub(store.free_bytes().unwrap());
    assert!(used < 16 * MIB, "{used}");

    // A volume in use: taken at once, and neither side sees the other's writes.
    let vmm = lock_like_a_vmm(&store, "vol-000000000");
    vmm.write_all_at(b"before", 0).unwrap();
    store.snapshot("vol-000000000", SNAPSHOT, WhileInUse::AtOnce).unwrap();
    vmm.write_all_at(b"after!", 0).unwrap();
    let start = |path: &str| fs::read(folder.join("store").join(path)).unwrap()[..6].to_vec();
    assert_eq!(start("snapshots/snap-1a2b3c4d"), b"before");
    assert_eq!(start("volumes/vol-000000000"), b"after!");
    assert_eq!(start(&format!("images/{}", image.sha256)), noise[..6]);
    assert_eq!(start("volumes/vol-000000001"), noise[..6]);
    let made = store.image_of(SNAPSHOT, &mut |_, _| ()).unwrap();
    assert_eq!(sha256(&folder.join("store/images").join(&made.sha256)), made.sha256);
    store.create_volume(VOLUME, 200 * MIB, &Content::Snapshot { snapshot: SNAPSHOT }).unwrap();
    let bytes = fs::read(folder.join("store/volumes").join(VOLUME)).unwrap();
    assert!(bytes.starts_with(b"before") && bytes[6..noise.len()] == noise[6..]);
    assert!(bytes[noise.len()..].iter().all(|byte| *byte == 0));

    // While a guest writes two numbers in this order, no snapshot has the second without the first.
    let (stop, vmm) = (&AtomicBool::new(false), &vmm);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 1_u64.. {
                vmm.write_all_at(&number.to_le_bytes(), 8 << 20).unwrap();
                vmm.write_all_at(&number.to_le_bytes(), 100 << 20).unwrap();
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        for number in 0..20 {
            let id = format!("snap-0000000{number:02}");
            store.snapshot("vol-000000000", &id, WhileInUse::AtOnce).unwrap();
            let taken = fs::File::open(folder.join("store/snapshots").join(&id)).unwrap();
            let at = |offset| {
                let mut bytes = [0; 8];
                taken.read_exact_at(&mut bytes, offset).unwrap();
                u64::from_le_bytes(bytes)
            };
            let (first, second) = (at(8 << 20), at(100 << 20));
            // Before the writer's first, there is noise in both.
            let is_begun = first < 1 << 40;
            assert!(
                !is_begun || second > 1 << 40 || first == second || first == second + 1,
                "{first} {second}"
            );
        }
        stop.store(true, Ordering::Relaxed);
    });
}
