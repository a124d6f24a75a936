//! Signatures of version 4: of the request as it goes over the wire, with a key that is made for a day, a region and a service.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use aws_lc_rs::{constant_time, hmac};
use compute::secrets::Secret;

use super::super::parameters::Parameters;
use super::canonical_query;
use crate::signing::{encoded, hex, sha256_hex};

/// The name of the scheme.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What a key is good for: `20070301/us-east-1/ec2/aws4_request`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The day, `20070301`.
    pub day: String,
    /// The region, as the client believes.
    pub region: String,
    /// The service, as the client believes.
    pub service: String,
}

impl Scope {
    /// Reads the key's id and the scope of a credential.
    pub fn read(credential: &str) -> Option<(&str, Self)> {
        let mut parts = credential.split('/');
        let (key, day, region, service) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_right = parts.next() == Some("aws4_request") && parts.next().is_none() && !key.is_empty();
        let scope = Self { day: day.to_owned(), region: region.to_owned(), service: service.to_owned() };
        is_right.then_some((key, scope))
    }

    fn written(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.day, self.region, self.service)
    }
}

/// A request as it is signed.
pub struct Request<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path as it is on the wire.
    pub path: &'a str,
    /// The parameters of the query, without the signature itself.
    pub query: &'a Parameters,
    /// The headers that are signed: their names in lower case, in the client's order, and their values.
    pub headers: Vec<(&'a str, String)>,
    /// What the client says that it hashed, mostly the body's SHA-256 in hexadecimal.
    pub body_sha256: &'a str,
    /// `20070301T120000Z`.
    pub date: &'a str,
    /// What the key is good for.
    pub scope: &'a Scope,
}

impl Request<'_> {
    /// What its signature may be of: clients have different ideas of a path that is more than a slash.
    pub fn strings(&self) -> Vec<String> {
        let lines: String = self.headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let names = self.headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let query = canonical_query(self.query.iter().filter(|(name, _)| *name != "X-Amz-Signature"));
        let mut paths =
            vec![self.path.to_owned(), encoded_path(self.path), encoded_path(&plain_path(self.path))];
        paths.dedup();
        let string = |path: &String| {
            let canonical =
                format!("{}\n{path}\n{query}\n{lines}\n{names}\n{}", self.method, self.body_sha256);
            format!(
                "{ALGORITHM}\n{}\n{}\n{}",
                self.date,
                self.scope.written(),
                sha256_hex(canonical.as_bytes())
            )
        };
        paths.iter().map(string).collect()
    }
}

/// A path whose segments are encoded once more.
fn encoded_path(path: &str) -> String {
    path.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

/// A path without slashes that follow each other, and without dots.
fn plain_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let end = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    format!("/{}{end}", segments.join("/"))
}

/// Whether a signature is right for one of these texts.
pub fn is_right(secret: &Secret, scope: &Scope, strings: &[String], given: &str) -> bool {
    let first = format!("AWS4{}", secret.expose());
    let parts = [&*scope.day, &*scope.region, &*scope.service, "aws4_request"];
    let key = parts.iter().fold(first.into_bytes(), |key, part| mac(&key, part.as_bytes()));
    let is_of = |string: &String| {
        let right = hex(&mac(&key, string.as_bytes()));
        constant_time::verify_slices_are_equal(right.as_bytes(), given.as_bytes()).is_ok()
    };
    strings.iter().any(is_of)
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::super::vectors::secret;
    use super::*;

    const RIGHT: &str = "d1a3ccafd9aa9f3446c0b01d4c2f0a0b22090607b364f5bac10daf4c60bf7a0d";

    fn strings(path: &str, host: &str, scope: &Scope) -> Vec<String> {
        let body = b"Action=DescribeInstances&InstanceId.1=i-28a64341&Version=2016-11-15";
        let body_sha256 = sha256_hex(body);
        assert_eq!(body_sha256, "2aa1fe80080fce19c4fbbc4409c03f8e8ec768e357eb38feac814e3246355bdc");
        let headers = vec![
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned()),
            ("host", host.to_owned()),
            ("x-amz-date", "20070301T120000Z".to_owned()),
        ];
        let (query, date) = (&Parameters::default(), "20070301T120000Z");
        Request { method: "POST", path, query, headers, body_sha256: &body_sha256, date, scope }.strings()
    }

    #[test]
    fn signatures_are_those_of_botocore() {
        let (key, scope) = Scope::read("10QMXFEV71ZS32XQFTR2/20070301/us-east-1/ec2/aws4_request").unwrap();
        assert_eq!(key, "10QMXFEV71ZS32XQFTR2");
        let all = strings("/", "ec2.example.internal", &scope);
        let hash = "60e91a16fb3892a81e468de8cc8aff2015b63bd6c9664ed0fb5726b816569f6f";
        assert_eq!(
            all,
            [format!("{ALGORITHM}\n20070301T120000Z\n20070301/us-east-1/ec2/aws4_request\n{hash}")]
        );
        assert!(is_right(&secret(), &scope, &all, RIGHT));
        assert!(!is_right(&secret(), &scope, &all, &RIGHT.to_uppercase()));
        assert!(!is_right(
            &secret(),
            &Scope { region: "eu-west-1".to_owned(), ..scope.clone() },
            &all,
            RIGHT
        ));
        assert!(!is_right(&secret(), &scope, &strings("/", "elsewhere", &scope), RIGHT));
        assert!(is_right(&secret(), &scope, &strings("//", "ec2.example.internal", &scope), RIGHT), "plain");
        assert!(!is_right(&secret(), &scope, &strings("/x", "ec2.example.internal", &scope), RIGHT));
    }

    #[test]
    fn a_credential_has_five_parts() {
        for bad in [
            "",
            "key",
            "key/20070301/r/s/aws3_request",
            "key/20070301/r/s/aws4_request/x",
            "/d/r/s/aws4_request",
        ] {
            assert_eq!(Scope::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn paths_are_made_plain() {
        for (path, plain) in
            [("", "/"), ("//", "/"), ("/a//b/../c/", "/a/c/"), ("/../..", "/"), ("/./a", "/a")]
        {
            assert_eq!(plain_path(path), plain, "{path}");
        }
        assert_eq!(encoded_path("/a%20b/c"), "/a%2520b/c");
    }
}
