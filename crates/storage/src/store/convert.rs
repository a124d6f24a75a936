//! Converts an image in a confined helper, which can do nothing but read the one file and write to one socket.
//!
//! Over that socket come the size of the disk (8 bytes, little-endian), and its content from start to end in pieces: 8
//! bytes with a length, and as many bytes of data; or with the highest bit set, and then it is so many zeroes. What comes
//! is written and hashed here, so that a helper that was taken over can lie about what is on its own disk only: it cannot
//! give it another's name, nor change what was taken already.

use super::Limits;
use super::error::{ImportError, failed};
use super::image::{self, ImageFile, MAX_PIECE_BYTES, SECTOR_BYTES, Sink};
use super::images::Progress;
use super::sparse::SparseWriter;
use crate::boot_disk::chain;
use crate::confined::{Deadline, Helper, HelperError, Rights, live, start_error};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// First argument of a program that is to be the helper.
pub const CONVERT_ARGUMENT: &str = "convert-image";

/// Most zeroes hashed before the time is looked at.
pub(super) const STEP_BYTES: u64 = 64 << 20;

/// Processor time of the helper, for the case that it cannot be killed when its time is over.
const MAX_CPU_SECONDS: u64 = 4 * 3600;

/// Marks zeroes in a piece's length.
const ZEROES: u64 = 1 << 63;

/// What the helper works on.
#[doc(hidden)]
pub struct ConvertTask {
    /// The image file.
    pub image: ImageFile,
    /// Where its content goes.
    pub output: File,
}

/// The helper's whole life. Call it first thing in `main` when the first argument is [`CONVERT_ARGUMENT`].
pub fn convert_main() -> ! {
    convert_main_doing(|task| {
        image::convert(task.image, &mut PieceWriter(task.output)).map_err(|error| chain(&error))
    })
}

/// [`convert_main`] doing something else once it is confined: for tests.
#[doc(hidden)]
pub fn convert_main_doing(work: fn(ConvertTask) -> Result<(), String>) -> ! {
    live(prepare, work)
}

fn prepare([image, output]: [OwnedFd; 2]) -> Result<(ConvertTask, Rights), String> {
    let rights = Rights {
        read: image.as_raw_fd(),
        seek: true,
        write: vec![output.as_raw_fd()],
        // A socket is no file.
        file_bytes: 0,
        cpu_seconds: MAX_CPU_SECONDS,
    };
    let image = ImageFile::new(image.into()).map_err(|error| format!("cannot use the image: {error}"))?;
    Ok((ConvertTask { image, output: output.into() }, rights))
}

struct PieceWriter(File);

impl Sink for PieceWriter {
    fn size(&mut self, bytes: u64) -> io::Result<()> {
        self.0.write_all(&bytes.to_le_bytes())
    }

    fn data(&mut self, data: &[u8]) -> io::Result<()> {
        self.0.write_all(&(data.len() as u64).to_le_bytes())?;
        self.0.write_all(data)
    }

    fn zeroes(&mut self, bytes: u64) -> io::Result<()> {
        self.0.write_all(&(bytes | ZEROES).to_le_bytes())
    }
}

/// Converts `input` and writes its content to `output`, which is empty. Answers its hash and its size in bytes.
pub(super) fn convert(
    limits: &Limits,
    input: &File,
    output: &File,
    progress: Progress<'_>,
) -> Result<(String, u64), ImportError> {
    let deadline = Deadline::after(limits.import_timeout);
    let (ours, theirs) = UnixStream::pair().map_err(start_error("make a socket"))?;
    // Dropped when anything fails, which ends the process.
    let helper = Helper::start(limits.convert_argument)?;
    helper.send(&[input.as_raw_fd(), theirs.as_raw_fd()]);
    drop(theirs);
    let mut content = Content { socket: ours, deadline };
    let taken = content.take(limits, output, progress)?;
    // Whoever sends more waits for ever otherwise.
    drop(content);
    match (helper.answer::<()>(deadline)?, taken) {
        (Ok(()), Some(taken)) => Ok(taken),
        (Ok(()), None) => Err(HelperError::Nonsense("it was done before the disk ended").into()),
        (Err(why), _) => Err(ImportError::Refused(why)),
    }
}

/// What the helper sends, read with suspicion.
struct Content {
    socket: UnixStream,
    deadline: Deadline,
}

impl Content {
    /// All of it. `None` if the helper ended before: its answer says why.
    fn take(
        &mut self,
        limits: &Limits,
        output: &File,
        progress: Progress<'_>,
    ) -> Result<Option<(String, u64)>, ImportError> {
        let Some(size_bytes) = self.number()? else { return Ok(None) };
        if size_bytes == 0 || !size_bytes.is_multiple_of(SECTOR_BYTES) {
            return Err(HelperError::Nonsense("a disk of impossible size").into());
        }
        if size_bytes > limits.max_image_bytes {
            return Err(ImportError::TooLarge { bytes: size_bytes, limit: limits.max_image_bytes });
        }
        let doing = || failed("write the image into the store".to_owned());
        let mut writer = SparseWriter::new(output);
        let mut buffer = vec![0; MAX_PIECE_BYTES];
        let mut told = 0;
        progress(0, size_bytes);
        while writer.offset() < size_bytes {
            let Some(number) = self.number()? else { return Ok(None) };
            let mut length = number & !ZEROES;
            if length > size_bytes - writer.offset() {
                return Err(HelperError::Nonsense("more than there is on the disk").into());
            }
            if number & ZEROES == 0 {
                let piece = usize::try_from(length).ok().and_then(|length| buffer.get_mut(..length));
                let piece = piece.ok_or(HelperError::Nonsense("a piece that is too long"))?;
                if !self.fill(piece)? {
                    return Ok(None);
                }
                writer.data(piece).map_err(doing())?;
                length = 0;
            }
            while length > 0 {
                self.deadline.left()?;
                let step = length.min(STEP_BYTES);
                writer.zeroes(step);
                length -= step;
                progress(writer.offset(), size_bytes);
            }
            if writer.offset() - told >= STEP_BYTES || writer.offset() == size_bytes {
                told = writer.offset();
                progress(told, size_bytes);
            }
        }
        let hash = writer.finish().map_err(doing())?;
        Ok(Some((hash, size_bytes)))
    }

    fn number(&mut self) -> Result<Option<u64>, HelperError> {
        let mut bytes = [0; 8];
        Ok(self.fill(&mut bytes)?.then(|| u64::from_le_bytes(bytes)))
    }

    /// Fills `buffer`. False if the helper ended before.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<bool, HelperError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.deadline.read(&mut self.socket, &mut buffer[filled..])? {
                0 => return Ok(false),
                length => filled += length,
            }
        }
        Ok(true)
    }
}
