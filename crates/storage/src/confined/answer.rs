//! What the helper says to the process that started it: one JSON value, written here and read again with suspicion.

use crate::boot_disk::{BootEntry, MAX_CMDLINE_BYTES, printable};
use serde::{Deserialize, Serialize};

/// Most bytes of an answer. The largest honest one, with each sign of it escaped, has half as many.
pub(super) const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Most bytes of a text for people.
const MAX_TEXT_BYTES: usize = 4096;
/// Most bytes of a title or path, for people.
const MAX_NAME_BYTES: usize = 512;
/// Most initrds listed.
const MAX_NAMES: usize = 16;

/// How the helper fared.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum Answer {
    /// The files are written.
    Found(BootEntry),
    /// What is on the disk instead.
    NothingToBoot(String),
    /// The disk was not looked at.
    Unconfined(String),
    /// A panic, and where.
    Panicked(String),
}

impl Answer {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and lists of them have a form in JSON")
    }

    /// Reads an answer; texts in it come out short and printable, whatever the helper sent.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text = |text: String| printable(&text, MAX_TEXT_BYTES);
        let name = |name: String| printable(&name, MAX_NAME_BYTES);
        Some(match serde_json::from_slice(bytes).ok()? {
            Self::Found(entry) => Self::Found(BootEntry {
                title: name(entry.title),
                version: name(entry.version),
                kernel: name(entry.kernel),
                initrds: entry.initrds.into_iter().take(MAX_NAMES).map(name).collect(),
                cmdline: printable(&entry.cmdline, MAX_CMDLINE_BYTES),
            }),
            Self::NothingToBoot(why) => Self::NothingToBoot(text(why)),
            Self::Unconfined(why) => Self::Unconfined(text(why)),
            Self::Panicked(why) => Self::Panicked(text(why)),
        })
    }

    /// [`Self::NothingToBoot`] and its like, with a text that fits.
    pub(super) fn words(kind: fn(String) -> Self, text: &str) -> Self {
        kind(printable(text, MAX_TEXT_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> BootEntry {
        BootEntry {
            title: "Debian".to_owned(),
            version: "6.1".to_owned(),
            kernel: "/boot/vmlinuz-6.1".to_owned(),
            initrds: vec!["/boot/initrd.img-6.1".to_owned()],
            cmdline: "root=UUID=1 ro".to_owned(),
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        for answer in [Answer::Found(entry()), Answer::NothingToBoot("empty".to_owned())] {
            assert_eq!(Answer::from_bytes(&answer.to_bytes()), Some(answer));
        }
    }

    #[test]
    fn a_lying_helper_is_cut_short() {
        let lie = BootEntry {
            title: "\u{1b}[31m".repeat(1000),
            initrds: vec!["x".to_owned(); 100],
            cmdline: "a\nb".repeat(9999),
            ..entry()
        };
        let Some(Answer::Found(read)) = Answer::from_bytes(&Answer::Found(lie).to_bytes()) else {
            panic!("an answer all the same")
        };
        assert!(read.title.len() <= MAX_NAME_BYTES && !read.title.contains('\u{1b}'));
        assert_eq!(read.initrds.len(), MAX_NAMES);
        assert!(read.cmdline.len() <= MAX_CMDLINE_BYTES && !read.cmdline.contains('\n'));
    }

    #[test]
    fn nonsense_is_no_answer() {
        for bytes in
            ["", "{}", "[]", r#"{"found":{}}"#, r#"{"panicked":1}"#, r#"{"panicked":"a","x":1}"#, "\u{0}"]
        {
            assert_eq!(Answer::from_bytes(bytes.as_bytes()), None, "{bytes}");
        }
        let extra = r#"{"found":{"title":"","version":"","kernel":"","initrds":[],"cmdline":"","run":"rm"}}"#;
        assert_eq!(Answer::from_bytes(extra.as_bytes()), None);
    }

    #[test]
    fn the_largest_honest_answer_fits() {
        let entry = BootEntry {
            title: "\"".repeat(MAX_NAME_BYTES),
            version: "\"".repeat(MAX_NAME_BYTES),
            kernel: "\"".repeat(MAX_NAME_BYTES),
            initrds: vec!["\"".repeat(MAX_NAME_BYTES); MAX_NAMES],
            cmdline: "\"".repeat(MAX_CMDLINE_BYTES),
        };
        assert!(Answer::Found(entry).to_bytes().len() <= MAX_ANSWER_BYTES);
        let words = Answer::words(Answer::Panicked, &"\"".repeat(9999));
        assert!(words.to_bytes().len() <= MAX_ANSWER_BYTES);
    }
}
