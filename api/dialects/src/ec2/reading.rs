//! What a request says and who signed it, of its bytes alone: no core, no clock. For fuzzing, and for the replay of what that
//! found. The way is that of requests that are answered, up to where somebody has to be known.

use compute::secrets::Secret;
use hyper::Request;
use jiff::Timestamp;

use super::auth::Claim;
use super::errors::Refusal;
use super::parameters::Parameters;
use super::version::Api;
use super::y2007::shapes;
use super::{actions, query, soap};

/// What a request says whose signature is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The action.
    pub action: &'static str,
    /// Names and values of its parameters, in the order of the names.
    pub parameters: Vec<(String, String)>,
    /// Who signed: the certificate in DER, or the id of the key.
    pub by: Vec<u8>,
    /// From when and until when it is good, as it says.
    pub moments: [Option<Timestamp>; 2],
}

impl Signed {
    pub(super) fn new(
        action: &'static str,
        parameters: &Parameters,
        by: Vec<u8>,
        moments: [Option<Timestamp>; 2],
    ) -> Self {
        let pairs = parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { action, parameters: pairs.collect(), by, moments }
    }
}

/// What a SOAP message says that its certificate signed, whosever that is.
///
/// # Errors
///
/// The code by which it is refused.
pub fn soap(message: &[u8]) -> Result<Signed, String> {
    soap::signed(message).map_err(|refusal| refusal.code.into_owned())
}

/// What a Query request says that is signed with this secret, and by which version of signatures.
///
/// # Errors
///
/// The code by which it is refused.
pub fn query(request: Request<Vec<u8>>, secret: &str) -> Result<(Signed, u8), String> {
    by_query(request, secret).map_err(|refusal| refusal.code.into_owned())
}

fn by_query(request: Request<Vec<u8>>, secret: &str) -> Result<(Signed, u8), Refusal> {
    let (parts, body) = request.into_parts();
    let asked = query::read(&parts, &body)?;
    let row = actions::find(asked.version.api, &asked.action)?;
    let claim = Claim::of(&parts, &asked, &body)?;
    if !claim.is_right(&Secret::new(secret.to_owned())) {
        return Err(Refusal::wrong_signature());
    }
    if row.api == Api::Y2007 {
        shapes::check_query(row.name, &asked.parameters)?;
    }
    let (version, (from, end)) = (claim.version, claim.good);
    let by = claim.key.into_bytes();
    Ok((Signed::new(row.name, &asked.parameters, by, [Some(from), Some(end)]), version))
}
