//! What a helper says to the process that started it: one JSON value, written here and read again with suspicion.

use crate::boot_disk::printable;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Most bytes of an answer. The largest honest one, with each sign of it escaped, has half as many.
pub(super) const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Most bytes of a text for people.
const MAX_TEXT_BYTES: usize = 4096;

/// How the helper fared.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum Answer<T> {
    /// What was asked for is done. What this says is not yet checked.
    Done(T),
    /// The disk is not of the kind that was asked for: what is on it instead.
    Refused(String),
    /// The disk was not looked at.
    Unconfined(String),
    /// A panic, and where.
    Panicked(String),
}

impl<T: Serialize> Answer<T> {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and lists of them have a form in JSON")
    }
}

impl<T> Answer<T> {
    /// [`Self::Refused`] and its like, with a text that fits.
    pub(super) fn words(kind: fn(String) -> Self, text: &str) -> Self {
        kind(printable(text, MAX_TEXT_BYTES))
    }
}

impl<T: DeserializeOwned> Answer<T> {
    /// Reads an answer; its texts come out short and printable, whatever the helper sent.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text = |text: String| printable(&text, MAX_TEXT_BYTES);
        Some(match serde_json::from_slice(bytes).ok()? {
            Self::Done(done) => Self::Done(done),
            Self::Refused(why) => Self::Refused(text(why)),
            Self::Unconfined(why) => Self::Unconfined(text(why)),
            Self::Panicked(why) => Self::Panicked(text(why)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was() {
        for answer in [Answer::Done(7), Answer::Refused("empty".to_owned())] {
            assert_eq!(Answer::from_bytes(&answer.to_bytes()), Some(answer));
        }
    }

    #[test]
    fn nonsense_is_no_answer() {
        for bytes in
            ["", "{}", "[]", r#"{"done":{}}"#, r#"{"panicked":1}"#, r#"{"panicked":"a","x":1}"#, "\u{0}"]
        {
            assert_eq!(Answer::<u8>::from_bytes(bytes.as_bytes()), None, "{bytes}");
        }
    }

    #[test]
    fn the_longest_text_fits() {
        let words: Answer<()> = Answer::words(Answer::Panicked, &"\"".repeat(9999));
        assert!(words.to_bytes().len() <= MAX_ANSWER_BYTES);
        let Some(Answer::Refused(read)) =
            Answer::<()>::from_bytes(&Answer::<()>::Refused("\u{1b}[31m".repeat(9999)).to_bytes())
        else {
            panic!("an answer all the same")
        };
        assert!(read.len() <= MAX_TEXT_BYTES && !read.contains('\u{1b}'));
    }
}
