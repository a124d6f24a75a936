//! The consoles' output that outlives VMMs: log files, which VMMs write, and where in an instance's whole output each run
//! begins, which only the daemon knows.
//!
//! An instance's offsets never go back: a run begins where the one before it ended. Where that was is asked of a VMM before
//! it is killed. If it died unasked, its log tells: exactly if the log was not rotated meanwhile, else at least.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use compute::id::{Id, Instance};
use compute::outside::ConsoleOutput;
use serde::{Deserialize, Serialize};

use crate::durable;

/// Where the last run's output is in all of an instance's output, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// Bytes of output before it.
    pub base: u64,
    /// Bytes of output with it, if its VMM was asked.
    end: Option<u64>,
    /// Bytes in the log files when it began.
    log_bytes: u64,
}

/// The folder with all consoles.
#[derive(Debug)]
pub(super) struct Consoles {
    folder: PathBuf,
}

impl Consoles {
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The log file, which its VMM moves to `LOG.1` when it is full.
    pub fn log(&self, instance: Id<Instance>) -> PathBuf {
        self.folder.join(format!("{instance}.log"))
    }

    fn old_log(&self, instance: Id<Instance>) -> PathBuf {
        self.log(instance).with_added_extension("1")
    }

    fn run_file(&self, instance: Id<Instance>) -> PathBuf {
        self.folder.join(format!("{instance}.json"))
    }

    /// The last run, or one that begins with the log if nothing is known of it.
    pub fn run(&self, instance: Id<Instance>) -> Run {
        let text = fs::read(self.run_file(instance)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// A new run begins.
    pub fn begin(&self, instance: Id<Instance>) -> io::Result<()> {
        let log_bytes = self.log_bytes(instance);
        let run = Run { base: end(self.run(instance), log_bytes), end: None, log_bytes };
        self.write(instance, run)
    }

    /// The run's VMM said that it printed `bytes` in all.
    pub fn note_end(&self, instance: Id<Instance>, bytes: u64) -> io::Result<()> {
        let run = self.run(instance);
        self.write(instance, Run { end: Some(run.base + bytes), ..run })
    }

    /// Whole or not at all. If the host loses power before it is on disk, the log tells as well as it can. Only one at a time
    /// is written for an instance; what a killed daemon left of one is written over by the next, or forgotten.
    fn write(&self, instance: Id<Instance>, run: Run) -> io::Result<()> {
        let new = self.new_run_file(instance);
        fs::write(&new, serde_json::to_vec(&run)?)?;
        fs::rename(new, self.run_file(instance))
    }

    fn new_run_file(&self, instance: Id<Instance>) -> PathBuf {
        self.run_file(instance).with_added_extension("new")
    }

    fn log_bytes(&self, instance: Id<Instance>) -> u64 {
        let size = |path: PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
        size(self.log(instance)) + size(self.old_log(instance))
    }

    /// The last run's output from `offset` on, or its last bytes; at most `limit` of them.
    pub fn read(
        &self,
        instance: Id<Instance>,
        offset: Option<u64>,
        limit: usize,
    ) -> io::Result<ConsoleOutput> {
        let open = |path: PathBuf| match File::open(path) {
            Ok(file) => Ok(Some((file.metadata()?, file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let new = open(self.log(instance))?;
        // If it was rotated right now, both are the same file.
        let is_new = |ino: u64| new.as_ref().is_some_and(|(metadata, _)| metadata.ino() == ino);
        let old = open(self.old_log(instance))?.filter(|(metadata, _)| !is_new(metadata.ino()));
        let files: Vec<(u64, File)> =
            old.into_iter().chain(new).map(|(metadata, file)| (metadata.len(), file)).collect();
        let available: u64 = files.iter().map(|(size, _)| size).sum();

        let run = self.run(instance);
        let end = end(run, available);
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let first = end.saturating_sub(available).max(run.base);
        let offset = offset.unwrap_or(end.saturating_sub(limit)).clamp(first, end);
        let mut skip = available - (end - offset);
        let mut wanted = limit.min(end - offset);
        let mut bytes = Vec::new();
        for (size, mut file) in files {
            let here = skip.min(size);
            file.seek(SeekFrom::Start(here))?;
            wanted -= file.take(wanted.min(size - here)).read_to_end(&mut bytes)? as u64;
            skip -= here;
        }
        Ok(ConsoleOutput { offset, bytes })
    }

    /// Removes all that is kept of an instance's console.
    pub fn forget(&self, instance: Id<Instance>) -> io::Result<()> {
        let (run, new_run) = (self.run_file(instance), self.new_run_file(instance));
        for path in [self.log(instance), self.old_log(instance), run, new_run] {
            durable::remove(&path)?;
        }
        Ok(())
    }

    /// The instances of which a console is kept. Each may be there more than once.
    pub fn instances(&self) -> io::Result<Vec<Id<Instance>>> {
        let mut instances = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let stem = name.to_str().and_then(|name| name.split('.').next());
            instances.extend(stem.and_then(|stem| stem.parse::<Id<Instance>>().ok()));
        }
        Ok(instances)
    }
}

/// Where a run's output ends, when its log files have `log_bytes`.
fn end(run: Run, log_bytes: u64) -> u64 {
    // Fewer than before: the log was rotated since, and all that is there may be this run's.
    run.end.unwrap_or(run.base + log_bytes.checked_sub(run.log_bytes).unwrap_or(log_bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn append(path: PathBuf, bytes: &[u8]) {
        fs::OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
    }

    #[test]
    fn offsets_go_on_from_run_to_run() {
        let folder = tempfile::tempdir().unwrap();
        let consoles = Consoles::open(folder.path()).unwrap();
        let id = Id::new(1);
        let read = |offset, limit| {
            let output = consoles.read(id, offset, limit).unwrap();
            (output.offset, String::from_utf8(output.bytes).unwrap())
        };
        assert_eq!(read(None, 10), (0, String::new()));
        consoles.begin(id).unwrap();
        append(consoles.log(id), b"first");
        assert_eq!(read(None, 10), (0, "first".into()));
        assert_eq!(read(Some(2), 2), (2, "rs".into()));
        assert_eq!(read(None, 2), (3, "st".into()));
        assert_eq!(read(Some(9), 2), (5, String::new()));

        // It died unasked, and was rotated in the next run.
        consoles.begin(id).unwrap();
        assert_eq!(read(None, 10), (5, String::new()));
        append(consoles.log(id), b"second");
        assert_eq!(read(None, 100), (5, "second".into()));
        fs::rename(consoles.log(id), consoles.old_log(id)).unwrap();
        append(consoles.log(id), b"more");
        assert_eq!(read(Some(0), 100), (5, "secondmore".into()));
        assert_eq!(read(Some(9), 4), (9, "ndmo".into()));

        // It said how much it printed, which is more than what is kept.
        consoles.note_end(id, 100).unwrap();
        assert_eq!(read(None, 4), (101, "more".into()));
        consoles.begin(id).unwrap();
        assert_eq!(consoles.run(id).base, 105);

        assert_eq!(consoles.instances().unwrap(), [id; 3]);
        consoles.forget(id).unwrap();
        consoles.forget(id).unwrap();
        assert_eq!(consoles.instances().unwrap(), []);
    }
}
