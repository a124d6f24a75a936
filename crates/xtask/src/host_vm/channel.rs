//! What the outside and the agent inside say to each other over one virtio-serial port: frames of a kind, a length and
//! that many bytes. One port for all keeps a command's output and its end in order.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The port's name, by which the agent finds it.
pub const PORT: &str = "agent";

/// Longest contents of a frame. The job, with its environment, is the largest.
const MAX_CONTENTS: usize = 8 << 20;

const HEADER: usize = 5;

/// What to run, and in which surroundings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// Program and arguments.
    pub command: Vec<OsString>,
    /// The working folder.
    pub folder: PathBuf,
    /// The whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Whether standard input will be sent; otherwise it is empty.
    pub input: bool,
    /// What belongs at `/lib/modules`.
    pub modules: PathBuf,
    /// Folders of the outside that are writable, in the order of their 9p tags.
    pub shares: Vec<PathBuf>,
    /// The time of day, in nanoseconds since 1970.
    pub now_ns: u64,
}

/// A message. Which way each goes is said there.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// To the agent: a `Job` as JSON.
    Job(Vec<u8>),
    /// To the agent: bytes of standard input; none at its end.
    Input(Vec<u8>),
    /// From the agent, first: it waits for the job.
    Ready,
    /// From the agent, at least every second: it lives.
    Alive,
    /// From the agent: the command is about to be started.
    Started,
    /// From the agent: bytes of standard output.
    Output(Vec<u8>),
    /// From the agent: bytes of standard error.
    Error(Vec<u8>),
    /// From the agent, last: the command's exit status, 128 + n after death by signal n.
    Ended(u8),
}

impl Frame {
    /// Writes the frame.
    pub fn write(&self, mut writer: impl Write) -> io::Result<()> {
        let status;
        let (kind, contents): (u8, &[u8]) = match self {
            Self::Job(contents) => (1, contents),
            Self::Input(contents) => (2, contents),
            Self::Ready => (3, &[]),
            Self::Alive => (4, &[]),
            Self::Started => (5, &[]),
            Self::Output(contents) => (6, contents),
            Self::Error(contents) => (7, contents),
            Self::Ended(code) => {
                status = [*code];
                (8, &status)
            }
        };
        let length = u32::try_from(contents.len()).ok().filter(|_| contents.len() <= MAX_CONTENTS);
        let length = length.ok_or_else(|| io::Error::other("more than 8 MiB in one message"))?;
        // In one write: a partial frame would stay in the port should we be killed between two.
        let mut bytes = Vec::with_capacity(HEADER + contents.len());
        bytes.push(kind);
        bytes.extend(length.to_le_bytes());
        bytes.extend(contents);
        writer.write_all(&bytes)
    }
}

/// Bytes received and not yet taken as frames.
#[derive(Default)]
pub struct Received(Vec<u8>);

impl Received {
    /// Adds bytes as they came.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    /// Takes the next whole frame, if there is one.
    pub fn next(&mut self) -> io::Result<Option<Frame>> {
        let Some((header, rest)) = self.0.split_first_chunk::<HEADER>() else { return Ok(None) };
        let [kind, length @ ..] = *header;
        let length = u32::from_le_bytes(length) as usize;
        let strange = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        if length > MAX_CONTENTS {
            return Err(strange(format!("a message of {length} bytes")));
        }
        let Some(contents) = rest.get(..length) else { return Ok(None) };
        let frame = match (kind, contents) {
            (1, _) => Frame::Job(contents.to_vec()),
            (2, _) => Frame::Input(contents.to_vec()),
            (3, []) => Frame::Ready,
            (4, []) => Frame::Alive,
            (5, []) => Frame::Started,
            (6, _) => Frame::Output(contents.to_vec()),
            (7, _) => Frame::Error(contents.to_vec()),
            (8, [code]) => Frame::Ended(*code),
            _ => return Err(strange(format!("a message of kind {kind} with {length} bytes"))),
        };
        self.0.drain(..HEADER + length);
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_being_cut_anywhere() {
        let frames =
            [Frame::Started, Frame::Output(b"hello".to_vec()), Frame::Input(vec![]), Frame::Ended(139)];
        let mut bytes = Vec::new();
        for frame in &frames {
            frame.write(&mut bytes).expect("writes");
        }
        let (mut received, mut found) = (Received::default(), Vec::new());
        for byte in bytes {
            received.extend(&[byte]);
            found.extend(received.next().expect("valid"));
        }
        assert_eq!(found, frames);
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in [&[9, 0, 0, 0, 0][..], &[5, 255, 255, 255, 255], &[8, 0, 0, 0, 0]] {
            let mut received = Received::default();
            received.extend(bytes);
            assert!(received.next().is_err());
        }
    }

    #[test]
    fn a_job_keeps_bytes_that_are_no_text() {
        use std::os::unix::ffi::OsStringExt;
        let odd = OsString::from_vec(vec![b'a', 0xff]);
        let json = serde_json::to_vec(&vec![odd.clone()]).expect("serializes");
        assert_eq!(serde_json::from_slice::<Vec<OsString>>(&json).expect("parses"), [odd]);
    }
}
