//! Ephemeral disks and swap areas, as the programs of other people read them.

use super::volumes::MIB;
use super::*;
use std::time::Instant;
use storage::store::{Content, Fault, StoreError};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 my key";

pub fn ephemeral() {
    let place = Place::new();
    let mut id = 0;
    for (bytes, keys) in [(16 * MIB, 2), (149_999_616, 2), (160 << 30, 1)] {
        for public_key in [Some(KEY), None].into_iter().take(keys) {
            id += 1;
            let volume = format!("vol-{id:08x}");
            let started = Instant::now();
            place.store.create_volume(&volume, bytes, &Content::Ephemeral { public_key }).unwrap();
            let elapsed = started.elapsed();
            let path = place.path("store/volumes").join(&volume);
            let path = text(&path);
            assert_eq!(place.store.volume_bytes(&volume).unwrap(), bytes);
            run("e2fsck", &["-f", "-n", path]);
            let header = run("dumpe2fs", &["-h", path]);
            assert!(header.contains("has_journal") && !header.contains("extent"), "{header}");
            assert!(header.contains("Filesystem state:         clean"), "{header}");
            let said = run("file", &[path]);
            assert!(said.contains("ext3 filesystem data"), "{said}");
            let listed = run("debugfs", &["-R", "ls -p /", path]);
            assert_eq!(listed.contains("/openssh_id.pub/"), public_key.is_some(), "{listed}");
            // Inode, mode, owner and group of the root itself.
            assert!(listed.contains("/2/040755/0/0/./"), "{listed}");
            if public_key.is_some() {
                let read = run("debugfs", &["-R", "cat /openssh_id.pub", path]);
                assert!(read.lines().any(|line| line == KEY), "{read}");
                assert!(run("debugfs", &["-R", "stat /openssh_id.pub", path]).contains("Mode:  0644"));
            }
            let allocated = place.store.allocated_bytes(&volume).unwrap();
            assert!(allocated < bytes / 2 && allocated < 1 << 30, "{allocated} of {bytes}");
            print!("{} MiB: {} KiB in {:.1} s ... ", bytes / MIB, allocated >> 10, elapsed.as_secs_f32());
            place.store.create_volume(&volume, bytes, &Content::Ephemeral { public_key }).unwrap();
        }
    }
    let error = place.store.create_volume("vol-000000ff", 8 * MIB, &Content::Ephemeral { public_key: None });
    assert!(matches!(error, Err(StoreError::Size { .. })), "{error:?}");
    place.assert_nothing_unfinished();
}

pub fn swap() {
    let place = Place::new();
    let mut uuids = std::collections::BTreeSet::new();
    for (id, bytes) in [("vol-00000001", 40960), ("vol-00000002", 900 * MIB), ("vol-00000003", 32 << 40)] {
        // Where a file may be so large.
        if let Err(error) = place.store.create_volume(id, bytes, &Content::Swap) {
            assert!(bytes > 16 << 40 && error.to_string().contains("cannot make volume"), "{error}");
            assert_eq!(error.fault(), Fault::Refused, "{error:?}");
            continue;
        }
        let path = place.path("store/volumes").join(id);
        let said = run("file", &[text(&path)]);
        let pages = bytes / 4096 - 1;
        assert!(said.contains("Linux swap file, 4k page size"), "{said}");
        assert!(said.contains(&format!("version 1, size {} pages, 0 bad pages", pages)), "{said}");
        let label = run("swaplabel", &[text(&path)]);
        assert!(uuids.insert(label.clone()) && label.contains("UUID:"), "{label}");
        assert_eq!(place.store.allocated_bytes(id).unwrap(), 4096);
    }
    let error = place.store.create_volume("vol-00000004", 36864, &Content::Swap);
    assert!(matches!(error, Err(StoreError::Size { .. })), "{error:?}");
    place.assert_nothing_unfinished();
}
