//! Client tokens: a request that is repeated with the same token leads to what it led to before, also after a restart; one
//! with other parameters is refused.

use sha2::{Digest, Sha256};

use super::{Compute, ComputeError};
use crate::resource::ClientToken;
use crate::store::{Condition, Key, Write, get, put};

/// Most characters of a token: EC2's and Alibaba's limit.
const MAX_TOKEN: usize = 64;

/// A token as it came with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What was asked for, as `ec2/RunInstances`: tokens of different operations have nothing to do with each other.
    pub operation: &'static str,
    /// The token.
    pub token: String,
    /// The request's parameters in a form that is the same when they are, without the token.
    pub parameters: String,
}

impl Token {
    fn key(&self, account: &str) -> Result<Key, ComputeError> {
        let count = self.token.chars().count();
        if count == 0 || count > MAX_TOKEN {
            let why = format!("has {count} characters, and must have 1 to {MAX_TOKEN}");
            return Err(ComputeError::invalid("client_token", why));
        }
        let name = digest(&format!("{}\n{}", self.operation, self.token));
        Ok(Key::new(["client-token", account, &name]).expect("accounts and hashes are plain words"))
    }
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Compute {
    /// What the token led to before, if it was used.
    ///
    /// # Errors
    ///
    /// It was used with other parameters, or is no token.
    pub(super) async fn used_token(
        &self,
        account: &str,
        token: Option<&Token>,
    ) -> Result<Option<Vec<String>>, ComputeError> {
        let Some(token) = token else { return Ok(None) };
        match get::<ClientToken>(&*self.store, &token.key(account)?).await? {
            None => Ok(None),
            Some(used) if used.value.request == digest(&token.parameters) => Ok(Some(used.value.result)),
            Some(_) => Err(ComputeError::TokenMismatch),
        }
    }

    /// What keeps the token with what it leads to, in the same transaction.
    pub(super) fn use_token(
        &self,
        account: &str,
        token: Option<&Token>,
        result: Vec<String>,
    ) -> Result<Option<(Condition, Write)>, ComputeError> {
        let Some(token) = token else { return Ok(None) };
        let key = token.key(account)?;
        let used = ClientToken { request: digest(&token.parameters), result, created: self.clock.now() };
        Ok(Some((Condition::Absent(key.clone()), put(key, &used))))
    }
}
