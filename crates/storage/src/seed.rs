//! Seed disks: small read-only disks on which cloud-init finds its configuration where there is no metadata service. An
//! ISO 9660 file system of one folder (ECMA-119), with nothing that guests do not read: Linux shows its names in lower case.

/// Bytes of a sector, and of a logical block.
const SECTOR: usize = 2048;
/// The first 16 sectors are for systems that boot from it.
const SYSTEM_AREA: usize = 16;
/// Where the volume descriptors, the path tables, the folder and the files are, in sectors.
const DESCRIPTOR: usize = SYSTEM_AREA;
const TERMINATOR: usize = DESCRIPTOR + 1;
const PATHS_LITTLE: usize = TERMINATOR + 1;
const PATHS_BIG: usize = PATHS_LITTLE + 1;
const FOLDER: usize = PATHS_BIG + 1;
const FILES: usize = FOLDER + 1;
/// Bytes of a path table with the root alone.
const PATH_TABLE_BYTES: u32 = 10;
/// A file system is this long at least: guests find none shorter worth a look.
const LEAST_SECTORS: usize = 64;

/// A disk with these files, and this label for guests to find it by. Names are capital letters, digits, `-` and `_`, as
/// `META-DATA`; at most 16 of them.
pub fn disk(label: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut folder = Vec::with_capacity(SECTOR);
    record(&mut folder, b"\0", FOLDER, SECTOR, true);
    record(&mut folder, b"\x01", FOLDER, SECTOR, true);
    let mut at = FILES;
    let mut content = Vec::new();
    // Readers may rely on the order.
    let mut sorted = files.to_vec();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    for (name, bytes) in sorted {
        record(&mut folder, format!("{name}.;1").as_bytes(), at, bytes.len(), false);
        content.extend_from_slice(bytes);
        content.resize(content.len().next_multiple_of(SECTOR), 0);
        at = FILES + content.len() / SECTOR;
    }
    assert!(folder.len() <= SECTOR, "so few names fit into a sector");
    folder.resize(SECTOR, 0);

    let sectors = at.max(LEAST_SECTORS);
    let mut disk = vec![0; SYSTEM_AREA * SECTOR];
    disk.extend(descriptor(label, number(sectors)));
    let mut terminator = vec![0; SECTOR];
    terminator[..7].copy_from_slice(b"\xffCD001\x01");
    disk.extend(terminator);
    for big in [false, true] {
        let mut table = vec![1, 0];
        let at = number(FOLDER);
        table.extend(if big { at.to_be_bytes() } else { at.to_le_bytes() });
        table.extend(if big { 1_u16.to_be_bytes() } else { 1_u16.to_le_bytes() });
        table.resize(SECTOR, 0);
        disk.extend(table);
    }
    disk.extend(folder);
    disk.extend(content);
    disk.resize(sectors * SECTOR, 0);
    disk
}

/// The primary volume descriptor (ECMA-119, 8.4).
fn descriptor(label: &str, sectors: u32) -> Vec<u8> {
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
    both(&mut volume, PATH_TABLE_BYTES);
    volume.extend(number(PATHS_LITTLE).to_le_bytes());
    volume.extend([0; 4]);
    volume.extend(number(PATHS_BIG).to_be_bytes());
    volume.extend([0; 4]);
    record(&mut volume, b"\0", FOLDER, SECTOR, true);
    // Volume set, publisher, preparer, application; then names of three files.
    text(&mut volume, "", 4 * 128 + 3 * 37);
    for _ in 0..4 {
        // No time is said: sixteen digits and a zone.
        volume.extend(b"0000000000000000\0");
    }
    volume.push(1);
    volume.resize(SECTOR, 0);
    volume
}

/// A folder's record of a file (9.1).
fn record(folder: &mut Vec<u8>, name: &[u8], at: usize, bytes: usize, is_folder: bool) {
    let length = (33 + name.len()).next_multiple_of(2);
    let start = folder.len();
    folder.push(u8::try_from(length).expect("names are short"));
    folder.push(0);
    both(folder, number(at));
    both(folder, number(bytes));
    // 2026-01-01 00:00:00, GMT: a time that is the same at each boot.
    folder.extend([126, 1, 1, 0, 0, 0, 0]);
    folder.push(if is_folder { 2 } else { 0 });
    folder.extend([0, 0]);
    both_short(folder, 1);
    folder.push(u8::try_from(name.len()).expect("names are short"));
    folder.extend(name);
    folder.resize(start + length, 0);
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

fn number(value: usize) -> u32 {
    u32::try_from(value).expect("seeds have kilobytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn others_read_what_is_on_it() {
        let long = vec![b'x'; 5000];
        let disk = disk("cidata", &[("USER-DATA", &long), ("META-DATA", b"{}\n")]);
        assert_eq!(disk.len() % SECTOR, 0);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seed.iso");
        std::fs::write(&path, &disk).unwrap();
        let isoinfo = |arguments: &[&str]| {
            let output = Command::new("isoinfo").arg("-i").arg(&path).args(arguments).output();
            let output = output.expect("isoinfo is there: package genisoimage");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        let about = String::from_utf8(isoinfo(&["-d"])).unwrap();
        assert!(about.contains("Volume id: cidata"), "{about}");
        assert_eq!(isoinfo(&["-x", "/USER-DATA.;1"]), long);
        assert_eq!(isoinfo(&["-x", "/META-DATA.;1"]), b"{}\n");
        let blkid =
            Command::new("/sbin/blkid").args(["-p", "-o", "value", "-s", "LABEL"]).arg(&path).output();
        assert_eq!(String::from_utf8_lossy(&blkid.expect("blkid is there").stdout).trim(), "cidata");
    }
}
