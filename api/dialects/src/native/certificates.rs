//! X.509 certificates of an account, whose keys sign requests of EC2's API by SOAP. Users have none: who signs is the account.

use compute::identity::Fingerprint;
use native_api::{ErrorBody, Page, PageQuery, UploadCertificate};

use super::answer::{Answer, created, done, ok};
use super::errors::OrRefuse;
use super::request::{after, no_token, page_size, token};
use super::{Call, convert};

/// UploadCertificate.
pub async fn upload(call: &Call<'_>, request: UploadCertificate) -> Result<Answer, ErrorBody> {
    let (account, pem) = (call.caller.account, request.pem.as_str());
    let certificate = call.identity().upload_certificate(account, pem, call.now()).await.or_refuse()?;
    created(&convert::certificate(certificate))
}

/// ListCertificates, by their fingerprints. The place in the list is the last that was shown.
pub async fn list(call: &Call<'_>, query: PageQuery) -> Result<Answer, ErrorBody> {
    let (size, after) = (page_size(query.page_size), after(query.page_token.as_ref())?);
    let after: Option<Fingerprint> = after.map(|place| place.parse()).transpose().map_err(|_| no_token())?;
    let mut certificates = call.identity().certificates(call.caller.account).await.or_refuse()?;
    certificates.retain(|certificate| after.is_none_or(|after| certificate.fingerprint > after));
    certificates.sort_by_key(|certificate| certificate.fingerprint);
    let is_last = certificates.len() <= size;
    certificates.truncate(size);
    let next = certificates.last().filter(|_| !is_last).map(|last| last.fingerprint.to_string());
    let items: Vec<_> = certificates.into_iter().map(convert::certificate).collect();
    ok(&Page { items, next_page_token: token(next.as_deref()) })
}

/// DeleteCertificate.
pub async fn delete(call: &Call<'_>, fingerprint: Fingerprint) -> Result<Answer, ErrorBody> {
    call.identity().delete_certificate(call.caller.account, fingerprint).await.or_refuse()?;
    done()
}
