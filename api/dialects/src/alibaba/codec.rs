//! What goes over the wire: parameters that came in the query, in a form, as JSON or in headers, and answers in JSON or XML.
//! Nothing here knows an action.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::errors::Refusal;
use super::parameters::{MAX_PARAMETERS, Parameters};
use crate::server::Answer;
use crate::signing::sha256_hex;

/// Most bytes of a body. User data, a policy document and a hundred tags take a tenth of it.
pub const MAX_BODY_BYTES: usize = 256 << 10;

/// How deep a JSON body may be nested: `Permissions.1.SourceCidrIp` is three.
const MAX_DEPTH: usize = 4;

/// Most characters of the host's name that are repeated to a client.
const MAX_HOST: usize = 255;

/// In which form an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// XML.
    Xml,
}

/// How a request is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// By parameters.
    Rpc,
    /// By the header `Authorization`, whose text this is behind the scheme's name; and the body's SHA-256.
    Acs3 {
        /// `Credential=…,SignedHeaders=…,Signature=…`.
        authorization: String,
        /// Of the body, in hexadecimal.
        body_sha256: String,
    },
}

/// What is asked.
#[derive(Debug)]
pub struct Asked {
    /// The name of the action.
    pub action: String,
    /// The version of the product's API, which tells the product.
    pub version: String,
    /// All parameters.
    pub parameters: Parameters,
    /// Those of the query alone, as one scheme signs them by themselves.
    pub query: Parameters,
    /// How to answer.
    pub format: Format,
    /// How it is signed.
    pub scheme: Scheme,
}

/// The name of the scheme that signs by headers.
const ACS3: &str = "ACS3-HMAC-SHA256";

impl Format {
    /// What can be said before the body is read.
    pub fn of_head(parts: &Parts) -> Self {
        let query = parse_form(parts.uri.query().unwrap_or_default().as_bytes());
        let given = query.iter().flatten().find(|(name, _)| name == "Format");
        Self::of(given.map(|(_, value)| value.as_str()), &parts.headers)
    }

    /// Old clients name it, `json` and `JSON`, and some send `None`; where they do not it is XML. New ones, which sign by
    /// headers, expect JSON unless they say otherwise.
    fn of(given: Option<&str>, headers: &HeaderMap) -> Self {
        let is_new = header(headers, AUTHORIZATION.as_str()).is_some_and(|text| text.starts_with("ACS3-"));
        let wants_xml = header(headers, ACCEPT.as_str()).is_some_and(|accept| accept.contains("xml"));
        match given {
            Some(format) if format.eq_ignore_ascii_case("json") => Self::Json,
            Some(format) if format.eq_ignore_ascii_case("xml") => Self::Xml,
            Some(_) | None if is_new && !wants_xml => Self::Json,
            Some(_) | None => Self::Xml,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json;charset=utf-8",
            Self::Xml => "text/xml;charset=utf-8",
        }
    }
}

/// The text of a header that has one.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Reads a request.
///
/// # Errors
///
/// It is none of this API.
pub fn read(parts: &Parts, body: &[u8]) -> Result<Asked, Refusal> {
    if parts.uri.path() != "/" {
        return Err(Refusal::new(
            404,
            "InvalidApi.NotFound",
            "Specified api is not found, please check your url.",
        ));
    }
    if parts.method != Method::GET && parts.method != Method::POST {
        return Err(Refusal::new(405, "UnsupportedHTTPMethod", "This http method is not supported."));
    }
    let unreadable = || Refusal::new(400, "InvalidParameter", "The parameters cannot be read.");
    let query = parse_form(parts.uri.query().unwrap_or_default().as_bytes()).ok_or_else(unreadable)?;
    let mut all = query.clone();
    let kind = header(&parts.headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        _ if body.is_empty() => {}
        "application/json" => {
            let value = serde_json::from_slice(body).map_err(|_| unreadable())?;
            flatten(String::new(), &value, 0, &mut all).ok_or_else(unreadable)?;
        }
        "application/x-www-form-urlencoded" => all.extend(parse_form(body).ok_or_else(unreadable)?),
        _ => {
            let why = "The body must be a form or JSON.";
            return Err(Refusal::new(415, "UnsupportedContentType", why));
        }
    }
    let (parameters, query) = (Parameters::new(all)?, Parameters::new(query)?);
    let authorization = header(&parts.headers, AUTHORIZATION.as_str());
    let scheme = match authorization.and_then(|text| text.split_once(' ')) {
        Some((ACS3, rest)) => Scheme::Acs3 { authorization: rest.to_owned(), body_sha256: sha256_hex(body) },
        Some(_) | None => Scheme::Rpc,
    };
    // Only what is signed counts, and each scheme signs its own.
    let named = |name: &'static str, in_header: &str| {
        let given = match scheme {
            Scheme::Rpc => parameters.get(name),
            Scheme::Acs3 { .. } => header(&parts.headers, in_header),
        };
        given.map(str::to_owned).ok_or_else(|| Refusal::missing(name))
    };
    let (action, version) = (named("Action", "x-acs-action")?, named("Version", "x-acs-version")?);
    let format = Format::of(parameters.get("Format"), &parts.headers);
    Ok(Asked { action, version, parameters, query, format, scheme })
}

/// The pairs of a query or a form; `None` if there are too many.
fn parse_form(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let pairs: Vec<(String, String)> = serde_html_form::from_bytes(bytes).ok()?;
    (pairs.len() <= MAX_PARAMETERS).then_some(pairs)
}

/// Writes a JSON body as the parameters that it stands for: `{"Tag": [{"Key": "a"}]}` is `Tag.1.Key=a`.
fn flatten(name: String, value: &Value, depth: usize, pairs: &mut Vec<(String, String)>) -> Option<()> {
    if depth > MAX_DEPTH || pairs.len() > MAX_PARAMETERS {
        return None;
    }
    let below = |word: &str| if name.is_empty() { word.to_owned() } else { format!("{name}.{word}") };
    match value {
        Value::Null => {}
        Value::Bool(flag) => pairs.push((name, flag.to_string())),
        Value::Number(number) => pairs.push((name, number.to_string())),
        Value::String(text) => pairs.push((name, text.clone())),
        Value::Array(items) => {
            for (number, item) in (1..).zip(items) {
                flatten(below(&i32::to_string(&number)), item, depth + 1, pairs)?;
            }
        }
        Value::Object(members) => {
            for (word, member) in members {
                flatten(below(word), member, depth + 1, pairs)?;
            }
        }
    }
    // A body that is no object has no names.
    (depth > 0 || value.is_object()).then_some(())
}

/// Who is answered, and how the answer is told from others.
pub struct Sender {
    request_id: String,
    host: String,
}

/// The form of a refusal: the members in the cloud's order.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Failure<'a> {
    request_id: &'a str,
    host_id: &'a str,
    code: &'a str,
    message: &'a str,
    recommend: String,
}

impl Sender {
    /// Of a request.
    pub fn of(parts: &Parts) -> Self {
        let host = header(&parts.headers, HOST.as_str()).unwrap_or_default();
        let request_id = uuid::Uuid::new_v4().to_string().to_uppercase();
        Self { request_id, host: host.chars().take(MAX_HOST).collect() }
    }

    /// Of one that is not read.
    pub fn unknown() -> Self {
        Self { request_id: uuid::Uuid::new_v4().to_string().to_uppercase(), host: String::new() }
    }

    /// The request's id.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// What an action answered.
    pub fn written(&self, format: Format, action: &str, value: &Value) -> Answer {
        let mut value = value.clone();
        if let Some(members) = value.as_object_mut() {
            members.insert("RequestId".to_owned(), json!(self.request_id));
        }
        self.answer(StatusCode::OK, format, &format!("{action}Response"), &value)
    }

    /// A refusal.
    pub fn refused(&self, format: Format, refusal: &Refusal) -> Answer {
        let Refusal { status, code, message } = refusal;
        let recommend = format!("https://api.aliyun.com/troubleshoot?q={code}&requestId={}", self.request_id);
        let (request_id, host_id) = (self.request_id.as_str(), self.host.as_str());
        let failure = Failure { request_id, host_id, code, message, recommend };
        let status = StatusCode::from_u16(*status).expect("the table of errors has valid statuses");
        self.answer(status, format, "Error", &failure)
    }

    fn answer(&self, status: StatusCode, format: Format, root: &str, value: &impl Serialize) -> Answer {
        let text = match format {
            Format::Json => serde_json::to_string(value).expect("answers are texts, numbers and lists"),
            Format::Xml => xml(root, value),
        };
        let mut answer = Response::new(Full::new(text.into()).boxed_unsync());
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        headers.insert("cache-control", HeaderValue::from_static("no-store"));
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert("x-acs-request-id", id);
        }
        answer
    }
}

/// A document whose lists are elements of one name, one after the other.
fn xml(root: &str, value: &impl Serialize) -> String {
    // Characters that XML has no form for, which only somebody's own texts can have, are left out.
    let text =
        quick_xml::se::to_string_with_root(root, value).expect("names of members are names of elements");
    let text: String = text.chars().filter(|letter| is_xml(*letter)).collect();
    format!("<?xml version='1.0' encoding='UTF-8'?>{text}")
}

/// XML 1.0, production 2.
fn is_xml(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Bytes of a parameter in base64; line feeds in it are somebody's editor's.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    BASE64_STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Headers<'a> = &'a [(&'a str, &'a str)];

    fn parts(method: &str, uri: &str, headers: Headers<'_>) -> Parts {
        let mut request = hyper::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=UTF-8");
    const VERSION: &str = "Version=2014-05-26";

    #[test]
    fn parameters_come_in_the_query_in_a_form_or_as_json() {
        let query = format!("/?Action=A&{VERSION}&InstanceIds=%5B%22i-1%22%5D&Format=json");
        let asked = read(&parts("GET", &query, &[]), b"").unwrap();
        assert_eq!((asked.action.as_str(), asked.format), ("A", Format::Json));
        assert_eq!(asked.parameters.get("InstanceIds"), Some("[\"i-1\"]"));
        let asked =
            read(&parts("POST", &format!("/?{VERSION}"), &[FORM]), b"Action=B&ForceStop=True").unwrap();
        assert_eq!((asked.action.as_str(), asked.format), ("B", Format::Xml));
        assert_eq!(asked.parameters.flag("ForceStop").unwrap(), Some(true));
        let headers = [
            ("authorization", "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=b,Signature=c"),
            ("x-acs-action", "C"),
            ("x-acs-version", "2014-05-26"),
            ("content-type", "application/json"),
        ];
        let body = br#"{"Tag": [{"Key": "a", "Value": 1}], "DryRun": true, "Name": null}"#;
        let asked = read(&parts("POST", "/?Action=other", &headers), body).unwrap();
        assert_eq!((asked.action.as_str(), asked.format), ("C", Format::Json));
        let pairs =
            [("Tag.1.Key", Some("a")), ("Tag.1.Value", Some("1")), ("DryRun", Some("true")), ("Name", None)];
        for (name, value) in pairs {
            assert_eq!(asked.parameters.get(name), value, "{name}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused_by_its_code() {
        let many = (0..=MAX_PARAMETERS).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
        let json = ("content-type", "application/json");
        let cases = [
            (parts("GET", "/x", &[]), "", "InvalidApi.NotFound"),
            (parts("PUT", "/", &[]), "", "UnsupportedHTTPMethod"),
            (parts("GET", "/?Version=1", &[]), "", "MissingParameter"),
            (parts("GET", "/?Action=a", &[]), "", "MissingParameter"),
            (parts("GET", "/?Action=a&Version=b&Action=c", &[]), "", "InvalidParameter"),
            (parts("POST", "/?Action=a&Version=b", &[FORM]), "Action=c", "InvalidParameter"),
            (parts("POST", "/", &[FORM]), &many, "InvalidParameter"),
            (parts("POST", "/", &[json]), "[1]", "InvalidParameter"),
            (parts("POST", "/", &[json]), "{", "InvalidParameter"),
            (parts("POST", "/", &[json]), r#"{"a":{"b":{"c":{"d":{"e":1}}}}}"#, "InvalidParameter"),
            (parts("POST", "/", &[("content-type", "text/plain")]), "x", "UnsupportedContentType"),
        ];
        for (parts, body, code) in cases {
            assert_eq!(read(&parts, body.as_bytes()).unwrap_err().code, code, "{} {body}", parts.uri);
        }
    }

    #[test]
    fn the_format_is_told_by_word_or_by_scheme() {
        let acs3 = ("authorization", "ACS3-HMAC-SHA256 x");
        let cases: [(&str, Headers, Format); 7] = [
            ("/", &[], Format::Xml),
            ("/?Format=JSON", &[], Format::Json),
            ("/?Format=json", &[], Format::Json),
            ("/?Format=None", &[], Format::Xml),
            ("/", &[acs3], Format::Json),
            ("/?Format=xml", &[acs3], Format::Xml),
            ("/", &[acs3, ("accept", "application/xml")], Format::Xml),
        ];
        for (uri, headers, format) in cases {
            assert_eq!(Format::of_head(&parts("GET", uri, headers)), format, "{uri} {headers:?}");
        }
    }

    #[test]
    fn lists_are_elements_of_one_name() {
        let value = json!({ "Instances": { "Instance": [{ "Cpu": 1, "Name": "a<b" }, { "Cpu": 2, "Name": "" }] },
            "None": { "Instance": [] }, "TotalCount": 2, "Ok": true });
        assert_eq!(
            xml("XResponse", &value),
            "<?xml version='1.0' encoding='UTF-8'?><XResponse><Instances><Instance><Cpu>1</Cpu><Name>a&lt;b</Name>\
             </Instance><Instance><Cpu>2</Cpu><Name/></Instance></Instances><None/><Ok>true</Ok>\
             <TotalCount>2</TotalCount></XResponse>"
        );
        assert!(!xml("X", &json!({ "A": "a\u{0}b\u{fffe}" })).contains(['\u{0}', '\u{fffe}']));
    }

    #[test]
    fn a_refusal_has_its_members_in_order() {
        let sender = Sender { request_id: "ID".to_owned(), host: "ecs.local".to_owned() };
        let failure = Failure {
            request_id: sender.request_id(),
            host_id: &sender.host,
            code: "C",
            message: "M",
            recommend: String::new(),
        };
        let text = serde_json::to_string(&failure).unwrap();
        assert!(
            text.starts_with(r#"{"RequestId":"ID","HostId":"ecs.local","Code":"C","Message":"M""#),
            "{text}"
        );
        assert!(
            xml("Error", &failure).contains("<Error><RequestId>ID</RequestId><HostId>ecs.local</HostId>")
        );
    }
}
