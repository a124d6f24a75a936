//! Which dialects an instance hears, by the cloud that it believes to be in; and how each asks for tokens.

use compute::resource::Cloud;
use hyper::StatusCode;

use crate::tree::Mount;
use crate::{alibaba, ec2, openstack};

/// EC2's paths.
pub static EC2: Mount = Mount { at: &[], versions: ec2::VERSIONS, rows: ec2::ROWS };
/// EC2's paths, as far as OpenStack has them.
pub static EC2_IN_OPENSTACK: Mount =
    Mount { at: &[], versions: ec2::VERSIONS.split_at(ec2::OPENSTACK_VERSIONS).0, rows: ec2::ROWS };
/// Alibaba's paths.
pub static ALIBABA: Mount = Mount { at: &[], versions: alibaba::VERSIONS, rows: alibaba::ROWS };
/// OpenStack's paths.
pub static OPENSTACK: Mount =
    Mount { at: &["openstack"], versions: openstack::VERSIONS, rows: openstack::ROWS };

/// How clients of a dialect ask for a token, and show it.
pub struct TokenForm {
    /// Where it is asked for by `PUT`.
    pub path: &'static [&'static str],
    /// The header that says for how many seconds; the answer has it, too.
    pub ttl: &'static str,
    /// The header that shows a token.
    pub token: &'static str,
}

const EC2_TOKEN: TokenForm = TokenForm {
    path: &["latest", "api", "token"],
    ttl: "x-aws-ec2-metadata-token-ttl-seconds",
    token: "x-aws-ec2-metadata-token",
};
const ALIBABA_TOKEN: TokenForm = TokenForm {
    path: &["latest", "api", "token"],
    ttl: "x-aliyun-ecs-metadata-token-ttl-seconds",
    token: "x-aliyun-ecs-metadata-token",
};
const HUAWEI_TOKEN: TokenForm = TokenForm {
    path: &["meta-data", "latest", "api", "token"],
    ttl: "x-metadata-token-ttl-seconds",
    token: "x-metadata-token",
};

/// What an instance hears.
pub struct Speech {
    /// Its paths. Where two have the same, the first counts.
    pub mounts: &'static [&'static Mount],
    /// Its tokens.
    pub tokens: &'static [TokenForm],
    /// What is answered where a token is required and none is shown.
    pub without_token: StatusCode,
}

/// What instances of a cloud hear.
pub fn speech(cloud: Cloud) -> &'static Speech {
    match cloud {
        Cloud::Native => &NATIVE,
        Cloud::Ec2 => &ONLY_EC2,
        Cloud::Alibaba => &ONLY_ALIBABA,
        Cloud::Huawei => &HUAWEI,
    }
}

static NATIVE: Speech = Speech {
    mounts: &[&EC2, &ALIBABA, &OPENSTACK],
    tokens: &[EC2_TOKEN, ALIBABA_TOKEN, HUAWEI_TOKEN],
    without_token: StatusCode::UNAUTHORIZED,
};
static ONLY_EC2: Speech =
    Speech { mounts: &[&EC2], tokens: &[EC2_TOKEN], without_token: StatusCode::UNAUTHORIZED };
static ONLY_ALIBABA: Speech =
    Speech { mounts: &[&ALIBABA], tokens: &[ALIBABA_TOKEN], without_token: StatusCode::FORBIDDEN };
static HUAWEI: Speech = Speech {
    mounts: &[&OPENSTACK, &EC2_IN_OPENSTACK],
    tokens: &[HUAWEI_TOKEN],
    without_token: StatusCode::UNAUTHORIZED,
};
