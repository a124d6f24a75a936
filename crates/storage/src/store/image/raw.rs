//! Raw images: the file is the disk.

use super::{ImageError, MAX_PIECE_BYTES, Remaining, Sink, Source};

/// Gives the first `size_bytes` bytes of the file, and its holes as zeroes.
pub(super) fn convert(source: &impl Source, size_bytes: u64, sink: &mut impl Sink) -> Result<(), ImageError> {
    let mut disk = Remaining::begin(sink, size_bytes, source)?;
    let mut buffer = vec![0; MAX_PIECE_BYTES];
    let mut offset = 0;
    while offset < size_bytes {
        let data = source.next_data(offset).map_err(ImageError::Read)?;
        let data =
            data.map_or(size_bytes..size_bytes, |data| data.start.min(size_bytes)..data.end.min(size_bytes));
        disk.zeroes(data.start - offset)?;
        offset = data.end;
        disk.copy(source, data, &mut buffer).map_err(|error| error.of("raw"))?;
    }
    let rest = disk.bytes;
    disk.zeroes(rest)
}
