//! Files that are whole or not there, and stay once they are acknowledged.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Writes a file: whoever reads sees the old content or the new one, also after a power cut.
///
/// # Errors
///
/// The file system refuses. The old content is there then.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("a file is in a folder"))?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// Removes a file; none is success.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
