//! What an instance's metadata service does for its guest.

use serde::{Deserialize, Serialize};

/// Most hops that an answer with a token may be from the guest.
pub const MAX_HOP_LIMIT: u8 = 64;
/// What reaches whatever is behind a guest.
const USUAL_TTL: u8 = 64;

/// How a guest gets at its metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetadataOptions {
    /// Whether it is answered at all.
    pub enabled: bool,
    /// Whether it has to show a token.
    pub tokens: MetadataTokens,
    /// How many hops an answer with a token gets, from 1 to `MAX_HOP_LIMIT`: 1 reaches the guest and nothing behind it.
    pub hop_limit: u8,
    /// Whether the instance's tags are among its metadata.
    pub tags: bool,
}

/// Whether a guest has to show a token (EC2's IMDSv2, Alibaba's enhanced mode).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetadataTokens {
    /// It may.
    #[default]
    Optional,
    /// It must.
    Required,
}

/// What is to be changed of them; what is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetadataChange {
    /// Whether it is answered at all.
    pub enabled: Option<bool>,
    /// Whether it has to show a token.
    pub tokens: Option<MetadataTokens>,
    /// How many hops an answer with a token gets.
    pub hop_limit: Option<u8>,
    /// Whether the instance's tags are among its metadata.
    pub tags: Option<bool>,
}

/// A hop limit out of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hop limit is 1 to {MAX_HOP_LIMIT}, not {0}")]
pub struct HopLimitError(u8);

impl Default for MetadataOptions {
    /// As all clouds begin, and as the oldest guests need it.
    fn default() -> Self {
        Self { enabled: true, tokens: MetadataTokens::Optional, hop_limit: 1, tags: false }
    }
}

impl MetadataOptions {
    /// Checks them.
    ///
    /// # Errors
    ///
    /// The hop limit is out of its bounds.
    pub fn check(self) -> Result<(), HopLimitError> {
        if (1..=MAX_HOP_LIMIT).contains(&self.hop_limit) {
            Ok(())
        } else {
            Err(HopLimitError(self.hop_limit))
        }
    }

    /// The TTL of the packets that come from the metadata service, all of them: what carries a token is not told from what
    /// does not. Without tokens it protects nothing, and keeps containers from what any `GET` gives; so the hop limit only
    /// counts where they are required.
    pub fn ttl(self) -> u8 {
        match self.tokens {
            MetadataTokens::Optional => USUAL_TTL,
            MetadataTokens::Required => self.hop_limit,
        }
    }

    /// These with a change.
    #[must_use]
    pub fn changed(self, change: MetadataChange) -> Self {
        Self {
            enabled: change.enabled.unwrap_or(self.enabled),
            tokens: change.tokens.unwrap_or(self.tokens),
            hop_limit: change.hop_limit.unwrap_or(self.hop_limit),
            tags: change.tags.unwrap_or(self.tags),
        }
    }
}

impl From<MetadataOptions> for MetadataChange {
    /// The change that leads to these.
    fn from(all: MetadataOptions) -> Self {
        Self {
            enabled: Some(all.enabled),
            tokens: Some(all.tokens),
            hop_limit: Some(all.hop_limit),
            tags: Some(all.tags),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_have_bounds() {
        for (hop_limit, is_right) in [(0, false), (1, true), (64, true), (65, false)] {
            let options = MetadataOptions { hop_limit, ..MetadataOptions::default() };
            assert_eq!(options.check().is_ok(), is_right, "{hop_limit}");
        }
    }

    #[test]
    fn the_hop_limit_counts_where_tokens_do() {
        let options = MetadataOptions { hop_limit: 2, ..MetadataOptions::default() };
        assert_eq!(options.ttl(), 64);
        assert_eq!(MetadataOptions { tokens: MetadataTokens::Required, ..options }.ttl(), 2);
    }

    #[test]
    fn what_is_not_named_stays() {
        let before = MetadataOptions { enabled: false, hop_limit: 7, ..MetadataOptions::default() };
        let change = MetadataChange { tags: Some(true), ..MetadataChange::default() };
        assert_eq!(before.changed(change), MetadataOptions { tags: true, ..before });
        assert_eq!(MetadataOptions::default().changed(before.into()), before);
    }

    #[test]
    fn options_of_old_records_are_the_default() {
        assert_eq!(serde_json::from_str::<MetadataOptions>("{}").unwrap(), MetadataOptions::default());
    }
}
