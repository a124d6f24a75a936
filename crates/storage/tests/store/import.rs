//! Images as qemu-img makes them, in every format that is taken, come out byte for byte.

use super::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Instant;
use storage::boot_disk::ReadAt;
use storage::store::image::{self, ImageFile, Sink};
use storage::store::{ImportError, Imported, WhileInUse};

/// What to tell qemu-img of each: a name, the format, options.
const FORMATS: &[(&str, &[&str])] = &[
    ("raw", &["-O", "raw"]),
    ("qcow2", &["-O", "qcow2"]),
    ("qcow2 of version 2", &["-O", "qcow2", "-o", "compat=0.10"]),
    ("qcow2, compressed", &["-O", "qcow2", "-c"]),
    ("qcow2, small clusters", &["-O", "qcow2", "-o", "cluster_size=512"]),
    ("qcow2, large clusters", &["-O", "qcow2", "-o", "cluster_size=2M"]),
    ("qcow2, large clusters, compressed", &["-O", "qcow2", "-c", "-o", "cluster_size=2M"]),
    ("qcow2, lazy refcounts", &["-O", "qcow2", "-o", "lazy_refcounts=on"]),
    ("qcow2, preallocated", &["-O", "qcow2", "-o", "preallocation=metadata"]),
    ("qcow2, no sparse", &["-O", "qcow2", "-S", "0"]),
    ("VHD, dynamic", &["-O", "vpc", "-o", "subformat=dynamic"]),
    ("VHD, fixed", &["-O", "vpc", "-o", "subformat=fixed"]),
    ("VHD, dynamic, exact", &["-O", "vpc", "-o", "subformat=dynamic,force_size=on"]),
    ("VHD, fixed, exact", &["-O", "vpc", "-o", "subformat=fixed,force_size=on"]),
];

pub fn convert(from: &Path, to: &Path, options: &[&str]) {
    let mut arguments = vec!["convert", "-f", "raw"];
    arguments.extend(options);
    arguments.extend([text(from), text(to)]);
    run("qemu-img", &arguments);
}

pub fn import(place: &Place, path: &Path) -> Result<Imported, ImportError> {
    place.store.import(path, None, &mut |_, _| ())
}

pub fn every_format() {
    let place = Place::new();
    let raw = place.path("sample");
    let content = sample(24);
    fs::write(&raw, &content).unwrap();
    for (name, options) in FORMATS {
        let file = place.path("image");
        convert(&raw, &file, options);
        let mut told = Vec::new();
        let imported = place.store.import(&file, None, &mut |done, of| told.push((done, of))).expect(name);
        let bytes = fs::read(place.image(&imported.sha256)).unwrap();
        assert_eq!(bytes.len() as u64, imported.bytes, "{name}");
        // A VHD that is not exact is rounded up to whole cylinders.
        assert!(bytes.len() >= content.len() && bytes[..content.len()] == content, "{name} differs");
        assert!(bytes[content.len()..].iter().all(|byte| *byte == 0), "{name}");
        if !name.starts_with("VHD") || name.ends_with("exact") {
            assert_eq!(bytes.len(), content.len(), "{name}");
        }
        // What QEMU reads. It has to be told, or takes a fixed VHD for raw.
        let reference = place.path("reference");
        run("qemu-img", &["convert", "-f", options[1], "-O", "raw", text(&file), text(&reference)]);
        assert!(fs::read(&reference).unwrap() == bytes, "{name}: QEMU reads something else");
        assert_eq!(sha256(&reference), imported.sha256, "{name}");
        let metadata = place.image(&imported.sha256).metadata().unwrap();
        assert!(metadata.blocks() * 512 < 3 << 20, "{name} takes {} blocks", metadata.blocks());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert!(told.is_sorted() && told.first() == Some(&(0, imported.bytes)), "{name}: {told:?}");
        assert_eq!(told.last(), Some(&(imported.bytes, imported.bytes)), "{name}");
        // Once more, and from nothing.
        assert_eq!(import(&place, &file).unwrap(), imported, "{name}");
        place.store.delete_image(&imported.sha256).unwrap();
        place.store.delete_image(&imported.sha256).unwrap();
        place.assert_empty();
    }
}

/// A file that is no whole sectors, one in which QEMU keeps internal snapshots, one that grew, one that is all holes.
pub fn odd_images() {
    let place = Place::new();
    let file = place.path("odd");
    fs::write(&file, b"a disk of seventeen").unwrap();
    let imported = import(&place, &file).unwrap();
    let bytes = fs::read(place.image(&imported.sha256)).unwrap();
    assert!(imported.bytes == 512 && bytes.len() == 512 && bytes.starts_with(b"a disk of seventeen\0"));

    let file = place.path("image.qcow2");
    run("qemu-img", &["create", "-q", "-f", "qcow2", text(&file), "8M"]);
    run("qemu-io", &["-f", "qcow2", "-c", "write -P 7 0 1M", text(&file)]);
    run("qemu-img", &["snapshot", "-c", "before", text(&file)]);
    run("qemu-io", &["-f", "qcow2", "-c", "write -P 8 64k 1M", "-c", "write -z 0 64k", text(&file)]);
    run("qemu-img", &["resize", "-q", text(&file), "9M"]);
    let imported = import(&place, &file).unwrap();
    let bytes = fs::read(place.image(&imported.sha256)).unwrap();
    assert_eq!(bytes.len(), 9 << 20);
    let expected = |at: usize| u8::from((64 << 10..1088 << 10).contains(&at)) * 8;
    assert!(bytes.iter().enumerate().all(|(at, byte)| *byte == expected(at)));

    let file = place.path("holes");
    fs::File::create(&file).unwrap().set_len(64 << 20).unwrap();
    let imported = import(&place, &file).unwrap();
    assert_eq!((imported.sha256, imported.bytes), (sha256(&file), 64 << 20));
}

pub fn expected_hashes() {
    let place = Place::new();
    let (raw, file) = (place.path("sample"), place.path("image"));
    fs::write(&raw, sample(8)).unwrap();
    convert(&raw, &file, &["-O", "qcow2", "-c"]);
    let (of_content, of_file) = (sha256(&raw), sha256(&file));
    let import = |expected: &str| place.store.import(&file, Some(expected), &mut |_, _| ());
    for expected in [&of_content, &of_file, &of_content.to_uppercase(), &of_file.to_uppercase()] {
        let imported = import(expected).unwrap();
        assert_eq!(imported.sha256, of_content);
        // What is there need not be read again; not even the file must be there.
        let again = place.store.import(Path::new("/nowhere"), Some(&of_content), &mut |_, _| ());
        assert_eq!(again.unwrap(), imported);
        place.store.delete_image(&imported.sha256).unwrap();
    }
    let other = "0".repeat(64);
    let error = import(&other).unwrap_err();
    assert!(matches!(error, ImportError::OtherHash { .. }), "{error}");
    let said = error.to_string();
    assert!([&of_content, &of_file, &other].iter().all(|hash| said.contains(*hash)), "{said}");
    for expected in ["", "12", &"g".repeat(64), &"0".repeat(65)] {
        assert!(import(expected).unwrap_err().to_string().contains("no SHA-256"), "{expected}");
    }
    place.assert_empty();
}

/// Counts, and does not hash.
#[derive(Default)]
struct Count {
    size: u64,
    data: u64,
    zeroes: u64,
}

impl Sink for Count {
    fn size(&mut self, bytes: u64) -> std::io::Result<()> {
        self.size = bytes;
        Ok(())
    }

    fn data(&mut self, data: &[u8]) -> std::io::Result<()> {
        self.data += data.len() as u64;
        Ok(())
    }

    fn zeroes(&mut self, bytes: u64) -> std::io::Result<()> {
        self.zeroes += bytes;
        Ok(())
    }
}

/// A tebibyte of zeroes takes a moment to read, in each format that has such; a few gibibytes are imported whole.
pub fn sparse() {
    let place = Place::new();
    for options in
        [&["-f", "qcow2"][..], &["-f", "qcow2", "-o", "cluster_size=4k"], &["-f", "vpc"], &["-f", "raw"]]
    {
        let file = place.path("image");
        run("qemu-img", &[&["create", "-q"], options, &[text(&file), "1T"]].concat());
        if options[1] != "vpc" {
            run("qemu-io", &["-f", options[1], "-c", "write -P 5 600G 64k", text(&file)]);
        }
        let started = Instant::now();
        let mut count = Count::default();
        let source = ImageFile::new(fs::File::open(&file).unwrap()).unwrap();
        assert!(source.size_bytes() > 0);
        image::convert(source, &mut count).unwrap();
        let elapsed = started.elapsed();
        assert_eq!(count.size, count.data + count.zeroes);
        assert!(count.size >= 1 << 40 && count.data <= 128 << 10, "{options:?}");
        assert!(elapsed.as_secs() < 60, "{options:?}: {elapsed:?}");
        fs::remove_file(&file).unwrap();
    }
    let file = place.path("image");
    run("qemu-img", &["create", "-q", "-f", "qcow2", text(&file), "4G"]);
    let started = Instant::now();
    let imported = import(&place, &file).unwrap();
    print!("4 GiB of zeroes hashed in {:.1} s ... ", started.elapsed().as_secs_f32());
    assert_eq!(imported.bytes, 4 << 30);
    assert_eq!(place.image(&imported.sha256).metadata().unwrap().blocks(), 0);
}

pub fn image_of_snapshot() {
    let place = Place::new();
    let file = place.path("sample");
    fs::write(&file, sample(8)).unwrap();
    let imported = import(&place, &file).unwrap();
    let content = storage::store::Content::Image { sha256: &imported.sha256 };
    place.store.create_volume("vol-00000001", 16 << 20, &content).unwrap();
    place.store.snapshot("vol-00000001", "snap-00000001", WhileInUse::AtOnce).unwrap();
    let mut told = Vec::new();
    let made = place.store.image_of("snap-00000001", &mut |done, of| told.push((done, of))).unwrap();
    assert_eq!(made.bytes, 16 << 20);
    assert_eq!(sha256(&place.image(&made.sha256)), made.sha256);
    assert!(fs::read(place.image(&made.sha256)).unwrap() == place.volume("vol-00000001"));
    assert!(told.is_sorted() && told.last() == Some(&(16 << 20, 16 << 20)), "{told:?}");
    assert_eq!(place.store.image_of("snap-00000001", &mut |_, _| ()).unwrap(), made);
    assert!(place.image(&made.sha256).metadata().unwrap().blocks() * 512 < 3 << 20);
    let error = place.store.image_of("snap-00000002", &mut |_, _| ()).unwrap_err();
    assert_eq!(error.to_string(), "there is no snapshot snap-00000002");
    place.assert_nothing_unfinished();
}
