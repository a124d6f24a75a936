//! Seed disks: small read-only disks on which cloud-init finds its configuration. An ISO 9660 file system (ECMA-119), with
//! nothing that guests do not read. Written by the daemon at each boot of an instance that is to have one.

use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a sector, and of a logical block.
const SECTOR: usize = 2048;
/// The first 16 sectors are for systems that boot from it.
const SYSTEM_AREA: usize = 16;
/// Where the volume descriptors, the path tables and the folders are, in sectors; the files come after the folders.
const DESCRIPTOR: usize = SYSTEM_AREA;
const TERMINATOR: usize = DESCRIPTOR + 1;
const PATHS_LITTLE: usize = TERMINATOR + 1;
const PATHS_BIG: usize = PATHS_LITTLE + 1;
const FOLDERS: usize = PATHS_BIG + 1;
/// A file system is this long at least: guests find none shorter worth a look.
const LEAST_SECTORS: usize = 64;

/// A folder's own record, and the one of the folder above it.
const SELF: &str = "\0";
const ABOVE: &str = "\x01";

/// Where something is: its first sector, and its bytes.
#[derive(Clone, Copy)]
struct Extent {
    sector: usize,
    bytes: usize,
    is_folder: bool,
}

/// Words of a path, without those of the file system's root.
type Path<'a> = &'a [&'a str];

/// A disk with these files, and this label for guests to find it by. A file has the path that guests see, as
/// `openstack/latest/meta_data.json`: words of small letters, digits, `-` and `_`, files also with a `.`; all folders are
/// made, and each has some dozens of things in it at most.
pub fn disk(label: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let paths: Vec<Vec<&str>> = files.iter().map(|(path, _)| path.split('/').collect()).collect();
    // In the order of the path table (9.4): by depth, then as their parents are, then by name.
    let root: (usize, Path<'_>) = (0, &[]);
    let above = paths.iter().flat_map(|path| (0..path.len()).map(|depth| (depth, &path[..depth])));
    let folders: BTreeSet<(usize, Path<'_>)> = above.chain([root]).collect();
    let folders: Vec<Path<'_>> = folders.into_iter().map(|(_, path)| path).collect();
    let folder_at = |path: Path<'_>| {
        let place = folders.iter().position(|folder| *folder == path).expect("each folder is among them");
        Extent { sector: FOLDERS + place, bytes: SECTOR, is_folder: true }
    };

    let mut content = Vec::new();
    let mut names: BTreeMap<Path<'_>, BTreeMap<String, Extent>> =
        folders.iter().map(|path| (*path, BTreeMap::new())).collect();
    for (path, (_, bytes)) in paths.iter().zip(files) {
        let sector = FOLDERS + folders.len() + content.len() / SECTOR;
        let (name, folder) = path.split_last().expect("a path has a word");
        let extent = Extent { sector, bytes: bytes.len(), is_folder: false };
        names.entry(folder).or_default().insert(file_identifier(name), extent);
        content.extend_from_slice(bytes);
        content.resize(content.len().next_multiple_of(SECTOR), 0);
    }
    for path in &folders {
        if let Some((name, folder)) = path.split_last() {
            names.entry(folder).or_default().insert(name.to_ascii_uppercase(), folder_at(path));
        }
    }

    let sectors = (FOLDERS + folders.len() + content.len() / SECTOR).max(LEAST_SECTORS);
    let tables = [false, true].map(|is_big_endian| path_table(&folders, is_big_endian));
    let mut disk = vec![0; SYSTEM_AREA * SECTOR];
    append(&mut disk, &descriptor(label, number(sectors), number(tables[0].len()), folder_at(&[])));
    append(&mut disk, b"\xffCD001\x01");
    for table in tables {
        append(&mut disk, &table);
    }
    for path in &folders {
        let parent = path.split_last().map_or(folder_at(path), |(_, parent)| folder_at(parent));
        let mut records = Vec::with_capacity(SECTOR);
        record(&mut records, SELF, folder_at(path));
        record(&mut records, ABOVE, parent);
        // Readers may rely on the order.
        for (name, extent) in &names[path] {
            record(&mut records, name, *extent);
        }
        append(&mut disk, &records);
    }
    disk.extend(content);
    disk.resize(sectors * SECTOR, 0);
    disk
}

/// A file's name in a record (7.5). Linux shows it in small letters, without the version and without a dot before nothing.
fn file_identifier(name: &str) -> String {
    let dot = if name.contains('.') { "" } else { "." };
    format!("{}{dot};1", name.to_ascii_uppercase())
}

/// Appends what fits into a sector.
fn append(disk: &mut Vec<u8>, bytes: &[u8]) {
    assert!(bytes.len() <= SECTOR, "so few names fit into a sector");
    disk.extend_from_slice(bytes);
    disk.resize(disk.len().next_multiple_of(SECTOR), 0);
}

/// A table of all folders (9.4).
fn path_table(folders: &[Path<'_>], is_big_endian: bool) -> Vec<u8> {
    let mut table = Vec::new();
    for (place, path) in folders.iter().enumerate() {
        let name = path.last().map_or(SELF.to_owned(), |name| name.to_ascii_uppercase());
        let parent = path.split_last().map_or(&path[..], |(_, parent)| parent);
        let parent = folders.iter().position(|folder| *folder == parent).expect("each folder is among them");
        let (sector, parent) = (number(FOLDERS + place), u16::try_from(parent + 1).expect("folders are few"));
        table.extend([length(&name), 0]);
        table.extend(if is_big_endian { sector.to_be_bytes() } else { sector.to_le_bytes() });
        table.extend(if is_big_endian { parent.to_be_bytes() } else { parent.to_le_bytes() });
        table.extend(name.as_bytes());
        table.resize(table.len().next_multiple_of(2), 0);
    }
    table
}

/// The primary volume descriptor (8.4).
fn descriptor(label: &str, sectors: u32, path_table_bytes: u32, root: Extent) -> Vec<u8> {
    let mut volume = Vec::with_capacity(SECTOR);
    volume.extend(b"\x01CD001\x01\0");
    text(&mut volume, "LINUX", 32);
    text(&mut volume, label, 32);
    volume.extend([0; 8]);
    both(&mut volume, sectors);
    volume.extend([0; 32]);
    for value in [1, 1, SECTOR as u16] {
        both_short(&mut volume, value);
    }
    both(&mut volume, path_table_bytes);
    volume.extend(number(PATHS_LITTLE).to_le_bytes());
    volume.extend([0; 4]);
    volume.extend(number(PATHS_BIG).to_be_bytes());
    volume.extend([0; 4]);
    record(&mut volume, SELF, root);
    // Volume set, publisher, preparer, application; then names of three files.
    text(&mut volume, "", 4 * 128 + 3 * 37);
    for _ in 0..4 {
        // No time is said: sixteen digits and a zone.
        volume.extend(b"0000000000000000\0");
    }
    volume.push(1);
    volume
}

/// A record of a folder (9.1).
fn record(folder: &mut Vec<u8>, name: &str, extent: Extent) {
    let bytes = (33 + name.len()).next_multiple_of(2);
    let start = folder.len();
    folder.push(u8::try_from(bytes).expect("names are short"));
    folder.push(0);
    both(folder, number(extent.sector));
    both(folder, number(extent.bytes));
    // 2026-01-01 00:00:00, GMT: a time that is the same at each boot.
    folder.extend([126, 1, 1, 0, 0, 0, 0]);
    folder.push(if extent.is_folder { 2 } else { 0 });
    folder.extend([0, 0]);
    both_short(folder, 1);
    folder.push(length(name));
    folder.extend(name.as_bytes());
    folder.resize(start + bytes, 0);
}

/// A number in both orders of bytes (7.3.3).
fn both(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_le_bytes());
    out.extend(value.to_be_bytes());
}

fn both_short(out: &mut Vec<u8>, value: u16) {
    out.extend(value.to_le_bytes());
    out.extend(value.to_be_bytes());
}

fn text(out: &mut Vec<u8>, text: &str, bytes: usize) {
    let end = out.len() + bytes;
    out.extend(text.bytes().take(bytes));
    out.resize(end, b' ');
}

fn length(name: &str) -> u8 {
    u8::try_from(name.len()).expect("names are short")
}

fn number(value: usize) -> u32 {
    u32::try_from(value).expect("seeds have kilobytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// A config drive's files, and one that takes several sectors.
    fn files() -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::from([("meta-data".to_owned(), b"{}\n".to_vec())]);
        for version in ["2012-08-10", "2018-08-27", "latest"] {
            for name in ["meta_data.json", "user_data", "vendor_data.json", "vendor_data2.json"] {
                let bytes = format!("{version} {name} ").repeat(name.len() * 10).into_bytes();
                files.insert(format!("openstack/{version}/{name}"), bytes);
            }
        }
        files.insert("openstack/content/empty".to_owned(), Vec::new());
        files
    }

    /// Its disk as a file.
    fn written(folder: &tempfile::TempDir) -> std::path::PathBuf {
        let files = files();
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
        let disk = disk("config-2", &files);
        assert_eq!(disk.len() % SECTOR, 0);
        let path = folder.path().join("seed.iso");
        std::fs::write(&path, &disk).unwrap();
        path
    }

    #[test]
    fn others_read_what_is_on_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(&folder);
        let isoinfo = |arguments: &[&str]| {
            let output = Command::new("isoinfo").arg("-i").arg(&path).args(arguments).output();
            let output = output.expect("isoinfo is there: package genisoimage");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        let about = String::from_utf8(isoinfo(&["-d"])).unwrap();
        assert!(about.contains("Volume id: config-2"), "{about}");
        for (path, bytes) in files() {
            let (folder, name) =
                path.rsplit_once('/').map_or(("", path.as_str()), |(folder, name)| (folder, name));
            let slash = if folder.is_empty() { "" } else { "/" };
            let identifier = format!("/{}{slash}{}", folder.to_ascii_uppercase(), file_identifier(name));
            assert_eq!(isoinfo(&["-x", &identifier]), bytes, "{identifier}");
        }
        // It goes by the path table, of which there is one for each order of bytes.
        let table = String::from_utf8(isoinfo(&["-p"])).unwrap();
        let folders = ["OPENSTACK", "2012-08-10", "2018-08-27", "CONTENT", "LATEST"];
        assert!(folders.iter().all(|name| table.contains(name)), "{table}");
        let blkid =
            Command::new("/sbin/blkid").args(["-p", "-o", "value", "-s", "LABEL"]).arg(&path).output();
        assert_eq!(String::from_utf8_lossy(&blkid.expect("blkid is there").stdout).trim(), "config-2");
    }

    #[test]
    fn linux_shows_what_is_on_it() {
        const CANNOT_MOUNT: i32 = 77;
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (written(&folder), folder.path().join("copy"));
        std::fs::create_dir(folder.path().join("mount")).unwrap();
        // In a mount namespace that ends with the script.
        let script = "cd \"$2\" && mount -o loop,ro \"$1\" mount || exit 77; cp -r mount copy";
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", script, "sh"])
            .args([&path, folder.path()])
            .output()
            .expect("unshare is there");
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(CANNOT_MOUNT) || said.contains("unshare") {
            return print!("skipped, this host cannot mount it: {} ... ", said.trim());
        }
        assert!(output.status.success(), "{said}");
        let mut found = BTreeMap::new();
        let mut folders = vec![copy.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    folders.push(entry);
                } else {
                    let name = entry.strip_prefix(&copy).unwrap().to_str().unwrap().to_owned();
                    found.insert(name, std::fs::read(&entry).unwrap());
                }
            }
        }
        assert_eq!(found, files());
    }
}
