//! Where images are fetched from: a URL, and the beginnings of URLs that an operator allows others to ask for. Both are compared
//! as they are understood, never as they are written.

use std::fmt;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::Url;

/// Longest URL, in bytes.
const MAX_BYTES: usize = 2048;

/// A URL that an image can be fetched from: by HTTP or HTTPS, and without a name and password in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageUrl(Url);

/// What is no such URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageUrlError {
    /// Too long.
    #[error("is longer than {MAX_BYTES} bytes")]
    Long,
    /// Blanks are dropped by whoever reads URLs, which would make two of one.
    #[error("has a blank or a control character in it")]
    Blank,
    /// No URL.
    #[error("is no URL: {0}")]
    Malformed(url::ParseError),
    /// Something else than HTTP.
    #[error("is fetched neither by http nor by https")]
    Scheme,
    /// It would be kept on record, and told.
    #[error("has a name or password in it, which would be kept on record")]
    UserInfo,
}

impl ImageUrl {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, ImageUrlError> {
        if text.len() > MAX_BYTES {
            return Err(ImageUrlError::Long);
        }
        if text.chars().any(|character| character.is_control() || character.is_whitespace()) {
            return Err(ImageUrlError::Blank);
        }
        Self::of(Url::parse(text).map_err(ImageUrlError::Malformed)?)
    }

    /// The same of one that was read.
    ///
    /// # Errors
    ///
    /// As `parse`.
    pub fn of(mut url: Url) -> Result<Self, ImageUrlError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ImageUrlError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ImageUrlError::UserInfo);
        }
        url.set_fragment(None);
        Ok(Self(url))
    }

    /// The whole of it.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The same as another crate has it.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Whether nobody on the way can read or change what is fetched.
    pub fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether it has more than a path, as signed URLs do.
    pub fn has_query(&self) -> bool {
        self.0.query().is_some()
    }

    /// The same without its query, which may be a signature by which others could fetch it too.
    pub fn without_query(&self) -> Self {
        let mut url = self.0.clone();
        url.set_query(None);
        Self(url)
    }

    /// The last step of its path.
    pub fn file_name(&self) -> &str {
        self.0.path().rsplit('/').next().unwrap_or_default()
    }

    /// The URL of another file in the same folder. `None` if that is no name of a file.
    pub fn beside(&self, name: &str) -> Option<Self> {
        if !is_plain(name) {
            return None;
        }
        let mut beside = self.0.clone();
        beside.set_query(None);
        beside.path_segments_mut().ok()?.pop().push(name);
        Some(Self(beside))
    }
}

impl fmt::Display for ImageUrl {
    /// Without its query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.without_query().as_str())
    }
}

impl TryFrom<String> for ImageUrl {
    type Error = ImageUrlError;

    fn try_from(text: String) -> Result<Self, ImageUrlError> {
        Self::parse(&text)
    }
}

impl From<ImageUrl> for String {
    fn from(url: ImageUrl) -> Self {
        url.0.into()
    }
}

/// A folder of a server below which images may be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UrlPrefix(ImageUrl);

/// What is no such folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlPrefixError {
    /// It is no URL at all.
    #[error(transparent)]
    Url(#[from] ImageUrlError),
    /// It would be no folder.
    #[error("has a query, and is to be a folder")]
    Query,
    /// What servers make of these is not agreed upon.
    #[error("has an empty step, a dot or an encoded slash in its path")]
    Path,
}

impl UrlPrefix {
    /// Reads one; with or without a slash at its end.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, UrlPrefixError> {
        let url = ImageUrl::parse(text)?;
        if url.has_query() {
            return Err(UrlPrefixError::Query);
        }
        let steps = written_steps(text);
        let folder = steps.strip_suffix(&[""]).unwrap_or(&steps);
        if !folder.iter().all(|step| is_plain(step)) {
            return Err(UrlPrefixError::Path);
        }
        Ok(Self(url))
    }

    /// Whether a URL leads to a file below this folder: the same scheme, host and port, and each step of the path.
    pub fn covers(&self, url: &ImageUrl) -> bool {
        let (ours, theirs) = (&self.0.0, &url.0);
        let is_same_server = ours.scheme() == theirs.scheme()
            && ours.host() == theirs.host()
            && ours.port_or_known_default() == theirs.port_or_known_default();
        let (mut folder, steps) = (steps(ours), steps(theirs));
        if folder.last() == Some(&"") {
            folder.pop();
        }
        is_same_server
            && steps.len() > folder.len()
            && steps.starts_with(&folder)
            && steps.iter().all(|step| is_plain(step))
    }

    /// The URL that a caller wrote, if it leads below one of these folders, and by no detour.
    pub fn allowed(prefixes: &[Self], text: &str) -> Option<ImageUrl> {
        let url = ImageUrl::parse(text).ok()?;
        let is_plain = !url.has_query() && written_steps(text).into_iter().all(is_plain);
        (is_plain && prefixes.iter().any(|prefix| prefix.covers(&url))).then_some(url)
    }
}

impl TryFrom<String> for UrlPrefix {
    type Error = UrlPrefixError;

    fn try_from(text: String) -> Result<Self, UrlPrefixError> {
        Self::parse(&text)
    }
}

impl From<UrlPrefix> for String {
    fn from(prefix: UrlPrefix) -> Self {
        prefix.0.into()
    }
}

fn steps(url: &Url) -> Vec<&str> {
    url.path_segments().map(Iterator::collect).unwrap_or_default()
}

/// The steps of a path as they were written, before steps upwards were taken.
fn written_steps(text: &str) -> Vec<&str> {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    after_scheme.split('/').skip(1).collect()
}

/// Whether a step is the name of a file or folder to any server: also to those that decode it first, or more than once.
fn is_plain(step: &str) -> bool {
    let decoded = percent_decode_str(step).decode_utf8_lossy();
    let is_odd =
        |character: char| matches!(character, '/' | '\\' | '%' | '?' | '#') || character.is_control();
    !matches!(&*decoded, "" | "." | "..") && !decoded.contains(is_odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_http_and_tells_no_secret() {
        for (text, error) in [
            ("file:///etc/passwd", ImageUrlError::Scheme),
            ("ftp://example.org/a.img", ImageUrlError::Scheme),
            ("https://me:word@example.org/a.img", ImageUrlError::UserInfo),
            ("https://me@example.org/a.img", ImageUrlError::UserInfo),
            ("https://example.org/a b", ImageUrlError::Blank),
            ("https://example.org/a\n", ImageUrlError::Blank),
            ("https://", ImageUrlError::Malformed(url::ParseError::EmptyHost)),
            ("a.img", ImageUrlError::Malformed(url::ParseError::RelativeUrlWithoutBase)),
            (&format!("https://example.org/{}", "a".repeat(MAX_BYTES)), ImageUrlError::Long),
        ] {
            assert_eq!(ImageUrl::parse(text), Err(error), "{text}");
        }
        let signed = ImageUrl::parse("https://Example.org:443/a/b.qcow2?signature=secret#part").unwrap();
        assert_eq!(signed.as_str(), "https://example.org/a/b.qcow2?signature=secret");
        assert_eq!(signed.to_string(), "https://example.org/a/b.qcow2");
        assert_eq!(signed.file_name(), "b.qcow2");
        assert_eq!(signed.beside("c.img").unwrap().as_str(), "https://example.org/a/c.img");
        for name in ["", "..", "../c.img", "%2e%2e", "a/b", "a\\b", "a%2fb", "c.img?x"] {
            assert_eq!(signed.beside(name), None, "{name}");
        }
        let json = serde_json::to_string(&signed).unwrap();
        assert_eq!(serde_json::from_str::<ImageUrl>(&json).unwrap(), signed);
    }

    #[test]
    fn a_prefix_covers_what_is_below_it_on_its_own_server() {
        let prefixes = ["https://images.example.org/pub", "http://10.0.0.5:8080/"]
            .map(|text| UrlPrefix::parse(text).unwrap());
        for text in [
            "https://images.example.org/pub/a.img",
            "https://IMAGES.example.org:443/pub/debian/12/a%20b.img",
            "http://10.0.0.5:8080/a.manifest.xml",
        ] {
            assert!(UrlPrefix::allowed(&prefixes, text).is_some(), "{text}");
        }
        for text in [
            "http://images.example.org/pub/a.img",
            "https://images.example.org:8443/pub/a.img",
            "https://images.example.org/public/a.img",
            "https://images.example.org/pub",
            "https://images.example.org/pub/",
            "https://images.example.org/a.img",
            "https://images.example.org.evil.example/pub/a.img",
            "https://evil.example/https://images.example.org/pub/a.img",
            "https://images.example.org@evil.example/pub/a.img",
            "https://me@images.example.org/pub/a.img",
            "https://images.example.org\\@evil.example/pub/a.img",
            "https://images.example.org/pub/../a.img",
            "https://images.example.org/pub/x/../a.img",
            "https://images.example.org/x/../pub/a.img",
            "https://images.example.org/pub/%2e%2e/a.img",
            "https://images.example.org/pub/..%2fa.img",
            "https://images.example.org/pub/..%5ca.img",
            "https://images.example.org/pub/..\\a.img",
            "https://images.example.org/pub/%252e%252e/a.img",
            "https://images.example.org/pub/./a.img",
            "https://images.example.org/pub//a.img",
            "https://images.example.org/pub/a.img?to=http://10.0.0.1/",
            "https://images.example.org/pub/a.img%00",
            "http://10.0.0.5/a.img",
            "http://10.0.0.6:8080/a.img",
            "file:///etc/passwd",
            "",
        ] {
            assert_eq!(UrlPrefix::allowed(&prefixes, text), None, "{text}");
        }
        // Numbers are compared as numbers, whatever way they were written.
        assert!(UrlPrefix::allowed(&prefixes, "http://0x0a000005:8080/a.img").is_some());
        assert_eq!(UrlPrefix::allowed(&[], "https://images.example.org/pub/a.img"), None);
    }

    #[test]
    fn what_is_no_folder_is_no_prefix() {
        for text in [
            "images.example.org",
            "ftp://images.example.org/",
            "https://me:word@images.example.org/",
            "https://images.example.org/?a=b",
            "https://images.example.org/a/../b",
            "https://images.example.org/a//b/",
            "https://images.example.org/a%2fb/",
        ] {
            assert!(UrlPrefix::parse(text).is_err(), "{text}");
        }
    }
}
