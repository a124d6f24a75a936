//! Secrets: in memory, where nothing may print them, and in records, where they are sealed with a key that is kept apart, so
//! that a copied database does not give them away. Where that key is kept is the daemon's business.

mod sealed;

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub use sealed::{KEY_BYTES, OpenError, Sealed, SealingKey, SealingKeys};

/// A text that nobody should see: the secret of an access key, a password. It is wiped when it is dropped, shows itself
/// nowhere, and cannot be serialized but sealed.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text as a secret.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for whoever must have it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Takes the same time wherever they differ, so that nobody can guess one letter by letter.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_itself_nowhere() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?} {:?}", Some(secret.clone())), "[secret] Some([secret])");
        assert_eq!(secret, Secret::new("hunter2".to_owned()));
        assert_ne!(secret, Secret::new("hunter3".to_owned()));
        assert_ne!(secret, Secret::new("hunter".to_owned()));
    }
}
