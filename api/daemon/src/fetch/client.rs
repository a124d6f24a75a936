//! One server, asked for one file: whom we trust, where it may send us, and what its answers and failures mean.

use std::error::Error;
use std::sync::Arc;

use compute::image_url::ImageUrl;
use compute::outside::{HostError, UrlSource};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, HeaderName, HeaderValue,
    TRANSFER_ENCODING,
};
use reqwest::{Response, StatusCode, redirect};
use rustls::{ClientConfig, RootCertStore};

use super::{Options, refused};

/// Most redirects followed: mirrors need two or three.
const REDIRECTS: usize = 5;

/// Why there is no file, or not all of it.
#[derive(Debug)]
pub enum Failure {
    /// Asking again leads nowhere.
    Final(HostError),
    /// The server says no, in words.
    Refused(String),
    /// It may be over soon.
    Passing(String),
    /// There is no such range of it: what is there is the beginning of another file.
    Range,
}

impl Failure {
    pub fn passing(why: impl Into<String>) -> Self {
        Self::Passing(why.into())
    }

    /// What a failed exchange means.
    pub fn of(error: &reqwest::Error) -> Self {
        let why = chain(error);
        if error.is_redirect() {
            return Self::Refused(why);
        }
        if error.is_timeout() {
            return Self::Passing("it sends nothing".to_owned());
        }
        if is_tls(error) {
            return Self::Refused(format!("its TLS is refused: {why}"));
        }
        if error.is_dns() {
            return Self::Passing(format!("its name is not known: {why}"));
        }
        if error.is_connect() {
            return Self::Passing(format!("it cannot be reached: {why}"));
        }
        Self::Passing(format!("the connection broke: {why}"))
    }

    /// The same for the core.
    pub fn into_error(self, source: &UrlSource) -> HostError {
        match self {
            Self::Final(error) => error,
            Self::Refused(why) | Self::Passing(why) => refused(source, &why),
            Self::Range => refused(source, "it has no byte"),
        }
    }
}

/// The causes of an error, without the URL, which may have a signature in it.
fn chain(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        cause = error.source();
    }
    match texts.is_empty() {
        true => "no cause is known".to_owned(),
        false => texts.join(": "),
    }
}

fn is_tls(error: &(dyn Error + 'static)) -> bool {
    // What is within an I/O error is not its source.
    let within = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>()
        || within.is_some_and(|within| is_tls(within))
        || error.source().is_some_and(is_tls)
}

/// A server, for one file.
pub struct Client {
    http: reqwest::Client,
    url: reqwest::Url,
}

impl Client {
    pub fn new(source: &UrlSource, options: &Options) -> Result<Self, Failure> {
        let failed = |error: String| Failure::Final(HostError::Failed(error));
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("bothyd/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls(options).map_err(failed)?)
            .redirect(redirects(source.clone()))
            .referer(false)
            .connect_timeout(options.idle)
            .read_timeout(options.idle);
        if !options.proxies {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| failed(format!("no HTTP client: {}", chain(&error))))?;
        Ok(Self { http, url: source.url.url().clone() })
    }

    /// Asks for the file. An answer is one with content, and that as it is in the file.
    pub async fn get(
        &self,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    ) -> Result<Response, Failure> {
        let mut request = self.http.get(self.url.clone()).header(ACCEPT_ENCODING, "identity");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(|error| Failure::of(&error))?;
        let status = response.status();
        match status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => {}
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                return Err(Failure::passing(format!("the server answers {status}")));
            }
            StatusCode::RANGE_NOT_SATISFIABLE => return Err(Failure::Range),
            status if status.is_server_error() => {
                return Err(Failure::passing(format!("the server answers {status}")));
            }
            status => return Err(Failure::Refused(format!("the server answers {status}"))),
        }
        let encoding = response.headers().get(CONTENT_ENCODING);
        if let Some(encoding) = encoding.filter(|encoding| *encoding != "identity") {
            let encoding = String::from_utf8_lossy(encoding.as_bytes()).into_owned();
            let why = format!("the server sends it encoded ({encoding}), and not as it is");
            return Err(Failure::Refused(why));
        }
        Ok(response)
    }
}

/// Which bytes an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyBytes {
    /// All, and how many if that is said.
    All(Option<u64>),
    /// All, up to the end of the connection, which may be the end of anything.
    Endless,
    /// From a place on, of so many in all.
    From(u64, Option<u64>),
}

impl BodyBytes {
    /// How many the file has.
    pub fn total(self) -> Option<u64> {
        match self {
            Self::All(total) | Self::From(_, total) => total,
            Self::Endless => None,
        }
    }
}

/// Which bytes an answer has.
pub fn body_bytes(response: &Response) -> BodyBytes {
    let text = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
    if response.status() == StatusCode::PARTIAL_CONTENT {
        let range = text(CONTENT_RANGE).and_then(|range| range.strip_prefix("bytes "));
        let (range, total) = range.and_then(|range| range.split_once('/')).unwrap_or_default();
        let start = range.split('-').next().and_then(|start| start.parse().ok());
        return BodyBytes::From(start.unwrap_or(u64::MAX), total.parse().ok());
    }
    match text(CONTENT_LENGTH).and_then(|length| length.parse().ok()) {
        Some(length) => BodyBytes::All(Some(length)),
        None if response.headers().contains_key(TRANSFER_ENCODING) => BodyBytes::All(None),
        None => BodyBytes::Endless,
    }
}

/// Why a redirect is not followed.
#[derive(Debug, thiserror::Error)]
enum Redirected {
    #[error("it leads on more than {REDIRECTS} times")]
    Often,
    #[error("it leads from https to http")]
    Insecure,
    #[error("it leads to what is no URL of an image")]
    NoUrl,
    #[error("it leads out of where images may be")]
    Outside,
}

fn redirects(source: UrlSource) -> redirect::Policy {
    redirect::Policy::custom(move |attempt| match next(&source, attempt.previous(), attempt.url()) {
        Ok(()) => attempt.follow(),
        Err(why) => attempt.error(why),
    })
}

fn next(source: &UrlSource, previous: &[reqwest::Url], url: &reqwest::Url) -> Result<(), Redirected> {
    let next = ImageUrl::of(url.clone()).map_err(|_| Redirected::NoUrl)?;
    if previous.len() > REDIRECTS {
        return Err(Redirected::Often);
    }
    if !next.is_secure() && previous.iter().any(|url| url.scheme() == "https") {
        return Err(Redirected::Insecure);
    }
    if !source.within.is_empty() && !source.within.iter().any(|prefix| prefix.covers(&next)) {
        return Err(Redirected::Outside);
    }
    Ok(())
}

/// TLS with whom the host trusts.
fn tls(options: &Options) -> Result<ClientConfig, String> {
    let roots = match &options.roots {
        Some(roots) => roots.clone(),
        // One that cannot be read or used is none: the others are still there.
        None => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        }
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| format!("TLS cannot be had: {error}"))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
