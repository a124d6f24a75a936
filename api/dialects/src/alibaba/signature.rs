//! The two ways in which requests are signed, as texts and MACs: pure, and asked by `auth` alone.
//!
//! RPC signatures are made of all parameters; those of version 3 (ACS3) of the query and of headers that the client names.
//! <https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature>

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use compute::secrets::Secret;

use super::parameters::Parameters;
use crate::signing::{encoded, hex, sha256_hex};

/// What an RPC signature is a MAC of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `HMAC-SHA1`, which all old clients use.
    HmacSha1,
    /// `HMAC-SHA256`.
    HmacSha256,
}

impl Method {
    /// The method of this name.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "HMAC-SHA1" => Some(Self::HmacSha1),
            "HMAC-SHA256" => Some(Self::HmacSha256),
            _ => None,
        }
    }

    fn algorithm(self) -> hmac::Algorithm {
        match self {
            Self::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::HmacSha256 => hmac::HMAC_SHA256,
        }
    }
}

/// `a=1&b=2`, in the order of the names.
fn canonical_query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let pair = |(name, value)| format!("{}={}", encoded(name), encoded(value));
    pairs.map(pair).collect::<Vec<_>>().join("&")
}

/// What an RPC request's signature is of.
pub fn rpc_string(method: &str, parameters: &Parameters) -> String {
    let query = canonical_query(parameters.iter().filter(|(name, _)| *name != "Signature"));
    format!("{method}&%2F&{}", encoded(&query))
}

/// Whether an RPC signature is right.
pub fn is_rpc_signature(method: Method, secret: &Secret, string: &str, given: &str) -> bool {
    let Ok(given) = BASE64_STANDARD.decode(given) else { return false };
    let key = hmac::Key::new(method.algorithm(), format!("{}&", secret.expose()).as_bytes());
    // Core 2.3.3 of the Python SDK leaves a tilde encoded once more than others do.
    let old = string.contains('~').then(|| string.replace('~', "%257E"));
    [Some(string), old.as_deref()]
        .into_iter()
        .flatten()
        .any(|s| hmac::verify(&key, s.as_bytes(), &given).is_ok())
}

/// A request as version 3 signs it.
pub struct Acs3<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The parameters of the query.
    pub query: &'a Parameters,
    /// The headers that are signed: their names in lower case, in the client's order, and their values.
    pub headers: Vec<(&'a str, String)>,
    /// The body's SHA-256, in hexadecimal.
    pub body_sha256: &'a str,
}

impl Acs3<'_> {
    /// What its signature is of.
    pub fn string(&self) -> String {
        let lines: String =
            self.headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        let canonical = format!(
            "{}\n/\n{}\n{lines}\n{}\n{}",
            self.method,
            canonical_query(self.query.iter()),
            names.join(";"),
            self.body_sha256
        );
        format!("ACS3-HMAC-SHA256\n{}", sha256_hex(canonical.as_bytes()))
    }
}

/// Whether a signature of version 3 is right.
pub fn is_acs3_signature(secret: &Secret, string: &str, given: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let right = hex(hmac::sign(&key, string.as_bytes()).as_ref());
    constant_time::verify_slices_are_equal(right.as_bytes(), given.to_ascii_lowercase().as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::new(serde_html_form::from_str(query).unwrap()).unwrap()
    }

    const COMMON: &str =
        "&AccessKeyId=testid&RegionId=cn-hangzhou&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0";
    const ECS: &str =
        "&Version=2014-05-26&SignatureType=&Timestamp=2017-01-20T03:04:05Z&SignatureNonce=15215528852396";
    const LATER: &str = "&SignatureType=&Timestamp=2017-06-09T03:20:00Z";

    /// The signatures that the vendor's SDKs made, with clock and nonce fixed.
    #[test]
    fn rpc_signatures_are_those_of_the_sdks() {
        let expiring = "Filter.3.Key=ExpiredStartTime&Filter.3.Value=2017-01-22T00:00Z&Filter.4.Key=ExpiredEndTime\
            &Filter.4.Value=2017-01-28T00:00Z&PageNumber=1&PageSize=100";
        let sts =
            "AccessKeyId=STS.testid&RegionId=cn-hangzhou&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0";
        let ids = "InstanceIds=%5B%22i-1111%22%5D";
        let cases = [
            (
                "POST",
                format!("Action=DescribeInstances&Format=json&{ids}{ECS}{COMMON}"),
                "0WcDw4Qn4mBuCXj4MPqNte55RuI=",
            ),
            (
                "POST",
                format!("Action=StopInstance&InstanceId=i-1111&ForceStop=False&Format=JSON{ECS}{COMMON}"),
                "OZm6oB0lm7QE0vJtfNgxPusGHlc=",
            ),
            (
                "GET",
                format!("Action=DescribeInstances&{expiring}&Format=JSON{ECS}{COMMON}"),
                "G7O0MvfnNAePKnBjneJFSNUdhtE=",
            ),
            (
                "POST",
                format!(
                    "{sts}&SecurityToken=testtoken&Action=GetCallerIdentity&Version=2015-04-01&Format=JSON&SignatureNonce=nonce-0001{LATER}"
                ),
                "OVdjCynkCIEli0Btvelh7k7CfTI=",
            ),
            (
                "POST",
                format!(
                    "Action=StopInstance&InstanceId=i-1111&ForceStop=true&Format=JSON&Version=2014-05-26&SignatureNonce=nonce-0002{LATER}{COMMON}"
                ),
                "qbazbvBFAPNh7iKL6FsvifJ0LhU=",
            ),
            (
                "POST",
                format!(
                    "Action=DescribeInstances&Format=json&{ids}&Version=2014-05-26&Timestamp=2023-10-26T10:22:32Z&SignatureNonce=3156853299f313e23d1673dc12e1703d{COMMON}"
                ),
                "2nsfswR1czgYHPBfgpnSjZQ0kzk=",
            ),
            (
                "GET",
                format!(
                    "Action=DescribeInstances&Format=json&{ids}&Version=2014-05-26&Timestamp=2017-01-20T03:04:05Z&SignatureNonce=15215528852396&AccessKeyId=testid&RegionId=cn-beijing&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0"
                ),
                "OQtFUxSwXI+Wodw4tD5fnn4gMLA=",
            ),
        ];
        let (secret, other) = (Secret::new("testsecret".to_owned()), Secret::new("testsecreT".to_owned()));
        for (method, query, signature) in cases {
            // That the signature itself takes no part is shown by its being there.
            let string = rpc_string(method, &parameters(&format!("{query}&Signature=x")));
            assert!(is_rpc_signature(Method::HmacSha1, &secret, &string, signature), "{string}");
            assert!(!is_rpc_signature(Method::HmacSha1, &other, &string, signature));
            assert!(!is_rpc_signature(Method::HmacSha256, &secret, &string, signature));
            let turned = rpc_string(if method == "GET" { "POST" } else { "GET" }, &parameters(&query));
            assert!(!is_rpc_signature(Method::HmacSha1, &secret, &turned, signature));
        }
    }

    #[test]
    fn the_string_to_sign_is_the_documented_one() {
        let query =
            format!("Action=DescribeInstances&Format=json&InstanceIds=%5B%22i-1111%22%5D{ECS}{COMMON}");
        assert_eq!(
            rpc_string("POST", &parameters(&query)),
            "POST&%2F&AccessKeyId%3Dtestid%26Action%3DDescribeInstances%26Format%3Djson%26InstanceIds%3D%255B%2522\
             i-1111%2522%255D%26RegionId%3Dcn-hangzhou%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3D\
             15215528852396%26SignatureType%3D%26SignatureVersion%3D1.0%26Timestamp%3D2017-01-20T03%253A04%253A05Z\
             %26Version%3D2014-05-26"
        );
    }

    #[test]
    fn a_tilde_may_be_encoded_or_not() {
        let secret = Secret::new("testsecret".to_owned());
        let string = rpc_string("GET", &parameters("Name=a~b"));
        assert_eq!(string, "GET&%2F&Name%3Da~b");
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"testsecret&");
        for signed in ["GET&%2F&Name%3Da~b", "GET&%2F&Name%3Da%257Eb"] {
            let signature = BASE64_STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
            assert!(is_rpc_signature(Method::HmacSha256, &secret, &string, &signature), "{signed}");
        }
    }

    const DATE: [(&str, &str); 3] = [
        ("x-acs-date", "2023-10-26T10:22:32Z"),
        ("x-acs-signature-nonce", "3156853299f313e23d1673dc12e1703d"),
        ("x-acs-version", "2014-05-26"),
    ];

    fn acs3(query: &str, body: &str, headers: &[(&str, &str)]) -> String {
        let mut headers: Vec<_> =
            headers.iter().chain(&DATE).map(|(name, value)| (*name, format!(" {value}"))).collect();
        headers.sort_unstable();
        let (query, body_sha256) = (parameters(query), sha256_hex(body.as_bytes()));
        Acs3 { method: "POST", query: &query, headers, body_sha256: &body_sha256 }.string()
    }

    #[test]
    fn acs3_signatures_are_those_of_the_sdks() {
        let common = [
            ("accept", "application/json"),
            ("host", "ecs.cn-hangzhou.aliyuncs.com"),
            ("user-agent", "test-agent/1.0"),
            ("x-acs-action", "DescribeInstances"),
        ];
        let query = "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&InstanceIds=%5B%22i-1111%22%5D&RegionId=cn-shanghai";
        let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let more = [("x-acs-content-sha256", of_nothing), ("x-acs-credentials-provider", "static_ak")];
        let string = acs3(query, "", &[&common[..], &more].concat());
        assert_eq!(
            string,
            "ACS3-HMAC-SHA256\n81c606f773d5e5f41c5a77074f0db2f6ce11d90e452efd0c091df1249b6116d6"
        );
        let signature = "831235ff7a9d4e9389494d1ad9b520cd43c811979f60bcfb0fe27c25d810ec09";
        let secret = Secret::new("YourAccessKeySecret".to_owned());
        assert!(is_acs3_signature(&secret, &string, signature));
        assert!(is_acs3_signature(&secret, &string, &signature.to_uppercase()));
        assert!(!is_acs3_signature(&secret, &string, &signature[1..]));
        assert!(!is_acs3_signature(&Secret::new("other".to_owned()), &string, signature));

        let body = "ForceStop=True&InstanceId=i-1111";
        let more = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("x-acs-accesskey-id", "STS.testid"),
            ("x-acs-content-sha256", "95900c0af069f932f624790381c67cc4a9007b799a197a1ea51954c9b21a284b"),
            ("x-acs-credentials-provider", "static_sts"),
            ("x-acs-security-token", "testtoken"),
        ];
        let string = acs3("RegionId=cn-hangzhou", body, &[&common[..], &more].concat());
        assert_eq!(
            string,
            "ACS3-HMAC-SHA256\nb0f38adecc5d90771baa24cec6e31c7a9012a6a032a0bbe250bd63cb2b7a54e3"
        );
        let signature = "b938fe3aa7b106180d89b6277f1ce3532d26c3f17fb9c1c4564cdeee4e81d948";
        assert!(is_acs3_signature(&Secret::new("testsecret".to_owned()), &string, signature));
    }
}
