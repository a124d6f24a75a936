//! Keys: a path of short plain words, `instance/i-1a2b3c4d`. They sort as their bytes do.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Most bytes of a key.
pub const MAX_KEY_BYTES: usize = 512;

/// A key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(String);

/// A text that is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no key: {why}")]
pub struct KeyError {
    text: String,
    why: &'static str,
}

impl Key {
    /// The key as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A path of words. What users choose, such as a name, is no word: encode it.
    ///
    /// # Errors
    ///
    /// A word is empty or has other characters than letters, digits and `-`, `_`, `.`, `:`, `=`, `@`; or all is too long.
    pub fn new<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, KeyError> {
        words.into_iter().collect::<Vec<_>>().join("/").parse()
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let refuse = |why| {
            let text = text.chars().take(64).collect();
            Err(KeyError { text, why })
        };
        if text.len() > MAX_KEY_BYTES {
            return refuse("it is longer than 512 bytes");
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:=@".contains(c);
        for word in text.split('/') {
            if word.is_empty() {
                return refuse("a word in it is empty");
            }
            if !word.chars().all(is_plain) {
                return refuse("it has a character that keys do not have");
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Key {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}

/// Keys sort, hash and compare as their texts.
impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_path_of_plain_words() {
        assert_eq!(Key::new(["instance", "i-1a2b3c4d"]).unwrap().as_str(), "instance/i-1a2b3c4d");
        let long = "a".repeat(MAX_KEY_BYTES + 1);
        for text in ["", "/", "a//b", "a/", "a b", "ä", "a\0", "a%", &long] {
            assert!(text.parse::<Key>().is_err(), "{text:?}");
            assert!(serde_json::from_value::<Key>(serde_json::json!(text)).is_err(), "{text:?}");
        }
        assert!(long[1..].parse::<Key>().is_ok());
    }
}
