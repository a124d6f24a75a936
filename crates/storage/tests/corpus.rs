//! Damaged disks: the fuzzer's corpus once more, and real file systems with random bytes changed. Whatever is on a disk,
//! reading it ends soon, without a panic and without much memory.

#![allow(clippy::unwrap_used)] // A test's helpers may fail like the test itself.

mod images;

use images::*;
use std::fs;
use std::path::PathBuf;

/// Damaged variants of each disk.
const DAMAGED: u64 = 150;

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/boot_disk")
}

#[test]
fn survives_the_corpus() {
    let mut boots = 0;
    for entry in fs::read_dir(corpus()).unwrap() {
        let path = entry.unwrap().path();
        boots += u32::from(survives(fs::read(&path).unwrap(), &path.display().to_string()));
    }
    assert!(boots >= 3, "the seeds should boot: a fuzzer that starts from nothing finds nothing");
}

#[test]
fn survives_random_damage() {
    // The corpus is the same each time; what mke2fs makes has times in it.
    let seeds = fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().path());
    let mut disks: Vec<(String, Vec<u8>)> =
        seeds.map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect();
    let csum = small_tree().ext(256, &["-t", "ext4", "-b", "1024", "-O", "^has_journal,64bit,metadata_csum"]);
    disks.push(("csum".to_owned(), gpt(512, &[(1, LINUX_TYPE, &csum)])));
    disks.push(("large".to_owned(), debian_root().ext4()));
    for (name, disk) in &disks {
        // Where something stands: damage to empty blocks changes nothing.
        let used: Vec<usize> = (0..disk.len()).filter(|at| disk[*at] != 0).collect();
        let mut still_boot = 0;
        for seed in 1..=DAMAGED {
            let mut random = Random(seed);
            let mut damaged = random.damaged(disk, &used);
            if random.below(10) == 0 {
                damaged.truncate(random.below(disk.len()));
            }
            still_boot += u32::from(survives(damaged, &format!("{name} damaged by seed {seed}")));
        }
        println!("{name}: {still_boot} of {DAMAGED} still boot");
    }
}

#[test]
fn survives_truncation_anywhere() {
    let disk = gpt(
        512,
        &[(
            1,
            LINUX_TYPE,
            &small_tree().ext(128, &["-t", "ext4", "-b", "1024", "-N", "24", "-O", "^has_journal"]),
        )],
    );
    for length in (0..disk.len()).step_by(1021 * 7) {
        survives(disk[..length].to_vec(), &format!("{length} bytes"));
    }
}

/// Some of everything, in a few blocks.
fn small_tree() -> Tree {
    Tree::new()
        .file(
            "boot/grub/grub.cfg",
            "menuentry 'A' {\nlinux /vmlinuz root=UUID=1 ro\ninitrd /boot/initrd.img-6.1 /i\n}\n",
        )
        .file("boot/vmlinuz-6.1", "a kernel")
        .file("boot/initrd.img-6.1", "an initrd")
        .file("i", "another")
        .symlink("vmlinuz", "boot/../boot/vmlinuz-6.1")
        .file("etc/default/grub", "GRUB_CMDLINE_LINUX=\"console=ttyS0 $x\"\n")
}

#[test]
#[ignore = "writes the fuzzer's seeds anew; only needed when they should change"]
fn write_the_corpus() {
    const SMALL: &[&str] = &["-N", "24", "-m", "0", "-b", "1024"];
    let seed = |name: &str, bytes: &[u8]| fs::write(corpus().join(name), bytes).unwrap();
    let options = |more: &[&'static str]| [SMALL, more].concat();

    seed(
        "grub-bare-ext4",
        &small_tree().ext(64, &options(&["-t", "ext4", "-O", "^has_journal,^resize_inode"])),
    );
    let fedora = Tree::new()
        .file(
            "loader/entries/a.conf",
            "title F\nversion 6.5\nlinux /k\ninitrd /i $tuned\noptions $kernelopts x\n",
        )
        .file("grub2/grubenv", "# GRUB Environment Block\nkernelopts=root=UUID=1 ro\n####")
        .file("k", "kernel")
        .file("i", "initrd");
    let fedora = fedora.ext(64, &options(&["-t", "ext2", "-I", "128", "-O", "^resize_inode"]));
    // The partition starts earlier than partitioning tools have it, to keep the seed short.
    let mut short_mbr = mbr(&[&fedora]);
    short_mbr.drain(4096..1 << 20);
    short_mbr.truncate(4096 + fedora.len());
    short_mbr[446 + 8..446 + 12].copy_from_slice(&8_u32.to_le_bytes());
    seed("bls-mbr-ext2", &short_mbr);
    let alpine = Tree::new()
        .file("boot/extlinux.conf", "DEFAULT v\nLABEL v\n LINUX vmlinuz\n INITRD i\n APPEND root=UUID=1\n")
        .file("boot/vmlinuz", "kernel")
        .file("boot/i", "initrd");
    seed(
        "extlinux-ext4-1k",
        &alpine.ext(64, &options(&["-t", "ext4", "-O", "^has_journal,^resize_inode,^64bit"])),
    );
}
