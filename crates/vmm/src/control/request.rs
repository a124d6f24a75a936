//! Requests: their query and their body, within limits of size and time.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Body, Incoming};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use vmm_api::{ErrorBody, ErrorCode, MAX_BODY_BYTES};

/// Longest time for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The numbers that a query gives under `names`, in their order. Anything else in the query is refused.
pub fn numbers<const N: usize>(query: Option<&str>, names: [&str; N]) -> Result<[Option<u64>; N], ErrorBody> {
    let mut values = [None; N];
    for parameter in query.unwrap_or("").split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let Some(index) = names.iter().position(|known| *known == name) else {
            let hint = if N == 0 {
                "this takes none".to_owned()
            } else {
                format!("known are: {}", names.join(", "))
            };
            return Err(malformed(format!("the query parameter {name:?} is not known"), hint));
        };
        match value.parse() {
            Ok(number) if values[index].is_none() => values[index] = Some(number),
            Ok(_) => {
                return Err(malformed(
                    format!("the query parameter {name:?} is given twice"),
                    "give it once",
                ));
            }
            Err(_) => {
                let message = format!("the query parameter {name:?} is {value:?}, which is no number");
                return Err(malformed(message, "give a decimal number"));
            }
        }
    }
    Ok(values)
}

/// The body as JSON.
pub async fn json<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, ErrorBody> {
    let bytes = body(request).await?;
    if bytes.is_empty() {
        return Err(malformed("the request has no body", "send the configuration as JSON"));
    }
    // Names the field too, where serde_json alone gives line and column.
    let mut json = serde_json::Deserializer::from_slice(&bytes);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| error.to_string());
    // Only white space may follow.
    let parsed = parsed.and_then(|value| json.end().map(|()| value).map_err(|error| error.to_string()));
    parsed.map_err(|error| {
        malformed(
            format!("the body is not what is expected: {error}"),
            "see api/contracts/vmm.json for its shape",
        )
    })
}

/// Refuses a body where there is nothing to say.
pub async fn no_body(request: Request<Incoming>) -> Result<(), ErrorBody> {
    match body(request).await? {
        bytes if bytes.is_empty() => Ok(()),
        _ => Err(malformed("this request takes no body", "send it without one")),
    }
}

/// The whole body, at most `MAX_BODY_BYTES`.
async fn body(request: Request<Incoming>) -> Result<Vec<u8>, ErrorBody> {
    let mut body = request.into_body();
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(too_large(body));
    }
    let mut bytes = Vec::new();
    let read = async {
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| malformed(format!("the body broke off: {error}"), "send it again"))?;
            let Some(data) = frame.data_ref() else { continue };
            if bytes.len() + data.len() > MAX_BODY_BYTES {
                return Ok(false);
            }
            bytes.extend_from_slice(data);
        }
        Ok(true)
    };
    match timeout(BODY_TIMEOUT, read).await {
        Ok(Ok(true)) => Ok(bytes),
        Ok(Ok(false)) => Err(too_large(body)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(ErrorCode::RequestTimeout.body(
            format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs()),
            "send the whole body at once",
        )),
    }
}

/// The refusal is sent at once. What still comes of the body is read and thrown away for a while: many clients look for
/// an answer only when they have sent everything, and would find a broken connection instead.
fn too_large(mut body: Incoming) -> ErrorBody {
    tokio::spawn(timeout(BODY_TIMEOUT, async move { while let Some(Ok(_)) = body.frame().await {} }));
    let message = format!("the body is larger than {MAX_BODY_BYTES} bytes");
    ErrorCode::BodyTooLarge.body(message, "send only what the request needs")
}

fn malformed(message: impl Into<String>, hint: impl Into<String>) -> ErrorBody {
    ErrorCode::MalformedRequest.body(message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_have_only_known_numbers() {
        let names = ["since", "wait_ms"];
        assert_eq!(numbers(None, names), Ok([None, None]));
        assert_eq!(
            numbers(Some("wait_ms=5&since=18446744073709551615"), names),
            Ok([Some(u64::MAX), Some(5)])
        );
        for query in
            ["since", "since=", "since=-1", "since=1&since=2", "wait=1", "since=18446744073709551616", "=1"]
        {
            assert_eq!(numbers(Some(query), names).unwrap_err().code, ErrorCode::MalformedRequest, "{query}");
        }
        assert!(numbers(Some("a=1"), []).unwrap_err().hint.contains("none"));
    }
}
