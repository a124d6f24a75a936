//! Signatures made of parameters: versions 0 and 1 of the action or of all parameters, and 2 of the method, the host and the path
//! too. Version 1 cannot tell `ab=c` from `a=bc`; that is how the API demands it.
//!
//! <https://docs.aws.amazon.com/general/latest/gr/signature-version-2.html>

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use compute::secrets::Secret;

use super::super::parameters::Parameters;
use super::canonical_query;

/// What the signature is a MAC by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `HmacSHA1`, the only one of versions 0 and 1.
    HmacSha1,
    /// `HmacSHA256`.
    HmacSha256,
}

impl Method {
    /// The method of this name.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "HmacSHA1" => Some(Self::HmacSha1),
            "HmacSHA256" => Some(Self::HmacSha256),
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

/// What a signature of version 0 is of.
pub fn v0_string(action: &str, moment: &str) -> String {
    format!("{action}{moment}")
}

/// What a signature of version 1 is of: names and values, in the order of the names without their case.
pub fn v1_string(parameters: &Parameters) -> String {
    let mut pairs: Vec<_> = parameters.iter().filter(|(name, _)| *name != "Signature").collect();
    pairs.sort_by_key(|(name, _)| name.to_ascii_lowercase());
    pairs.iter().map(|(name, value)| format!("{name}{value}")).collect()
}

/// What a signature of version 2 may be of: clients name the host with its port or without, and the path as it is on the wire or
/// as `/` where it is empty.
pub fn v2_strings(method: &str, host: &str, path: &str, parameters: &Parameters) -> Vec<String> {
    let query = canonical_query(parameters.iter().filter(|(name, _)| *name != "Signature"));
    let host = host.to_ascii_lowercase();
    let bare = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let hosts = [Some(host.as_str()), bare.map(|(bare, _)| bare)];
    let path = if path.is_empty() { "/" } else { path };
    hosts.into_iter().flatten().map(|host| format!("{method}\n{host}\n{path}\n{query}")).collect()
}

/// Whether a signature is right for one of these texts.
pub fn is_right(method: Method, secret: &Secret, strings: &[String], given: &str) -> bool {
    let Ok(given) = BASE64_STANDARD.decode(given) else { return false };
    let key = hmac::Key::new(method.algorithm(), secret.expose().as_bytes());
    strings.iter().any(|string| hmac::verify(&key, string.as_bytes(), &given).is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::super::parameters::of;
    use super::super::vectors::secret;
    use super::*;

    const COMMON: [(&str, &str); 4] = [
        ("Action", "DescribeInstances"),
        ("AWSAccessKeyId", "10QMXFEV71ZS32XQFTR2"),
        ("InstanceId.1", "i-28a64341"),
        ("Timestamp", "2007-03-01T12:00:00Z"),
    ];

    fn with(more: &[(&str, &str)]) -> Parameters {
        of(&[&COMMON[..], more].concat())
    }

    #[test]
    fn version_0_is_of_action_and_time() {
        let string = v0_string("DescribeInstances", "2007-03-01T12:00:00Z");
        assert!(is_right(Method::HmacSha1, &secret(), &[string], "lrSeYGjzNflI4OtVly2AwX6VjTs="));
    }

    #[test]
    fn version_1_is_of_all_parameters() {
        let parameters = with(&[("SignatureVersion", "1"), ("Version", "2007-03-01"), ("Signature", "x")]);
        let string = v1_string(&parameters);
        assert_eq!(
            string,
            "ActionDescribeInstancesAWSAccessKeyId10QMXFEV71ZS32XQFTR2InstanceId.1i-28a64341SignatureVersion1\
             Timestamp2007-03-01T12:00:00ZVersion2007-03-01"
        );
        assert!(is_right(Method::HmacSha1, &secret(), &[string], "BUqM95DccdyUe4OU0QRhMyME0DE="));
    }

    /// The example that the guide of 2007 prints.
    #[test]
    fn version_1_is_as_the_guide_prints_it() {
        let string = v1_string(&of(&[
            ("Action", "DescribeImages"),
            ("AWSAccessKeyId", "10QMXFEV71ZS32XQFTR2"),
            ("SignatureVersion", "1"),
            ("Timestamp", "2006-12-08T07:48:03Z"),
            ("Version", "2007-01-03"),
        ]));
        assert!(is_right(Method::HmacSha1, &secret(), &[string], "GjH3941IBe6qsgQu+k7FpCJjpnc="));
    }

    #[test]
    fn version_2_is_of_method_and_host_too() {
        let parameters =
            with(&[("SignatureMethod", "HmacSHA256"), ("SignatureVersion", "2"), ("Version", "2007-03-01")]);
        for (method, host, path, given, is) in [
            ("GET", "ec2.example.internal", "/", "ySLzKh4qw0BW2Q6uV3hrjSX4mAm8tWfJZVul2I1Umis=", true),
            ("POST", "EC2.example.internal", "", "Pt6sPiHpmZSY2WyOomOprtdbixwwlTQvRLMY7ma7ggE=", true),
            ("POST", "ec2.example.internal:8773", "/", "Pt6sPiHpmZSY2WyOomOprtdbixwwlTQvRLMY7ma7ggE=", true),
            ("GET", "ec2.example.internal", "/x", "ySLzKh4qw0BW2Q6uV3hrjSX4mAm8tWfJZVul2I1Umis=", false),
            ("GET", "ec2.example.internal", "/", "Pt6sPiHpmZSY2WyOomOprtdbixwwlTQvRLMY7ma7ggE=", false),
            ("GET", "ec2.example.internal", "/", "no base64", false),
        ] {
            let strings = v2_strings(method, host, path, &parameters);
            assert_eq!(
                is_right(Method::HmacSha256, &secret(), &strings, given),
                is,
                "{method} {host}{path} {given}"
            );
        }
        assert!(
            v2_strings("GET", "h", "/", &parameters)[0]
                .contains("/\nAWSAccessKeyId=10QMXFEV71ZS32XQFTR2&Action=")
        );
    }
}
