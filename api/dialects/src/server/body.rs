//! Bodies of requests, within limits of size and time.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is too large.
    #[error("the body is larger than {most} bytes")]
    TooLarge {
        /// As much as may be.
        most: usize,
    },
    /// The client ended in the midst of it.
    #[error("the body broke off: {0}")]
    BrokeOff(hyper::Error),
    /// It did not come in time.
    #[error("the body did not arrive within {} s", limit.as_secs_f32())]
    TooSlow {
        /// The time.
        limit: Duration,
    },
}

/// The whole body, at most `most` bytes, if it comes within `limit`.
pub async fn read_body(body: &mut Incoming, most: usize, limit: Duration) -> Result<Vec<u8>, BodyError> {
    if body.size_hint().lower() > most as u64 {
        return Err(BodyError::TooLarge { most });
    }
    let mut bytes = Vec::new();
    let read = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(BodyError::BrokeOff)?;
            let Some(data) = frame.data_ref() else { continue };
            if bytes.len() + data.len() > most {
                return Err(BodyError::TooLarge { most });
            }
            bytes.extend_from_slice(data);
        }
        Ok(())
    };
    match timeout(limit, read).await {
        Ok(Ok(())) => Ok(bytes),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(BodyError::TooSlow { limit }),
    }
}

/// Reads a body and throws it away, for a while: many clients look for an answer only when they have sent everything, and
/// would find a broken connection instead.
pub fn drain(mut body: Incoming, limit: Duration) {
    if !body.is_end_stream() {
        let rest = async move { while let Some(Ok(_)) = body.frame().await {} };
        tokio::spawn(timeout(limit, rest));
    }
}
