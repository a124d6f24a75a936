//! Volumes and snapshots: made twice, made larger, in use, removed; and names that are none.

use super::*;
use nix::fcntl::{FcntlArg, fcntl};
use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, PermissionsExt};
use storage::store::{Content, Fault, OpenStoreError, Present, StoreError, WhileInUse};

pub const MIB: u64 = 1 << 20;
pub const VOLUME: &str = "vol-1a2b3c4d";
pub const SNAPSHOT: &str = "snap-1a2b3c4d";

pub fn come_and_go() {
    let place = Place::new();
    let store = &place.store;
    for _ in 0..2 {
        store.create_volume(VOLUME, 3 * MIB, &Content::Blank).unwrap();
    }
    let path = place.path("store/volumes").join(VOLUME);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(store.volume_bytes(VOLUME).unwrap(), 3 * MIB);
    assert_eq!(store.allocated_bytes(VOLUME).unwrap(), 0);
    let file = store.open_volume(VOLUME, false).unwrap();
    file.write_all_at(&[7; 8192], 0).unwrap();
    file.sync_all().unwrap();
    assert_eq!(store.allocated_bytes(VOLUME).unwrap(), 8192);
    assert!(store.open_volume(VOLUME, true).unwrap().write_all_at(b"x", 0).is_err());
    // What is on it stays when it is made once more.
    store.create_volume(VOLUME, 3 * MIB, &Content::Blank).unwrap();
    assert_eq!(place.volume(VOLUME)[..8192], [7; 8192]);
    let error = store.create_volume(VOLUME, 4 * MIB, &Content::Blank).unwrap_err();
    assert!(matches!(error, StoreError::OtherSize { .. }), "{error}");
    assert_eq!(error.fault(), Fault::Refused);

    for _ in 0..2 {
        store.grow_volume(VOLUME, 5 * MIB).unwrap();
    }
    let bytes = place.volume(VOLUME);
    assert_eq!(bytes.len() as u64, 5 * MIB);
    assert!(bytes[8192..].iter().all(|byte| *byte == 0));
    let error = store.grow_volume(VOLUME, 4 * MIB).unwrap_err();
    assert!(matches!(error, StoreError::Smaller { .. }), "{error}");
    for (bytes, why) in [(0, "none"), (1000, "multiple of 512"), (1 << 63, "so large")] {
        for result in
            [store.create_volume("vol-00000009", bytes, &Content::Blank), store.grow_volume(VOLUME, bytes)]
        {
            let error = result.unwrap_err();
            assert!(matches!(error, StoreError::Size { .. }) && error.to_string().contains(why), "{error}");
        }
    }
    // More than any file system holds.
    let error = store.create_volume("vol-00000009", (1 << 63) - 512, &Content::Blank).unwrap_err();
    assert!(error.to_string().contains("cannot make volume vol-00000009 of"), "{error}");

    store.snapshot(VOLUME, SNAPSHOT, WhileInUse::AtOnce).unwrap();
    assert_eq!(store.snapshot_bytes(SNAPSHOT).unwrap(), 5 * MIB);
    file.write_all_at(&[8; 8192], 0).unwrap();
    // It is what it was, whatever it is asked.
    store.snapshot(VOLUME, SNAPSHOT, WhileInUse::AtOnce).unwrap();
    assert_eq!(fs::read(place.path("store/snapshots").join(SNAPSHOT)).unwrap()[..8192], [7; 8192]);
    assert_eq!(
        store.present().unwrap(),
        Present { volumes: vec![VOLUME.into()], snapshots: vec![SNAPSHOT.into()], ..Present::default() }
    );
    assert!(store.free_bytes().unwrap() > 0);

    for _ in 0..2 {
        store.delete_volume(VOLUME).unwrap();
    }
    for _ in 0..2 {
        store.delete_snapshot(SNAPSHOT).unwrap();
    }
    for error in [
        store.open_volume(VOLUME, true).map(drop),
        store.grow_volume(VOLUME, MIB),
        store.allocated_bytes(VOLUME).map(drop),
        store.volume_bytes(VOLUME).map(drop),
        store.snapshot(VOLUME, SNAPSHOT, WhileInUse::Quiet),
    ] {
        assert!(matches!(error, Err(StoreError::NotFound { .. })), "{error:?}");
    }
    place.assert_empty();
}

pub fn content() {
    let place = Place::new();
    let store = &place.store;
    let bytes = sample(8);
    fs::write(place.path("sample"), &bytes).unwrap();
    let image = import::import(&place, &place.path("sample")).unwrap();
    let of_image = Content::Image { sha256: &image.sha256 };
    store.create_volume(VOLUME, 8 * MIB, &of_image).unwrap();
    assert!(place.volume(VOLUME) == bytes);
    assert!(store.allocated_bytes(VOLUME).unwrap() < 3 * MIB, "holes are copied as holes");
    store.create_volume("vol-00000002", 11 * MIB, &of_image).unwrap();
    let larger = place.volume("vol-00000002");
    assert!(larger.len() as u64 == 11 * MIB && larger[..bytes.len()] == bytes);
    assert!(larger[bytes.len()..].iter().all(|byte| *byte == 0));
    let error = store.create_volume("vol-00000003", 8 * MIB - 512, &of_image).unwrap_err();
    assert!(matches!(error, StoreError::Smaller { .. }), "{error}");

    store.snapshot("vol-00000002", SNAPSHOT, WhileInUse::AtOnce).unwrap();
    let of_snapshot = Content::Snapshot { snapshot: SNAPSHOT };
    store.create_volume("vol-00000003", 12 * MIB, &of_snapshot).unwrap();
    let of = place.volume("vol-00000003");
    assert!(of[..larger.len()] == larger && of[larger.len()..].iter().all(|byte| *byte == 0));
    let error = store.create_volume("vol-00000004", 10 * MIB, &of_snapshot).unwrap_err();
    assert!(matches!(error, StoreError::Smaller { .. }), "{error}");

    // What a volume is made of may go; the image's own bytes were never touched.
    store.open_volume(VOLUME, false).unwrap().write_all_at(&[0xff; 100_000], 0).unwrap();
    assert_eq!(sha256(&place.image(&image.sha256)), image.sha256);
    store.delete_image(&image.sha256).unwrap();
    store.delete_snapshot(SNAPSHOT).unwrap();
    for content in [of_image, of_snapshot] {
        let error = store.create_volume("vol-00000004", 64 * MIB, &content).unwrap_err();
        assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
    }
    assert!(place.volume("vol-00000003") == of);
    assert_eq!(store.present().unwrap().volumes.len(), 3);
    place.assert_nothing_unfinished();
}

/// Locks it as a VMM does.
pub fn lock_like_a_vmm(store: &Store, volume: &str) -> fs::File {
    let file = store.open_volume(volume, false).unwrap();
    // SAFETY: all zeros are a valid flock: the whole file from its start.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as _;
    fcntl(&file, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
    file
}

pub fn in_use() {
    let place = Place::new();
    let store = &place.store;
    store.create_volume(VOLUME, MIB, &Content::Blank).unwrap();
    let vmm = lock_like_a_vmm(store, VOLUME);
    vmm.write_all_at(b"written", 0).unwrap();
    let error = store.delete_volume(VOLUME).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    store.grow_volume(VOLUME, 2 * MIB).unwrap();
    assert_eq!(vmm.metadata().unwrap().len(), 2 * MIB);
    let at_once = store.snapshot(VOLUME, SNAPSHOT, WhileInUse::AtOnce);
    if store.reflinks() {
        at_once.unwrap();
    } else {
        assert!(matches!(at_once, Err(StoreError::InUse { .. })), "{at_once:?}");
        assert!(store.present().unwrap().snapshots.is_empty());
        store.snapshot(VOLUME, SNAPSHOT, WhileInUse::Quiet).unwrap();
    }
    let taken = fs::read(place.path("store/snapshots").join(SNAPSHOT)).unwrap();
    assert!(taken.len() as u64 == 2 * MIB && taken.starts_with(b"written\0"));
    drop(vmm);
    store.delete_volume(VOLUME).unwrap();
    store.delete_snapshot(SNAPSHOT).unwrap();
    place.assert_empty();
}

/// The same asked by several threads at once: all succeed, and there is one.
pub fn many_at_once() {
    let place = Place::new();
    let (store, file) = (&place.store, place.path("sample"));
    fs::write(&file, sample(8)).unwrap();
    let hashes: Vec<String> = std::thread::scope(|scope| {
        let import = || store.import(&file, None, &mut |_, _| ()).unwrap().sha256;
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(import)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(hashes.iter().all(|hash| *hash == hashes[0]));
    let content = Content::Image { sha256: &hashes[0] };
    std::thread::scope(|scope| {
        for number in 0..8_u64 {
            let content = &content;
            scope.spawn(move || store.create_volume(VOLUME, 9 * MIB, content).unwrap());
            scope.spawn(move || {
                let id = format!("vol-0000000{number}");
                store.create_volume(&id, (8 + number) * MIB, content).unwrap();
                // In any order, none makes it smaller.
                let _ = store.grow_volume("vol-00000000", (20 + number) * MIB);
            });
        }
    });
    let present = store.present().unwrap();
    assert_eq!((present.volumes.len(), present.images.len()), (9, 1));
    place.assert_nothing_unfinished();
}

pub fn names() {
    let place = Place::new();
    let store = &place.store;
    fs::write(place.path("store/volumes/lost+found"), "").unwrap();
    fs::write(place.path("store/vol-12345678"), "").unwrap();
    for id in [
        "",
        "vol-",
        "vol-1234567",
        "vol-1234567G",
        "vol-ABCDEF01",
        "../vol-12345678",
        "vol-12345678/",
        "snap-12345678",
        "vol-12345678\0",
        "vol-../../12345678",
        "vol-123456789012345678901234567890123",
    ] {
        let all = [
            store.create_volume(id, MIB, &Content::Blank),
            store.grow_volume(id, MIB),
            store.delete_volume(id),
            store.open_volume(id, true).map(drop),
            store.volume_bytes(id).map(drop),
            store.allocated_bytes(id).map(drop),
            store.snapshot(id, SNAPSHOT, WhileInUse::Quiet),
        ];
        for result in all {
            assert!(matches!(result, Err(StoreError::Name { .. })), "{id:?}: {result:?}");
        }
    }
    for id in ["", "snap-", "../snap-12345678", VOLUME] {
        for result in [
            store.delete_snapshot(id),
            store.snapshot(VOLUME, id, WhileInUse::Quiet),
            store.image_of(id, &mut |_, _| ()).map(drop),
            store.create_volume(VOLUME, MIB, &Content::Snapshot { snapshot: id }),
        ] {
            assert!(matches!(result, Err(StoreError::Name { .. })), "{id:?}: {result:?}");
        }
    }
    for hash in ["", "..", "../../store/vol-12345678", &"A".repeat(64)] {
        for result in [
            store.delete_image(hash),
            store.image_bytes(hash).map(drop),
            store.create_volume(VOLUME, MIB, &Content::Image { sha256: hash }),
        ] {
            assert!(matches!(result, Err(StoreError::Name { .. })), "{hash:?}: {result:?}");
        }
    }
    place.assert_empty();
    assert!(place.path("store/vol-12345678").exists() && place.path("store/volumes/lost+found").exists());
}

pub fn one_owner() {
    let place = Place::new();
    let folder = place.path("store");
    let temporary = folder.join("temporary/import.0");
    fs::write(&temporary, "half").unwrap();
    let error = Store::open(&folder, Limits::default()).unwrap_err();
    assert!(matches!(error, OpenStoreError::InUse(_)), "{error}");
    assert!(temporary.exists(), "it is not the other's to remove");
    let Place { folder: kept, store } = place;
    drop(store);
    fs::create_dir(folder.join("temporary/vol-1.1")).unwrap();
    fs::write(folder.join("temporary/vol-1.1/openssh_id.pub"), "half").unwrap();
    let store = Store::open(&folder, Limits::default()).unwrap();
    assert_eq!(super::names(&folder.join("temporary")), [""; 0]);
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    drop(store);

    // A folder that cannot be one.
    let file = kept.path().join("file");
    OpenOptions::new().write(true).create(true).truncate(true).open(&file).unwrap();
    let error = Store::open(&file, Limits::default()).unwrap_err();
    assert!(error.to_string().contains("cannot make the store's folder"), "{error}");
}
