//! Requests that somebody signed, and what may become of them on their way: whatever is taken for signed says what one of the
//! signed ones says. Called by the fuzz targets `soap` and `ec2_query`, and by the test that replays their corpora.
#![allow(dead_code)] // Each target has its own half.

use std::sync::OnceLock;

use dialects::ec2::reading::{self, Signed};
use hyper::Request;

/// The key of the messages by Query, as guides print it.
const SECRET: &str = "DMADSSfPfdaDjbK+RRUhS/aDrjsiZadgAUm8gRU2";

/// Messages that one certificate signed.
pub const MESSAGES: &[&[u8]] = &[
    include_bytes!("../corpus/soap/change_permissions"),
    include_bytes!("../corpus/soap/launch"),
    include_bytes!("../corpus/soap/list"),
    include_bytes!("../corpus/soap/of_an_old_tool"),
];

/// Requests that the key signed, by each version of signatures.
pub const REQUESTS: &[&[u8]] = &[
    include_bytes!("../corpus/ec2_query/version_0"),
    include_bytes!("../corpus/ec2_query/version_1"),
    include_bytes!("../corpus/ec2_query/version_2_get"),
    include_bytes!("../corpus/ec2_query/version_2_post"),
    include_bytes!("../corpus/ec2_query/version_4"),
    include_bytes!("../corpus/ec2_query/version_4_url"),
];

/// Takes the bytes for a SOAP message.
pub fn soap(bytes: &[u8]) {
    static KNOWN: OnceLock<Vec<Signed>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        let read = |message: &&[u8]| reading::soap(message).expect("it is signed");
        MESSAGES.iter().map(read).collect()
    });
    let Ok(signed) = reading::soap(bytes) else { return };
    // Whoever has a key of their own signs what they like, and is nobody whom an account knows.
    let is_ours = known.iter().any(|message| message.by == signed.by);
    assert!(!is_ours || known.contains(&signed), "this was never signed: {signed:?}");
}

/// Takes the bytes for a Query request: a method and a target, headers, and behind an empty line a body.
pub fn query(bytes: &[u8]) {
    static KNOWN: OnceLock<Vec<Covered>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        let read = |request: &&[u8]| by_query(request).expect("it is signed");
        REQUESTS.iter().map(read).collect()
    });
    let Some(covered) = by_query(bytes) else { return };
    assert!(known.contains(&covered), "this was never signed: {covered:?}");
}

/// The version of a signature, and what it vouches for.
type Covered = (u8, Vec<(String, String)>);

/// What a signature that is right vouches for: requests of the two old versions can say more than that.
fn by_query(bytes: &[u8]) -> Option<Covered> {
    let (signed, version) = reading::query(request(bytes)?, SECRET).ok()?;
    let mut pairs = signed.parameters;
    pairs.retain(|(name, _)| name != if version == 4 { "X-Amz-Signature" } else { "Signature" });
    match version {
        // What to do, and a moment, whatever that is of.
        0 => {
            pairs.retain(|(name, value)| {
                ["Expires", "Timestamp"].contains(&name.as_str()) && !value.is_empty()
            });
            pairs.iter_mut().for_each(|(name, _)| signed.action.clone_into(name));
        }
        // One text, in which nobody can tell a name from a value.
        1 => {
            pairs.sort_by_key(|(name, _)| name.to_ascii_lowercase());
            pairs = vec![(pairs.into_iter().map(|(name, value)| name + &value).collect(), String::new())];
        }
        _ => {}
    }
    Some((version, pairs))
}

fn request(bytes: &[u8]) -> Option<Request<Vec<u8>>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        request = request.header(name, value);
    }
    request.body(body.as_bytes().to_vec()).ok()
}
