//! What goes over the wire of Query requests: parameters in the query or in a form, and answers in XML. Nothing here knows an
//! action.

use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

use super::errors::Refusal;
use super::parameters::{MAX_PARAMETERS, Parameters};
use super::version::{Api, Version};
use super::xml::{Tree, document};
use crate::server::Answer;

/// Most bytes of a body. User data and a thousand ids take a tenth of it.
pub const MAX_BODY_BYTES: usize = 512 << 10;

/// What is asked.
#[derive(Debug)]
pub struct Asked {
    /// The name of the action.
    pub action: String,
    /// The version of the API.
    pub version: Version,
    /// All parameters.
    pub parameters: Parameters,
    /// Those of the query alone, as one scheme signs them by themselves.
    pub query: Parameters,
}

/// The text of a header that has one.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Reads a request. Its path says nothing: old clients put slashes and words into it.
///
/// # Errors
///
/// It is none of this API.
pub fn read(parts: &Parts, body: &[u8]) -> Result<Asked, Refusal> {
    if parts.method != Method::GET && parts.method != Method::POST {
        return Err(Refusal::new(405, "InvalidHTTPMethod", "Send a GET or a POST."));
    }
    let unreadable = || Refusal::new(400, "MalformedQueryString", "The parameters cannot be read.");
    let query = parse_form(parts.uri.query().unwrap_or_default().as_bytes()).ok_or_else(unreadable)?;
    let mut all = query.clone();
    // Clients of 2007 send forms without saying so; nothing else comes here.
    if !body.is_empty() {
        all.extend(parse_form(body).ok_or_else(unreadable)?);
    }
    let (parameters, query) = (Parameters::new(all)?, Parameters::new(query)?);
    let action = parameters.get("Action").or(parameters.get("Operation"));
    let action = action
        .ok_or_else(|| Refusal::new(400, "MissingAction", "The request must contain the parameter Action"))?;
    let action = action.to_owned();
    let version = Version::read(parameters.required("Version")?)?;
    Ok(Asked { action, version, parameters, query })
}

/// The pairs of a query or a form; `None` if it is none, or there are too many.
fn parse_form(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let pairs: Vec<(String, String)> = serde_html_form::from_bytes(bytes).ok()?;
    (pairs.len() <= MAX_PARAMETERS).then_some(pairs)
}

/// The id by which an answer is told from others.
pub fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// What an action answered, as the element that it is in both protocols.
pub fn element(request_id: &str, version: &Version, action: &str, answer: &Tree) -> String {
    let (root, namespace) = (format!("{action}Response"), version.namespace());
    match version.api {
        Api::Y2007 => answer.element(&root, Some(&namespace)),
        Api::Ec2 => {
            Tree::new().text("requestId", request_id).and(answer.clone()).element(&root, Some(&namespace))
        }
        Api::Sts => Tree::new()
            .tree(format!("{action}Result"), answer.clone())
            .tree("ResponseMetadata", Tree::new().text("RequestId", request_id))
            .element(&root, Some(&namespace)),
    }
}

/// An answer to a Query request.
pub fn written(request_id: &str, version: &Version, action: &str, answer: &Tree) -> Answer {
    respond(request_id, StatusCode::OK, &element(request_id, version, action, answer))
}

/// A refusal; of what could not be read, it is EC2's.
pub fn refused(request_id: &str, api: Option<Api>, refusal: &Refusal) -> Answer {
    let Refusal { status, code, message } = refusal;
    let error = Tree::new().text("Code", code).text("Message", message);
    let text = match api {
        Some(Api::Sts) => {
            let kind = Tree::new().text("Type", if *status < 500 { "Sender" } else { "Receiver" });
            let namespace = format!("https://sts.amazonaws.com/doc/{}/", Api::Sts.version());
            let tree = Tree::new().tree("Error", kind.and(error)).text("RequestId", request_id);
            tree.element("ErrorResponse", Some(&namespace))
        }
        Some(Api::Y2007 | Api::Ec2) | None => {
            let errors = Tree::new().tree("Error", error);
            Tree::new().tree("Errors", errors).text("RequestID", request_id).element("Response", None)
        }
    };
    let status = StatusCode::from_u16(*status).expect("the table of errors has valid statuses");
    respond(request_id, status, &text)
}

/// A document of this element.
pub fn respond(request_id: &str, status: StatusCode, element: &str) -> Answer {
    let mut answer = Response::new(Full::new(document(element).into()).boxed_unsync());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml;charset=UTF-8"));
    headers.insert("cache-control", HeaderValue::from_static("no-cache, no-store"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, uri: &str) -> Parts {
        hyper::Request::builder().method(method).uri(uri).body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_request_comes_by_query_or_form_on_any_path() {
        let asked = read(
            &parts("GET", "/services/Cloud/?Action=StartInstances&Version=2016-11-15&InstanceId.1=i-1"),
            b"",
        );
        let asked = asked.unwrap();
        assert_eq!((asked.action.as_str(), asked.version.api), ("StartInstances", Api::Ec2));
        let asked =
            read(&parts("POST", "//"), b"Operation=DescribeImages&Version=2007-03-01&Owner=&Text=a+b%2B")
                .unwrap();
        assert_eq!((asked.action.as_str(), asked.version.api), ("DescribeImages", Api::Y2007));
        assert_eq!((asked.parameters.get("Owner"), asked.parameters.get("Text")), (None, Some("a b+")));
        assert_eq!(asked.query, Parameters::default());
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (method, uri, body, code) in [
            ("PUT", "/?Action=A&Version=2016-11-15", "", "InvalidHTTPMethod"),
            ("GET", "/?Version=2016-11-15", "", "MissingAction"),
            ("GET", "/?Action=&Version=2016-11-15", "", "MissingAction"),
            ("GET", "/?Action=A", "", "MissingParameter"),
            ("GET", "/?Action=A&Version=yesterday", "", "InvalidParameterValue"),
            ("POST", "/?Action=A&Version=2016-11-15", "Action=A", "InvalidParameter"),
        ] {
            assert_eq!(read(&parts(method, uri), body.as_bytes()).unwrap_err().code, code, "{method} {uri}");
        }
        let many: String = (0..=MAX_PARAMETERS).map(|number| format!("a.{number}=1&")).collect();
        assert_eq!(read(&parts("POST", "/"), many.as_bytes()).unwrap_err().code, "MalformedQueryString");
    }

    #[test]
    fn each_api_has_a_form_of_its_own() {
        let of = |name: &str| element("id", &Version::read(name).unwrap(), "StopInstances", &Tree::done());
        assert_eq!(
            of("2007-03-01"),
            "<StopInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2007-03-01/\"><return>true</return></StopInstancesResponse>"
        );
        assert_eq!(
            of("2014-10-01"),
            "<StopInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2014-10-01/\"><requestId>id</requestId>\
             <return>true</return></StopInstancesResponse>"
        );
        assert_eq!(
            of("2011-06-15"),
            "<StopInstancesResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><StopInstancesResult>\
             <return>true</return></StopInstancesResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata>\
             </StopInstancesResponse>"
        );
    }
}
