//! Names that users choose for accounts, users, roles and policies: RAM's letters, which are those that every cloud takes
//! and that can stand in a key, an ARN and a path as they are.

use serde::de::DeserializeOwned;

use crate::store::{Kept, Key};

use super::{AccountId, CreateError, Identity, Kind, StoreFailed, key};

/// Most characters of a description, as RAM has it.
pub const MAX_DESCRIPTION_CHARS: usize = 1024;

/// A text that can be no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} can be no name: use 1 to {max} letters of ASCII, digits, `.`, `-` and `_`")]
pub struct NameError {
    text: String,
    max: usize,
}

/// Most characters of a name of this kind: RAM's limits.
fn max(kind: Kind) -> usize {
    if kind == Kind::Policy { 128 } else { 64 }
}

fn is_name(kind: Kind, text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (1..=max(kind)).contains(&text.len()) && text.bytes().all(is_letter)
}

/// Refuses what can be no name.
pub fn check(kind: Kind, text: &str) -> Result<(), NameError> {
    if is_name(kind, text) {
        return Ok(());
    }
    // Whatever the caller sent goes into a message: not all of it.
    Err(NameError { text: text.chars().take(64).collect(), max: max(kind) })
}

/// Refuses a description that is too long.
pub fn check_description(text: &str) -> Result<(), CreateError> {
    match text.chars().count() {
        0..=MAX_DESCRIPTION_CHARS => Ok(()),
        chars => Err(CreateError::Description { chars }),
    }
}

/// The key of what has this name, in lower case: two names that differ only in that are one too many for people. `None` if
/// nothing can have it.
pub fn key_of(kind: Kind, account: AccountId, name: &str) -> Option<Key> {
    let folder = match kind {
        Kind::User => "user",
        Kind::Role => "role",
        Kind::Policy => "policy",
        Kind::Account | Kind::AccessKey | Kind::Certificate => return None,
    };
    is_name(kind, name).then(|| key([folder, &account.to_string(), &name.to_ascii_lowercase()]))
}

/// What an account has under names of its own.
pub trait Named: DeserializeOwned {
    /// What it is.
    const KIND: Kind;

    /// Its name.
    fn name(&self) -> &str;
}

impl Identity {
    /// What has exactly this name: policies name things with their case, and who is found under another could not be
    /// named by them.
    pub(super) async fn named<T: Named>(
        &self,
        account: AccountId,
        name: &str,
    ) -> Result<Option<Kept<T>>, StoreFailed> {
        let Some(key) = key_of(T::KIND, account, name) else { return Ok(None) };
        Ok(self.get::<T>(&key).await?.filter(|kept| kept.value.name() == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_plain_letters() {
        let long = "a".repeat(128);
        for name in ["a", "EcsRamRoleTest", "ecs-role_1.x", &long[..64]] {
            assert_eq!(check(Kind::User, name), Ok(()), "{name}");
        }
        assert!(check(Kind::User, &long).is_err() && check(Kind::Policy, &long).is_ok());
        for name in ["", "a b", "a/b", "*", "a*", "a?", "a:b", "a@b", "é", "a\0", "${x}"] {
            let error = check(Kind::Role, name).unwrap_err().to_string();
            assert!(error.contains("1 to 64"), "{error}");
            assert_eq!(key_of(Kind::Role, AccountId::new(1), name), None);
        }
    }
}
