//! Session tokens (EC2's IMDSv2, Alibaba's enhanced mode, Huawei's), which protect a guest from being talked into asking for
//! somebody else: who only gets a `GET` through has none. They are signed, not kept, so that a guest that asks for many
//! costs nothing.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE;
use compute::id::InstanceId;
use jiff::{SignedDuration, Timestamp};

/// Longest life, in seconds: six hours, as each cloud has it.
pub const MAX_TTL_S: u32 = 21_600;

/// Longest token that is looked at.
const MAX_CHARS: usize = 128;

/// Gives tokens, and knows them again. Each process has its own.
pub struct Tokens(hmac::Key);

impl Tokens {
    /// With a key drawn by chance.
    pub fn new() -> Self {
        // Fails only where the system has no chance to give, and there nothing else works either.
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self(key.expect("the system gives random bytes"))
    }

    /// A token for an instance, good for `ttl_s` seconds from now.
    pub fn give(&self, instance: InstanceId, ttl_s: u32, now: Timestamp) -> String {
        let life = SignedDuration::from_secs(ttl_s.into());
        let ends = now.saturating_add(life).unwrap_or(Timestamp::MAX).as_millisecond();
        let mut bytes = ends.to_be_bytes().to_vec();
        bytes.extend_from_slice(hmac::sign(&self.0, &signed(instance, ends)).as_ref());
        BASE64_URL_SAFE.encode(bytes)
    }

    /// Whether a text is a token of this instance that has not ended.
    pub fn is_good(&self, token: &[u8], instance: InstanceId, now: Timestamp) -> bool {
        if token.len() > MAX_CHARS {
            return false;
        }
        let Ok(bytes) = BASE64_URL_SAFE.decode(token) else { return false };
        let Some((ends, signature)) = bytes.split_first_chunk::<8>() else { return false };
        let ends = i64::from_be_bytes(*ends);
        let left = ends.saturating_sub(now.as_millisecond());
        // More is left than any has when the clock was set back.
        (1..=i64::from(MAX_TTL_S) * 1000).contains(&left)
            && hmac::verify(&self.0, &signed(instance, ends), signature).is_ok()
    }
}

fn signed(instance: InstanceId, ends: i64) -> Vec<u8> {
    format!("{instance} {ends}").into_bytes()
}

/// The life that was asked for, in seconds: digits that say 1 to `MAX_TTL_S`.
pub fn ttl_s(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?.trim_matches([' ', '\t']);
    let ttl = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
    ttl.filter(|ttl| (1..=MAX_TTL_S).contains(ttl))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_instance_and_its_time() {
        let (tokens, mine, other) = (Tokens::new(), InstanceId::new(1), InstanceId::new(2));
        let at = |second| Timestamp::from_second(second).unwrap();
        let token = tokens.give(mine, 60, at(1000)).into_bytes();
        assert!(tokens.is_good(&token, mine, at(1000)) && tokens.is_good(&token, mine, at(1059)));
        assert!(!tokens.is_good(&token, mine, at(1060)));
        assert!(!tokens.is_good(&token, other, at(1000)));
        assert!(!Tokens::new().is_good(&token, mine, at(1000)));
        // A clock that was set back by a day.
        assert!(!tokens.is_good(&token, mine, at(1000 - 86_400)));
        for place in 0..token.len() {
            let mut forged = token.clone();
            forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
            assert!(!tokens.is_good(&forged, mine, at(1000)), "{place}");
        }
        for wrong in [&b""[..], b"=", b"AAAA", &token[1..], &b"A".repeat(4000)] {
            assert!(!tokens.is_good(wrong, mine, at(1000)));
        }
    }

    #[test]
    fn lives_have_bounds() {
        let cases: [(&str, Option<u32>); 11] = [
            ("1", Some(1)),
            (" 21600 ", Some(21_600)),
            ("0021600", Some(21_600)),
            ("0", None),
            ("21601", None),
            ("", None),
            ("+5", None),
            ("-5", None),
            ("5.0", None),
            ("5 5", None),
            ("99999999999999999999", None),
        ];
        for (text, expected) in cases {
            assert_eq!(ttl_s(text.as_bytes()), expected, "{text:?}");
        }
    }
}
