//! Tags: pairs of short texts that users hang on resources. EC2's limits, which are the widest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most tags of a resource.
pub const MAX_TAGS: usize = 50;
/// Most characters of a tag's key.
pub const MAX_TAG_KEY: usize = 128;
/// Most characters of a tag's value.
pub const MAX_TAG_VALUE: usize = 256;

/// Tags by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(pub BTreeMap<String, String>);

/// Tags that are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// Too many.
    #[error("a resource has at most {MAX_TAGS} tags")]
    TooMany,
    /// A key is empty or too long.
    #[error("a tag's key has 1 to {MAX_TAG_KEY} characters")]
    Key,
    /// A value is too long.
    #[error("a tag's value has at most {MAX_TAG_VALUE} characters")]
    Value,
    /// Control characters.
    #[error("a tag has no control characters")]
    Control,
}

impl Tags {
    /// Checks them.
    ///
    /// # Errors
    ///
    /// Too many, too long, or with control characters.
    pub fn check(&self) -> Result<(), TagError> {
        if self.0.len() > MAX_TAGS {
            return Err(TagError::TooMany);
        }
        for (key, value) in &self.0 {
            if key.is_empty() || key.chars().count() > MAX_TAG_KEY {
                return Err(TagError::Key);
            }
            if value.chars().count() > MAX_TAG_VALUE {
                return Err(TagError::Value);
            }
            if key.chars().chain(value.chars()).any(char::is_control) {
                return Err(TagError::Control);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_kept() {
        let tags = |pairs: Vec<(String, String)>| Tags(pairs.into_iter().collect());
        let many = (0..=MAX_TAGS).map(|n| (n.to_string(), String::new())).collect();
        let cases = [
            (tags(vec![]), Ok(())),
            (tags(vec![("a".repeat(128), "b".repeat(256))]), Ok(())),
            (tags(vec![("a".repeat(129), String::new())]), Err(TagError::Key)),
            (tags(vec![(String::new(), String::new())]), Err(TagError::Key)),
            (tags(vec![("a".to_owned(), "ä".repeat(257))]), Err(TagError::Value)),
            (tags(vec![("a\n".to_owned(), String::new())]), Err(TagError::Control)),
            (tags(many), Err(TagError::TooMany)),
        ];
        for (tags, expected) in cases {
            assert_eq!(tags.check(), expected);
        }
    }
}
