//! The file with the host's keys, which seal the secrets in the record store. It lies elsewhere than the store, so that
//! neither alone gives them away: a copy of the store needs no care, a copy of this file does.
//!
//! A line for each key, in hexadecimal digits, the newest last. To replace the key, add a line; the old one opens what it
//! sealed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use compute::secrets::{KEY_BYTES, SealingKey, SealingKeys};
use zeroize::Zeroizing;

use crate::fail;

/// Longest file that is read: some hundred keys.
const MAX_BYTES: u64 = 16 << 10;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyError {
    /// The file or its folder cannot be used.
    #[error("the host key file {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read it.
    #[error(
        "the host key file {path} can be read by others (mode {mode:03o}): chmod 600 it, and think of replacing the key"
    )]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It has something else than keys, or none.
    #[error(
        "line {line} of the host key file {path} is not a key of 64 hexadecimal digits: restore the file from a copy"
    )]
    NoKey {
        /// Which.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
}

/// Reads the keys, or makes a first one if there is no file.
///
/// # Errors
///
/// The file cannot be read or made, is not ours alone, or has something else in it.
pub fn open_or_create(path: &Path) -> Result<SealingKeys, HostKeyError> {
    let failed = |source| HostKeyError::File { path: path.to_owned(), source };
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(path).map_err(failed)?;
            File::open(path).map_err(failed)?
        }
        opened => opened.map_err(failed)?,
    };
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(HostKeyError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    Read::by_ref(&mut file).take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    let no_key = |line| HostKeyError::NoKey { path: path.to_owned(), line };
    let mut keys = Vec::new();
    for (index, line) in text.lines().enumerate() {
        keys.push(key(line).ok_or_else(|| no_key(index + 1))?);
    }
    let newest = keys.pop().ok_or_else(|| no_key(1))?;
    Ok(SealingKeys::new(keys, newest))
}

fn key(line: &str) -> Option<SealingKey> {
    let digits: Option<Vec<u8>> =
        line.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = Zeroizing::new(digits?);
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    if digits.len() != 2 * KEY_BYTES {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(SealingKey::from_bytes(*bytes))
}

/// Makes the file with a new key, whole or not at all. If another daemon was faster, its file stays.
fn create(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}-");
    // One daemon after the other, so that what is removed is nobody's any more: half a key of one that was killed.
    let lock = File::open(folder)?;
    lock.lock()?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            std::fs::remove_file(entry.path())?;
        }
    }
    fail::point("host_key.writing");
    // Made with mode 0600.
    let mut file = tempfile::Builder::new().prefix(&prefix).tempfile_in(folder)?;
    let key = SealingKey::generate();
    let mut line = Zeroizing::new(String::with_capacity(2 * KEY_BYTES + 1));
    for byte in key.expose() {
        line.push(char::from_digit(u32::from(byte >> 4), 16).expect("four bits are a digit"));
        line.push(char::from_digit(u32::from(byte & 15), 16).expect("four bits are a digit"));
    }
    line.push('\n');
    file.write_all(line.as_bytes())?;
    file.as_file().sync_all()?;
    fail::point("host_key.written");
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
        persisted => drop(persisted.map_err(|error| error.error)?),
    }
    fail::point("host_key.named");
    // What is sealed with the key must not outlive it.
    lock.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use compute::secrets::Secret;

    use super::*;

    fn secret() -> Secret {
        Secret::new("hunter2".to_owned())
    }

    #[test]
    fn a_key_is_made_once_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host-key");
        // Of a daemon that was killed when it had written one and not named it.
        std::fs::write(folder.path().join(".host-key-a1b2c3"), "ab").unwrap();
        let sealed = open_or_create(&path).unwrap().seal(&secret(), "place");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(open_or_create(&path).unwrap().open(&sealed, "place"), Ok(secret()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");

        // A newer key in a new line: the old one still opens.
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str(&"Ab".repeat(KEY_BYTES));
        std::fs::write(&path, text).unwrap();
        let keys = open_or_create(&path).unwrap();
        assert_eq!(keys.open(&sealed, "place"), Ok(secret()));
        let only_new = SealingKeys::new(vec![], SealingKey::from_bytes([0xab; KEY_BYTES]));
        assert_eq!(only_new.open(&keys.seal(&secret(), "place"), "place"), Ok(secret()));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host-key");
        open_or_create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = open_or_create(&path).unwrap_err();
        assert!(
            matches!(error, HostKeyError::Exposed { mode: 0o640, .. })
                && error.to_string().contains("chmod 600")
        );
    }

    #[test]
    fn what_is_no_key_is_named_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host-key");
        open_or_create(&path).unwrap();
        let good = "ab".repeat(KEY_BYTES);
        let cases = [
            (String::new(), 1),
            ("abcd\n".to_owned(), 1),
            (format!("{good}\n\n"), 2),
            (format!("{good}\n{}\n", "zz".repeat(KEY_BYTES)), 2),
            (format!("{good}ab\n"), 1),
        ];
        for (text, expected) in cases {
            std::fs::write(&path, &text).unwrap();
            let error = open_or_create(&path).unwrap_err();
            assert!(
                matches!(error, HostKeyError::NoKey { line, .. } if line == expected),
                "{text:?}: {error}"
            );
            assert!(!format!("{error} {error:?}").contains(&good[..8]));
        }
        let error = open_or_create(&folder.path().join("none/host-key")).unwrap_err();
        assert!(matches!(error, HostKeyError::File { .. }));
    }
}
