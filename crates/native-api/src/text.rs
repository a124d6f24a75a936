//! Texts that have a form: ids, names, ranges of addresses. Each is a type that only a text of that form becomes, so that
//! what is malformed is refused where a request is read, and the OpenAPI document says the same form as a pattern.
//!
//! That each check and its pattern agree is tested (`tests/texts.rs`).

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A text that does not have the form its type asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: {expected}")]
pub struct TextError {
    /// The beginning of the text.
    pub text: String,
    /// What it was to be.
    pub what: &'static str,
    /// What is expected, in words.
    pub expected: &'static str,
}

/// Length, pattern and meaning of a text type, as the OpenAPI document has them.
#[derive(Clone, Copy, Debug)]
pub struct TextForm {
    /// Name of the type.
    pub name: &'static str,
    /// What it is.
    pub description: &'static str,
    /// A regular expression that it matches whole.
    pub pattern: &'static str,
    /// Fewest characters.
    pub min: usize,
    /// Most characters.
    pub max: usize,
    /// One of its kind.
    pub example: &'static str,
    /// Whether a text of fitting length has the form; what `pattern` says.
    pub check: fn(&str) -> bool,
}

impl TextForm {
    /// Whether a text has this form.
    pub fn fits(&self, text: &str) -> bool {
        // Bytes first: no use counting the characters of a megabyte.
        let length_fits = text.len() <= self.max * 4 && {
            let length = text.chars().count();
            (self.min..=self.max).contains(&length)
        };
        length_fits && (self.check)(text)
    }
}

/// Defines the text types in one table: what a message calls it, its form in words, lengths, pattern, example, check.
macro_rules! texts {
    ($($(#[doc = $doc:literal])* $name:ident, $what:literal, $expected:literal, $min:literal..=$max:literal,
       $pattern:literal, $example:literal, $check:expr;)*) => {
        /// The form of each text type.
        pub const TEXT_FORMS: &[TextForm] = &[$($name::FORM),*];

        $(
            $(#[doc = $doc])*
            #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
            #[serde(try_from = "String", into = "String")]
            pub struct $name(String);

            impl $name {
                /// Its form.
                pub const FORM: TextForm = TextForm {
                    name: stringify!($name),
                    description: concat!($($doc, "\n"),*),
                    pattern: $pattern,
                    min: $min,
                    max: $max,
                    example: $example,
                    check: $check,
                };

                /// The text.
                pub fn as_str(&self) -> &str {
                    &self.0
                }
            }

            impl TryFrom<String> for $name {
                type Error = TextError;

                fn try_from(text: String) -> Result<Self, TextError> {
                    if Self::FORM.fits(&text) {
                        return Ok(Self(text));
                    }
                    // Whatever the caller sent goes into a message: not all of it.
                    let text = text.chars().take(64).collect();
                    Err(TextError { text, what: $what, expected: $expected })
                }
            }

            impl FromStr for $name {
                type Err = TextError;

                fn from_str(text: &str) -> Result<Self, TextError> {
                    text.to_owned().try_into()
                }
            }

            impl From<$name> for String {
                fn from(text: $name) -> Self {
                    text.0
                }
            }

            impl AsRef<str> for $name {
                fn as_ref(&self) -> &str {
                    &self.0
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.pad(&self.0)
                }
            }

            // By hand, because the derive does not know the pattern.
            #[cfg(feature = "openapi")]
            impl utoipa::PartialSchema for $name {
                fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                    $name::FORM.schema()
                }
            }

            #[cfg(feature = "openapi")]
            impl utoipa::ToSchema for $name {}
        )*
    };
}

#[cfg(feature = "openapi")]
impl TextForm {
    fn schema(&self) -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
        let schema = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .description(Some(self.description.trim()))
            .pattern(Some(self.pattern))
            .min_length(Some(self.min))
            .max_length(Some(self.max))
            .examples([self.example]);
        Schema::from(schema.build()).into()
    }
}

texts! {
    /// The id of an instance.
    InstanceId, "instance id", "expected i- and eight hexadecimal digits", 10..=10,
        "^i-[0-9a-f]{8}$", "i-1a2b3c4d", |text| is_id(text, "i-");
    /// The id of the instances of one launch.
    ReservationId, "reservation id", "expected r- and eight hexadecimal digits", 10..=10,
        "^r-[0-9a-f]{8}$", "r-1a2b3c4d", |text| is_id(text, "r-");
    /// The id of an image.
    ImageId, "image id", "expected ami- and eight hexadecimal digits", 12..=12,
        "^ami-[0-9a-f]{8}$", "ami-1a2b3c4d", |text| is_id(text, "ami-");
    /// The id of a volume.
    VolumeId, "volume id", "expected vol- and eight hexadecimal digits", 12..=12,
        "^vol-[0-9a-f]{8}$", "vol-1a2b3c4d", |text| is_id(text, "vol-");
    /// The id of a snapshot.
    SnapshotId, "snapshot id", "expected snap- and eight hexadecimal digits", 13..=13,
        "^snap-[0-9a-f]{8}$", "snap-1a2b3c4d", |text| is_id(text, "snap-");
    /// The id of a key pair.
    KeyPairId, "key pair id", "expected key- and eight hexadecimal digits", 12..=12,
        "^key-[0-9a-f]{8}$", "key-1a2b3c4d", |text| is_id(text, "key-");
    /// The id of a VPC.
    VpcId, "VPC id", "expected vpc- and eight hexadecimal digits", 12..=12,
        "^vpc-[0-9a-f]{8}$", "vpc-1a2b3c4d", |text| is_id(text, "vpc-");
    /// The id of a subnet.
    SubnetId, "subnet id", "expected subnet- and eight hexadecimal digits", 15..=15,
        "^subnet-[0-9a-f]{8}$", "subnet-1a2b3c4d", |text| is_id(text, "subnet-");
    /// The id of a network interface.
    NetworkInterfaceId, "network interface id", "expected eni- and eight hexadecimal digits", 12..=12,
        "^eni-[0-9a-f]{8}$", "eni-1a2b3c4d", |text| is_id(text, "eni-");
    /// The id of a security group.
    SecurityGroupId, "security group id", "expected sg- and eight hexadecimal digits", 11..=11,
        "^sg-[0-9a-f]{8}$", "sg-1a2b3c4d", |text| is_id(text, "sg-");
    /// The id of a public address.
    AddressId, "address id", "expected eipalloc- and eight hexadecimal digits", 17..=17,
        "^eipalloc-[0-9a-f]{8}$", "eipalloc-1a2b3c4d", |text| is_id(text, "eipalloc-");
    /// The id of a job.
    JobId, "job id", "expected job- and eight hexadecimal digits", 12..=12,
        "^job-[0-9a-f]{8}$", "job-1a2b3c4d", |text| is_id(text, "job-");
    /// The id of an account: 12 to 16 digits.
    AccountId, "account id", "expected 12 to 16 digits", 12..=16,
        "^[0-9]{12,16}$", "123456789012", |text| text.bytes().all(|byte| byte.is_ascii_digit());
    /// The public half of an access key.
    AccessKeyId, "access key id", "expected 16 to 128 letters, digits and full stops", 16..=128,
        "^[A-Za-z0-9.]+$", "AKIAIOSFODNN7EXAMPLE", |text| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');

    /// What people call a resource. Need not be unique.
    ResourceName, "name", "expected 1 to 128 characters, no control characters", 1..=128,
        "^[^\\x00-\\x1f\\x7f-\\x9f]+$", "build host", is_printable;
    /// A description.
    Description, "description", "expected at most 255 characters, no control characters", 0..=255,
        "^[^\\x00-\\x1f\\x7f-\\x9f]*$", "made from the golden image", is_printable;
    /// The name of a key pair, unique in its account.
    KeyPairName, "key pair name", "expected 1 to 64 letters, digits, '.', '_' and '-', a letter or digit first", 1..=64,
        "^[A-Za-z0-9][A-Za-z0-9._-]*$", "laptop", |text| is_word(text, b"._-");
    /// The name of a user, role or policy, unique of its kind in its account; or of an account.
    PrincipalName, "name", "expected 1 to 64 letters, digits, '.', '_' and '-', a letter or digit first", 1..=64,
        "^[A-Za-z0-9][A-Za-z0-9._-]*$", "builder", |text| is_word(text, b"._-");
    /// The name of a session.
    SessionName, "session name", "expected 2 to 64 letters, digits and any of + = , . @ _ -", 2..=64,
        "^[A-Za-z0-9+=,.@_-]+$", "deploy-42",
        |text| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte));
    /// A host name: what DHCP and the metadata service tell the guest.
    HostName, "host name", "expected 1 to 63 letters, digits and hyphens, no hyphen first or last", 1..=63,
        "^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$", "web-1", |text| is_word(text, b"-") && !text.ends_with('-');
    /// The name of an instance type.
    InstanceTypeName, "instance type", "expected lower-case letters and digits, with single '.' or '-' between them", 1..=40,
        "^[a-z0-9]+([.-][a-z0-9]+)*$", "m1.small", |text| text.split(['.', '-']).all(is_lower_word);
    /// The name of a region or zone.
    PlaceName, "region or zone", "expected lower-case letters and digits, with single hyphens between them", 1..=64,
        "^[a-z0-9]+(-[a-z0-9]+)*$", "local-1a", |text| text.split('-').all(is_lower_word);
    /// A product code: what somebody sells in an image.
    ProductCode, "product code", "expected 1 to 64 letters, digits, '.', '_' and '-', a letter or digit first", 1..=64,
        "^[A-Za-z0-9][A-Za-z0-9._-]*$", "774F4FF8", |text| is_word(text, b"._-");
    /// What a guest calls a disk: `vda` to `vdz`.
    DeviceName, "device name", "expected vdb to vdz", 3..=3,
        "^vd[b-z]$", "vdb", |text| text.strip_prefix("vd").is_some_and(|rest| ("b"..="z").contains(&rest));

    /// The key of a tag.
    TagKey, "tag key", "expected 1 to 128 characters, no control characters and no '='", 1..=128,
        "^[^\\x00-\\x1f\\x7f-\\x9f=]+$", "team", |text| is_printable(text) && !text.contains('=');
    /// The value of a tag.
    TagValue, "tag value", "expected at most 256 characters, no control characters", 0..=256,
        "^[^\\x00-\\x1f\\x7f-\\x9f]*$", "storage", is_printable;
    /// Resources with a tag of this key, `KEY`, or with this tag, `KEY=VALUE`.
    TagFilter, "tag filter", "expected KEY or KEY=VALUE, at most 385 characters, no control characters", 1..=385,
        "^[^\\x00-\\x1f\\x7f-\\x9f=][^\\x00-\\x1f\\x7f-\\x9f]*$", "team=storage", |text| is_printable(text) && !text.starts_with('=');

    /// Where a list goes on; given by the answer before. Means nothing to the client.
    PageToken, "page token", "expected what an earlier answer gave as next_page_token", 1..=512,
        "^[A-Za-z0-9_-]+$", "aS0xYTJiM2M0ZA", |text| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    /// Chosen by the client for one request. Sent again with the same request, it gets the same answer and nothing is done
    /// twice; with another request, it is refused.
    ClientToken, "client token", "expected 1 to 64 printable ASCII characters without blanks", 1..=64,
        "^[\\x21-\\x7e]+$", "5f0c7a52-0d3e-4c9b", |text| text.bytes().all(|byte| byte.is_ascii_graphic());
    /// A SHA-256, as lower-case hexadecimal digits.
    Sha256, "SHA-256", "expected 64 lower-case hexadecimal digits", 64..=64,
        "^[0-9a-f]{64}$", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", |text| text.bytes().all(is_hex);
    /// An absolute path on the host that the daemon runs on.
    HostPath, "path", "expected an absolute path, at most 4095 characters, no control characters", 2..=4095,
        "^/[^\\x00-\\x1f\\x7f-\\x9f]+$", "/srv/images/debian-12.qcow2", |text| text.starts_with('/') && is_printable(text);
    /// A URL that the daemon fetches an image from, by http or https. Without a name and password in it.
    ImageUrl, "URL", "expected a URL by http or https, at most 2048 printable ASCII characters without blanks", 10..=2048,
        "^https?://[\\x21-\\x7e]+$", "https://images.example.org/debian-12.qcow2", is_http_url;
    /// What a guest's first boot reads, in base64: at most 32 KiB.
    UserData, "user data", "expected at most 32 KiB in base64", 0..=43692,
        "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$", "I2Nsb3VkLWNvbmZpZwo=",
        |text| STANDARD.decode(text).is_ok();
    /// A range of IPv4 addresses, as `10.0.0.0/16`.
    Cidr, "range of addresses", "expected an IPv4 network and its prefix's length, as 10.0.0.0/16", 9..=18,
        "^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])/(3[0-2]|[12]?[0-9])$",
        "10.0.0.0/16", is_cidr;
    /// A MAC address, lower-case with colons.
    MacAddress, "MAC address", "expected six octets in lower-case hexadecimal digits with colons", 17..=17,
        "^([0-9a-f]{2}:){5}[0-9a-f]{2}$", "02:00:0a:00:00:05",
        |text| text.split(':').all(|octet| octet.len() == 2 && octet.bytes().all(is_hex)) && text.len() == 17;
    /// A policy document: JSON in the clouds' common policy language.
    PolicyDocument, "policy document", "expected a policy document of 2 to 6144 characters", 2..=6144,
        "^[ \\t\\n\\r]*\\{[\\s\\S]*\\}[ \\t\\n\\r]*$", "{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"bothy:List*\",\"Resource\":\"*\"}]}",
        is_braced;
    /// A public key: a line of `authorized_keys`, RFC 4716 or PEM.
    PublicKeyText, "public key", "expected a line of authorized_keys, RFC 4716 or PEM, at most 16384 characters", 16..=16384,
        "^[\\t\\n\\r\\x20-\\x7e]+$", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFxX4mdR7y7uNf4hOBsn+iT7DLt3cxM0Wy0u3ZyG3mYb me@laptop",
        is_ascii_text;
    /// An X.509 certificate in PEM.
    CertificatePem, "certificate", "expected PEM, of 16 to 16384 characters", 16..=16384,
        "^[\\t\\n\\r\\x20-\\x7e]+$", "-----BEGIN CERTIFICATE-----\nMAcwADAAAwEA\n-----END CERTIFICATE-----\n", is_ascii_text;
}

impl UserData {
    /// The user data of these bytes.
    ///
    /// # Errors
    /// They are more than 32 KiB.
    pub fn of(bytes: &[u8]) -> Result<Self, TextError> {
        let encoded =
            if bytes.len() <= crate::MAX_USER_DATA_BYTES { STANDARD.encode(bytes) } else { "?".into() };
        encoded.try_into()
    }

    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        STANDARD.decode(&self.0).expect("only what decodes becomes one")
    }
}

/// What is a URL by all rules is seen by whoever fetches it.
fn is_http_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic()))
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| digits.len() == 8 && digits.bytes().all(is_hex))
}

fn is_printable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// Printable ASCII in lines.
fn is_ascii_text(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~'))
}

/// ASCII letters, digits and `others`, a letter or digit first: never a path's `..`, never taken for an option.
fn is_word(text: &str, others: &[u8]) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}

fn is_lower_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn is_cidr(text: &str) -> bool {
    let Some((network, length)) = text.split_once('/') else { return false };
    let length_fits = length == "0" || !length.starts_with(['0', '+']);
    network.parse::<Ipv4Addr>().is_ok()
        && length_fits
        && length.parse::<u8>().is_ok_and(|length| length <= 32)
}

fn is_braced(text: &str) -> bool {
    // The white space that JSON knows, and no other.
    let text = text.trim_matches([' ', '\t', '\n', '\r']);
    text.len() >= 2 && text.starts_with('{') && text.ends_with('}')
}
