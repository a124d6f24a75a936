//! What `storage::boot_disk` finds on real file systems, laid out as distributions do. Reads in this process; the helper
//! is the subject of `tests/confined.rs`.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod images;

use images::*;
use storage::boot_disk::DiskFile;

const NEWEST: &str = "6.1.0-10-amd64";

#[track_caller]
fn assert_boots_newest_debian(disk: Vec<u8>) {
    let booted = read(disk).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(booted.entry.version, NEWEST);
    assert_eq!(booted.entry.cmdline, format!("root=UUID={ROOT_UUID} ro quiet"));
    assert_eq!(booted.kernel, kernel(NEWEST));
    assert_eq!(booted.initrd, padded(&[initrd(NEWEST)]));
}

#[track_caller]
fn assert_refused(disk: Vec<u8>, expected: &[&str]) {
    let error = read(disk).expect_err("nothing to boot").to_string();
    for part in expected {
        assert!(error.contains(part), "{error}\nshould say: {part}");
    }
}

#[test]
fn boots_debian_on_a_gpt() {
    let mut vfat = vec![0; 1 << 20];
    vfat[0x52..0x5a].copy_from_slice(b"FAT32   ");
    let root = debian_root().ext4();
    for sector_bytes in [512, 4096] {
        let disk = gpt(
            sector_bytes,
            &[(14, BIOS_BOOT_TYPE, &[0; 4096]), (15, EFI_TYPE, &vfat), (1, LINUX_TYPE, &root)],
        );
        assert_boots_newest_debian(disk.clone());
        let mut damaged = disk;
        damaged[sector_bytes + 20] ^= 1;
        damaged[sector_bytes + 60] ^= 1;
        assert_boots_newest_debian(damaged);
    }
}

#[test]
fn boots_a_separate_boot_partition() {
    let boot = Tree::new()
        .file("grub/grub.cfg", debian_grub_cfg("", BOOT_UUID, &["6.1.0-9-amd64", NEWEST]))
        .debian_kernel("", "6.1.0-9-amd64")
        .debian_kernel("", NEWEST)
        .ext(4096, &["-t", "ext4", "-U", BOOT_UUID]);
    let root = Tree::new().file("etc/fstab", "").ext4();
    assert_boots_newest_debian(gpt(512, &[(1, LINUX_TYPE, &root), (16, LINUX_TYPE, &boot)]));
    assert_boots_newest_debian(mbr(&[&boot, &root]));
}

#[test]
fn boots_from_an_mbr_and_from_a_bare_file_system() {
    let root = debian_root().ext4();
    assert_boots_newest_debian(mbr(&[&[0; 512], &root]));
    assert_boots_newest_debian(root);
}

#[test]
fn reads_every_kind_of_ext() {
    let kinds: &[&[&str]] = &[
        &["-t", "ext2"],
        &["-t", "ext2", "-b", "1024"],
        &["-t", "ext3"],
        &["-t", "ext4", "-b", "1024"],
        &["-t", "ext4", "-b", "4096", "-O", "64bit,metadata_csum"],
        &["-t", "ext4", "-b", "1024", "-O", "64bit,metadata_csum,^has_journal"],
        &["-t", "ext4", "-O", "^64bit,^metadata_csum"],
        &["-t", "ext4", "-O", "bigalloc", "-b", "1024", "-C", "4096"],
        &["-t", "ext4", "-b", "65536"],
        &["-t", "ext2", "-r", "0"],
        &["-t", "ext4", "-O", "^flex_bg,^dir_index,^filetype"],
    ];
    for options in kinds {
        let size_kib = if options.contains(&"65536") { 65536 } else { 8192 };
        println!("{options:?}");
        assert_boots_newest_debian(debian_root().ext(size_kib, options));
    }
}

#[test]
fn finds_files_in_a_large_hashed_directory() {
    let mut tree = debian_root();
    for number in 0..3000 {
        tree = tree.file(&format!("boot/config-with-a-rather-long-name-{number}"), "");
    }
    // Only the kernel's own fsck makes the index; debugfs can search it as well.
    let disk = tree.ext(32768, &["-t", "ext4", "-b", "1024", "-N", "8192"]);
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    std::fs::write(&image, &disk).unwrap();
    let _ = tool("e2fsck").args(["-f", "-y", "-D"]).arg(&image).output().unwrap();
    assert!(debugfs(&image, "htree_dump /boot\n").contains("Root node"), "e2fsck should have made an index");
    assert_boots_newest_debian(std::fs::read(image).unwrap());
}

#[test]
fn boots_fedora_entries() {
    let bls = |version: &str, title: &str| {
        format!(
            "title Fedora Linux ({version}) {title}\nversion {version}\nlinux /vmlinuz-{version}\n\
             initrd /initramfs-{version}.img $tuned_initrd\noptions root=UUID={ROOT_UUID} ro $extra $tuned_params\n"
        )
    };
    let (old, new, rescue) = ("6.5.6-300.fc39.x86_64", "6.11.4-201.fc40.x86_64", "0-rescue-0123");
    let mut boot = Tree::new()
        .file("grub2/grub.cfg", "set extra=\"rootflags=subvol=root\"\ninsmod blscfg\nblscfg\n")
        .file("grub2/grubenv", format!("# GRUB Environment Block\nsaved_entry=abc-{old}\n#####"));
    for (version, title) in [(old, ""), (new, ""), (rescue, "rescue")] {
        boot = boot
            .file(&format!("loader/entries/abc-{version}.conf"), bls(version, title))
            .file(&format!("vmlinuz-{version}"), kernel(version))
            .file(&format!("initramfs-{version}.img"), initrd(version));
    }
    let booted = read(gpt(512, &[(2, LINUX_TYPE, &boot.ext4())])).unwrap();
    assert_eq!(booted.entry.version, new);
    assert_eq!(booted.entry.cmdline, format!("root=UUID={ROOT_UUID} ro rootflags=subvol=root"));
    assert_eq!(booted.kernel, kernel(new));
    assert_eq!(booted.initrd, padded(&[initrd(new)]));
}

#[test]
fn boots_alpine() {
    let menu = "DEFAULT menu.c32\nLABEL lts\n  LINUX vmlinuz-lts\n  INITRD initramfs-lts\n  APPEND root=UUID=1 a\n\
                LABEL virt\n  MENU DEFAULT\n  LINUX vmlinuz-virt\n  INITRD initramfs-virt\n  APPEND root=UUID=1 b\n";
    let mut tree = Tree::new().file("boot/extlinux.conf", menu);
    for flavour in ["lts", "virt"] {
        tree = tree
            .file(&format!("boot/vmlinuz-{flavour}"), kernel(flavour))
            .file(&format!("boot/initramfs-{flavour}"), initrd(flavour));
    }
    let booted = read(mbr(&[&tree.ext4()])).unwrap();
    assert_eq!(booted.entry.cmdline, "root=UUID=1 b");
    assert_eq!(booted.kernel, kernel("virt"));
}

#[test]
fn boots_plain_kernels_with_the_options_of_default_grub() {
    let tree = Tree::new()
        .debian_kernel("boot", "6.1.0-9-amd64")
        .debian_kernel("boot", NEWEST)
        .file("boot/vmlinuz-6.12.0-1-amd64", kernel("is just being installed"))
        .file(
            "etc/default/grub",
            "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"console=ttyS0\"\n",
        )
        .file("etc/default/grub.d/50-cloud.cfg", "GRUB_CMDLINE_LINUX_DEFAULT=\"\"\n");
    let booted = read(gpt(512, &[(1, LINUX_TYPE, &tree.ext4())])).unwrap();
    assert_eq!(booted.kernel, kernel(NEWEST));
    assert_eq!(booted.entry.version, NEWEST);
    assert_eq!(booted.entry.cmdline, format!("root=UUID={ROOT_UUID} ro console=ttyS0"));

    // With /boot apart, the root is the other file system.
    let boot = Tree::new().debian_kernel("", NEWEST).ext(4096, &["-t", "ext4", "-U", BOOT_UUID]);
    let root = Tree::new().file("etc/fstab", "").ext4();
    let booted = read(gpt(512, &[(1, LINUX_TYPE, &boot), (2, LINUX_TYPE, &root)])).unwrap();
    assert_eq!(booted.entry.cmdline, format!("root=UUID={ROOT_UUID} ro"));
}

#[test]
fn a_kernel_without_initrd_gets_a_root_it_can_find() {
    let tree = Tree::new().file("boot/bzImage", kernel("own")).file("etc/passwd", "");
    let booted = read(tree.ext4()).unwrap();
    assert_eq!(booted.entry.cmdline, "root=/dev/vda ro");
    assert!(booted.initrd.is_empty() && booted.entry.initrds.is_empty());
    let booted = read(mbr(&[&tree.ext4()])).unwrap();
    assert_eq!(booted.entry.cmdline, "root=PARTUUID=b077ab1e-01 ro");
}

#[test]
fn follows_symbolic_links() {
    let long_folder = "a-folder-with-a-name-so-long-that-a-link-to-it-does-not-fit-into-an-inode";
    let tree = Tree::new()
        .debian_kernel(long_folder, NEWEST)
        .symlink("vmlinuz", &format!("../{long_folder}/../{long_folder}/./vmlinuz-{NEWEST}"))
        .symlink("boot", &format!("/{long_folder}"))
        .symlink("vmlinuz.old", "boot/vmlinuz-gone");
    let booted = read(tree.ext4()).unwrap();
    assert_eq!(booted.entry.kernel, format!("/{long_folder}/vmlinuz-{NEWEST}"));
    assert_eq!(booted.kernel, kernel(NEWEST));
    assert_eq!(booted.initrd, padded(&[initrd(NEWEST)]));
}

#[test]
fn several_initrds_are_padded() {
    let tree = Tree::new()
        .file("boot/grub/grub.cfg", "menuentry x {\nlinux /k root=x\ninitrd /a /b /c\n}")
        .file("k", kernel(""))
        .file("a", "a")
        .file("b", "bbbb")
        .file("c", "ccccc");
    let booted = read(tree.ext4()).unwrap();
    assert_eq!(booted.initrd, b"a\0\0\0bbbbccccc\0\0\0");
}

#[test]
fn holes_read_as_zeros() {
    let mut content = vec![0; 300_000];
    content[100_000..100_010].fill(7);
    content[299_999] = 9;
    let tree = Tree::new().file("boot/vmlinuz-1", &content).file("boot/initrd.img-1", "x");
    for options in [&["-t", "ext4"][..], &["-t", "ext2", "-b", "1024"]] {
        assert_eq!(read(tree.ext(8192, options)).unwrap().kernel, content);
    }
}

#[test]
fn passes_over_entries_whose_files_are_not_there() {
    let tree = Tree::new()
        .file("boot/grub/grub.cfg", debian_grub_cfg("/boot", ROOT_UUID, &["6.12-gone", NEWEST, "6.9-empty"]))
        .debian_kernel("boot", NEWEST)
        .file("boot/vmlinuz-6.9-empty", "")
        .file("boot/initrd.img-6.9-empty", "");
    assert_boots_newest_debian(tree.ext4());
}

#[test]
fn says_what_is_there_instead() {
    assert_refused(vec![0; 1 << 20], &["the disk is empty"]);
    assert_refused(Vec::new(), &["the disk is empty"]);
    assert_refused(vec![0x5a; 1 << 20], &["no partitions, but unknown"]);
    let magic = |at: usize, magic: &[u8]| {
        let mut disk = vec![0; 1 << 20];
        disk[at..at + magic.len()].copy_from_slice(magic);
        disk
    };
    assert_refused(magic(0, b"QFI\xfb"), &["qcow2", "qemu-img convert -f qcow2 -O raw"]);
    assert_refused(magic(0, b"\xfd7zXZ\0"), &["compressed with xz"]);
    assert_refused(magic(0x1_0040, b"_BHRfS_M"), &["btrfs (not supported: only ext2/3/4 is)"]);
    let xfs = magic(0, b"XFSB");
    let empty = Tree::new().file("etc/fstab", "").ext(1024, &["-t", "ext4", "-b", "1024"]);
    assert_refused(
        gpt(512, &[(1, LINUX_TYPE, &xfs), (2, LINUX_TYPE, &empty), (15, EFI_TYPE, &[0; 512])]),
        &[
            "the disk has a GPT with partitions 1 xfs (not supported: only ext2/3/4 is), ",
            "2 ext2/3/4 (no kernel that can be booted), 15 EFI system",
        ],
    );
    let mut truncated = debian_root().ext4();
    truncated.truncate(5 << 20);
    assert_refused(truncated.clone(), &["8 MiB but there are 5 MiB", "truncated"]);
    let mut disk = gpt(512, &[(1, LINUX_TYPE, &debian_root().ext4())]);
    disk.truncate(4 << 20);
    assert_refused(disk, &["partition 1 ext2/3/4", "truncated"]);
}

#[test]
fn refuses_absurd_sizes_and_loops() {
    let tree = Tree::new()
        .file(
            "boot/grub/grub.cfg",
            "menuentry Big {\nlinux /k\ninitrd /huge\n}\nmenuentry Loop {\nlinux /loop\n}",
        )
        .file("k", kernel(""))
        .sparse_file("huge", 100 << 30)
        .symlink("loop", "loop2/x")
        .symlink("loop2", "loop");
    assert_refused(
        tree.ext4(),
        &["\"Big\": /huge: it measures 107374182400 bytes", "\"Loop\": /loop: too many symbolic links"],
    );
}

#[test]
fn takes_control_characters_out() {
    let tree = Tree::new()
        .file(
            "boot/grub/grub.cfg",
            "menuentry 'a\u{1b}[2Jb' {\nlinux /k x\u{7}y\n}\nmenuentry c {\nlinux /\u{1b}c\n}",
        )
        .file("k", kernel(""));
    let booted = read(tree.ext4()).unwrap();
    assert_eq!(booted.entry.title, "a [2Jb");
    assert_eq!(booted.entry.cmdline, "x y");
}

#[test]
fn reads_an_image_file_without_moving_its_position() {
    use std::io::{Seek, SeekFrom, Write};
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&debian_root().ext4()).unwrap();
    file.seek(SeekFrom::Start(77)).unwrap();
    let disk = DiskFile::new(file.try_clone().unwrap()).unwrap();
    assert_eq!(read(disk).unwrap().kernel, kernel(NEWEST));
    assert_eq!(file.stream_position().unwrap(), 77);
}
