//! Images that are not whole and sound, or not taken: refused with the reason in words, and nothing is left.

use super::import::{convert, import};
use super::*;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use storage::store::{Fault, ImportError};

#[track_caller]
fn assert_refused(place: &Place, file: &Path, why: &str) {
    let error = import(place, file).unwrap_err();
    assert_eq!(error.fault(), Fault::Refused, "{error:?}");
    assert!(error.to_string().contains(why), "{why}: {error}");
    place.assert_empty();
}

fn patch(file: &Path, at: u64, bytes: &[u8]) {
    OpenOptions::new().write(true).open(file).unwrap().write_all_at(bytes, at).unwrap();
}

fn u64_at(file: &Path, at: u64) -> u64 {
    let mut bytes = [0; 8];
    fs::File::open(file).unwrap().read_exact_at(&mut bytes, at).unwrap();
    u64::from_be_bytes(bytes)
}

/// Sets a VHD footer's or header's checksum anew.
fn seal(file: &Path, at: u64, length: usize, checksum_at: usize) {
    let mut bytes = vec![0; length];
    fs::File::open(file).unwrap().read_exact_at(&mut bytes, at).unwrap();
    bytes[checksum_at..][..4].fill(0);
    let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
    patch(file, at + checksum_at as u64, &(!sum).to_be_bytes());
}

pub fn not_whole() {
    let place = Place::new();
    let (raw, file) = (place.path("sample"), place.path("image"));
    fs::write(&raw, sample(8)).unwrap();
    let qcow2 = |options: &[&str]| convert(&raw, &file, &[&["-O", "qcow2"], options].concat());
    let refused = |why: &str| assert_refused(&place, &file, why);

    let secret = ["--object", "secret,id=key,data=geheim"];
    let luks = [&secret[..], &["-o", "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10"]];
    qcow2(&luks.concat());
    refused("is encrypted");
    qcow2(&["-o", "compression_type=zstd", "-c"]);
    refused("compressed with zstd");
    qcow2(&["-o", "extended_l2=on,cluster_size=64k"]);
    refused("extended L2");
    let data = place.path("data");
    qcow2(&["-o", &format!("data_file={}", text(&data))]);
    refused("keeps its data in another file");
    fs::remove_file(&file).unwrap();
    run("qemu-img", &["create", "-q", "-f", "qcow2", "-F", "raw", "-b", text(&raw), text(&file)]);
    refused("backing file");

    let header: &[(u64, &[u8], &str)] = &[
        (79, &[1], "was not closed"),
        (79, &[2], "marked as corrupt"),
        (72, &[0x80], "features that are not known"),
        (4, &[0, 0, 0, 1], "of a version"),
        (4, &[0, 0, 0, 4], "of a version"),
        (20, &[0, 0, 0, 8], "impossible size"),
        (20, &[0, 0, 0, 22], "impossible size"),
        (20, &[0xff; 4], "impossible size"),
        (24, &[0, 0, 0, 1], "L1 table is too small"),
        (24, &[0x7f; 8], "L1 table is too small"),
        (24, &[0; 8], "empty"),
        (36, &[0xff; 4], "L1 table is larger"),
        (36, &[0; 4], "L1 table is too small"),
        (40, &[0x7f; 8], "L1 table lies beyond"),
        (40, &[0; 8], "L1 table lies beyond"),
        (100, &[0xff; 4], "header too big"),
        (100, &[0; 4], "header too short"),
    ];
    for (at, bytes, why) in header {
        qcow2(&[]);
        patch(&file, *at, bytes);
        refused(why);
    }
    // An L1 and an L2 entry that lead beyond the end, or are not aligned.
    qcow2(&[]);
    let l1 = u64_at(&file, 40);
    let l2 = u64_at(&file, l1) & 0x00ff_ffff_ffff_fe00;
    for (at, entry, why) in [
        (l1, 1_u64 << 40, "cut off"),
        (l1, l2 | 512, "damaged"),
        (l2, 1 << 40, "cut off"),
        (l2, 1 << 63 | 1 << 40, "cut off"),
        (l2, 512, "damaged"),
    ] {
        qcow2(&[]);
        patch(&file, at, &entry.to_be_bytes());
        refused(why);
    }
    // All of the disk is one cluster: a small file that would become much data.
    qcow2(&["-o", "cluster_size=4k"]);
    let l1_entries = 4;
    let cluster = u64_at(&file, u64_at(&file, u64_at(&file, 40)) & 0x00ff_ffff_ffff_fe00);
    for index in 0..l1_entries {
        let l2 = u64_at(&file, u64_at(&file, 40) + 8 * index) & 0x00ff_ffff_ffff_fe00;
        patch(&file, l2, &cluster.to_be_bytes().repeat(512));
    }
    refused("several places");
    // What does not unpack.
    qcow2(&["-c"]);
    let l2 = u64_at(&file, u64_at(&file, 40)) & 0x00ff_ffff_ffff_fe00;
    let cluster = u64_at(&file, l2 + 8 * (3 << 20 >> 16)) & ((1 << 54) - 1);
    patch(&file, cluster, &[0xff; 200]);
    refused("damaged");

    let vhd = |subformat: &str| {
        let _ = fs::remove_file(&file);
        convert(&raw, &file, &["-O", "vpc", "-o", &format!("subformat={subformat},force_size=on")]);
        fs::metadata(&file).unwrap().len() - 512
    };
    let end = vhd("fixed");
    patch(&file, end + 64, &[0; 4]);
    refused("does not match its checksum");
    let end = vhd("fixed");
    patch(&file, end + 48, &(1_u64 << 20).to_be_bytes());
    seal(&file, end, 512, 64);
    refused("not the one that its footer says");
    vhd("dynamic");
    patch(&file, 64, &[0; 4]);
    refused("does not match its checksum");
    vhd("dynamic");
    patch(&file, 512, b"x");
    refused("dynamic header does not match");
    let end = vhd("dynamic");
    for at in [0, end] {
        patch(&file, at + 60, &4_u32.to_be_bytes());
        seal(&file, at, 512, 64);
    }
    refused("holds only the differences");
    let end = vhd("dynamic");
    for at in [0, end] {
        patch(&file, at + 60, &7_u32.to_be_bytes());
        seal(&file, at, 512, 64);
    }
    refused("of a kind that is not known");
    let end = vhd("dynamic");
    for at in [0, end] {
        patch(&file, at + 48, &(1_u64 << 62).to_be_bytes());
        seal(&file, at, 512, 64);
    }
    refused("block table is too small");
    for (at, bytes, why) in [
        (512 + 32, 3_000_000_u32, "blocks have an impossible size"),
        (512 + 32, 0, "blocks have an impossible size"),
        (512 + 32, 1 << 31, "blocks have an impossible size"),
        (512 + 28, 1, "block table is too small"),
        (512 + 16, 1 << 30, "cut off"),
    ] {
        vhd("dynamic");
        patch(&file, at, &bytes.to_be_bytes());
        seal(&file, 512, 1024, 36);
        refused(why);
    }
    vhd("dynamic");
    patch(&file, 1536, &0x7fff_ffff_u32.to_be_bytes());
    refused("cut off");
}

pub fn other_formats() {
    let place = Place::new();
    let (raw, file) = (place.path("sample"), place.path("image"));
    fs::write(&raw, sample(8)).unwrap();
    for (format, why) in
        [("vmdk", "a VMDK image"), ("vhdx", "a VHDX image"), ("vdi", "a VDI image"), ("qed", "a QED image")]
    {
        convert(&raw, &file, &["-O", format]);
        assert_refused(&place, &file, why);
    }
    for program in ["gzip", "xz", "bzip2"] {
        let output = Command::new(program).arg("-c").arg(&raw).output().unwrap();
        fs::write(&file, output.stdout).unwrap();
        assert_refused(&place, &file, &format!("compressed with {program}: unpack it first"));
    }
}

/// Whatever is cut off from the end, the image is refused; a VHD of fixed size loses what tells it from a raw disk.
pub fn cut_off_anywhere() {
    let place = Place::new();
    let (raw, file) = (place.path("sample"), place.path("image"));
    let mut content = Random(5).bytes(1 << 20);
    content.resize(2 << 20, 0);
    fs::write(&raw, content).unwrap();
    for options in [
        &["-O", "qcow2"][..],
        &["-O", "qcow2", "-o", "cluster_size=4k"],
        &["-O", "vpc", "-o", "subformat=dynamic"],
    ] {
        convert(&raw, &file, options);
        let whole = fs::read(&file).unwrap();
        let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
        let mut random = Random(3);
        for _ in 0..40 {
            let length = 80 + random.next() as usize % (used - 80);
            fs::write(&file, &whole[..length]).unwrap();
            let error =
                import(&place, &file).expect_err(&format!("{options:?} cut at {length} of {}", whole.len()));
            assert_eq!(error.fault(), Fault::Refused, "{error:?}");
            place.assert_empty();
        }
    }
}

pub fn no_file() {
    let place = Place::new();
    assert_refused(&place, &place.path("nowhere"), "cannot open the image file");
    assert_refused(&place, place.folder.path(), "cannot open the image file");
    assert_refused(&place, Path::new("/dev/zero"), "cannot open the image file");
    let pipe = place.path("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_refused(&place, &pipe, "cannot open the image file");
    let empty = place.path("empty");
    fs::write(&empty, "").unwrap();
    assert_refused(&place, &empty, "the file is empty");
}

pub fn too_large() {
    let place = Place::with(Limits { max_image_bytes: 1 << 30, ..Limits::default() });
    let file = place.path("image");
    for format in ["qcow2", "vpc", "raw"] {
        run("qemu-img", &["create", "-q", "-f", format, text(&file), "1025M"]);
        assert_refused(&place, &file, "more than the 1073741824 that are allowed");
    }
    run("qemu-img", &["create", "-q", "-f", "qcow2", text(&file), "1G"]);
    import(&place, &file).unwrap();
}

/// Somebody writes to the file while it is read.
pub fn changing() {
    let place = Place::new();
    let file = place.path("image");
    fs::File::create(&file).unwrap().set_len(256 << 20).unwrap();
    let mut is_written = false;
    let result = place.store.import(&file, None, &mut |done, _| {
        if done > 0 && !is_written {
            patch(&file, 0, b"x");
            is_written = true;
        }
    });
    assert!(matches!(result, Err(ImportError::Changed(_))), "{result:?}");
    place.assert_empty();
}
