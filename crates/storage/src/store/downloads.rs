//! Downloads: files on their way into the store, under the name of the job that asks for them. One that a killed process left
//! goes on where it was: what is noted to be there was on disk before it was noted. Nothing here speaks to a server.
//!
//! ```text
//! downloads/job-…        a whole file
//! downloads/job-….part   its beginning
//! downloads/job-….note   how much of that counts, and which file it is the beginning of
//! ```

use super::error::{StoreError, failed};
use super::files::Folder;
use super::volumes::bad_name;
use super::{Store, is_id};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes after which what came is made sure of.
const STEP_BYTES: u64 = 64 << 20;

/// What a download leaves of the file system: records are kept there too.
const RESERVE_BYTES: u64 = 1 << 30;
/// The same of a small file system: this part of it.
const RESERVE_PART: u64 = 20;

/// Which file a server has, so that the rest of it fits what is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// Where it was asked for.
    pub url: String,
    /// What the server calls its content. `None`: the rest cannot be asked for.
    pub tag: Option<String>,
    /// Its bytes in all, if they are known.
    pub bytes: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    version: Version,
    there: u64,
}

/// A file on its way. Dropped, it keeps what was made sure of.
#[derive(Debug)]
pub struct Download {
    folder: PathBuf,
    name: String,
    file: File,
    version: Option<Version>,
    offset: u64,
    noted: u64,
}

/// Refuses what is no id of a job.
pub(super) fn check_id(id: &str) -> Result<(), StoreError> {
    if is_id(id, "job") { Ok(()) } else { Err(bad_name("job id", id)) }
}

impl Store {
    /// The whole file of a job, if it is there.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn downloaded(&self, job: &str) -> Result<Option<PathBuf>, StoreError> {
        check_id(job)?;
        let path = self.downloads.path().join(job);
        match fs::metadata(&path) {
            Ok(_) => {
                self.downloads.sync().map_err(failed(format!("sync the download of {job}")))?;
                Ok(Some(path))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(format!("look for the download of {job}"))(error)),
        }
    }

    /// Begins a download for a job, or goes on with what is there of it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn download(&self, job: &str) -> Result<Download, StoreError> {
        check_id(job)?;
        let folder = self.downloads.path().to_owned();
        let doing = || failed(format!("begin the download of {job}"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(folder.join(format!("{job}.part"))).map_err(doing())?;
        let mut download =
            Download { folder, name: job.to_owned(), file, version: None, offset: 0, noted: 0 };
        let length = download.file.metadata().map_err(doing())?.len();
        // A note that cannot be read is none: the download begins anew.
        let note = fs::read(download.path("note")).ok();
        let note = note.and_then(|text| serde_json::from_slice::<Note>(&text).ok());
        if let Some(note) = note.filter(|note| note.there <= length) {
            (download.offset, download.noted) = (note.there, note.there);
            download.version = Some(note.version);
        }
        download.file.set_len(download.offset).map_err(doing())?;
        Ok(download)
    }

    /// Removes what there is of a job's download. Nothing there is success.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn delete_download(&self, job: &str) -> Result<(), StoreError> {
        check_id(job)?;
        // The note first: without the file it would speak of another one.
        for ending in [".note.new", ".note", ".part", ""] {
            let removed = self.downloads.remove(&format!("{job}{ending}"));
            removed.map_err(failed(format!("delete the download of {job}")))?;
        }
        Ok(())
    }

    /// Jobs for which there is a file, or a part of one.
    pub(super) fn present_downloads(&self) -> io::Result<Vec<String>> {
        let names = self.downloads.names()?;
        let job = |name: String| name.split('.').next().map(str::to_owned);
        let mut jobs: Vec<String> =
            names.into_iter().filter_map(job).filter(|job| check_id(job).is_ok()).collect();
        jobs.sort();
        jobs.dedup();
        Ok(jobs)
    }

    /// Largest file of an image: the largest disk, and what formats put around one.
    pub fn max_download_bytes(&self) -> u64 {
        let disk = self.limits.max_image_bytes;
        disk.saturating_add(disk / 32).saturating_add(1 << 20)
    }

    /// Sees that a download of so many bytes more leaves room on the disk.
    ///
    /// # Errors
    /// It would not.
    pub fn room_for_download(&self, job: &str, bytes: u64) -> Result<(), StoreError> {
        room(self.downloads.path(), bytes, job)
    }
}

fn room(folder: &Path, bytes: u64, job: &str) -> Result<(), StoreError> {
    let doing = || format!("download {bytes} bytes for {job} and leave some room to others");
    let status = nix::sys::statvfs::statvfs(folder).map_err(|errno| failed(doing())(errno.into()))?;
    let reserve = RESERVE_BYTES.min(status.blocks() * status.fragment_size() / RESERVE_PART);
    let free = (status.blocks_available() * status.fragment_size()).saturating_sub(reserve);
    if bytes <= free { Ok(()) } else { Err(StoreError::Full(doing())) }
}

impl Download {
    /// Which file it is the beginning of.
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// How many bytes are there.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Begins anew, with a file that may be another one.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn begin(&mut self, version: Version) -> Result<(), StoreError> {
        (self.version, self.offset, self.noted) = (Some(version), 0, 0);
        let begun = self.note().and_then(|()| self.file.set_len(0));
        begun.map_err(failed(format!("begin the download of {}", self.name)))
    }

    /// Adds what came.
    ///
    /// # Errors
    /// When the disk is full, or would soon be, or the system refuses.
    pub fn write(&mut self, data: &[u8]) -> Result<(), StoreError> {
        room(&self.folder, data.len() as u64, &self.name)?;
        let doing = || failed(format!("write the download of {}", self.name));
        self.file.write_all_at(data, self.offset).map_err(doing())?;
        self.offset += data.len() as u64;
        if self.offset - self.noted >= STEP_BYTES {
            self.keep()?;
        }
        Ok(())
    }

    /// Makes sure of what is there.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn keep(&mut self) -> Result<(), StoreError> {
        self.noted = self.offset;
        let kept = self.file.sync_data().and_then(|()| self.note());
        kept.map_err(failed(format!("keep the download of {}", self.name)))
    }

    /// Gives it its name: all of it is there. Says where.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn finish(self) -> Result<PathBuf, StoreError> {
        let named = self.folder.join(&self.name);
        let finish = || {
            self.file.sync_all()?;
            fs::rename(self.path("part"), &named)?;
            Folder::open(self.folder.clone())?.sync()
        };
        finish().map_err(failed(format!("end the download of {}", self.name)))?;
        Ok(named)
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.name))
    }

    /// Notes how far it is. Whole or not at all: what is there may be less than what was noted before, of another version.
    fn note(&self) -> io::Result<()> {
        let Some(version) = self.version.clone() else { return Ok(()) };
        let text = serde_json::to_vec(&Note { version, there: self.noted })?;
        let new = self.path("note.new");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all_at(&text, 0)?;
        file.sync_data()?;
        fs::rename(&new, self.path("note"))?;
        Folder::open(self.folder.clone())?.sync()
    }
}
