//! What a launch asks of each instance, and what can be said of that without looking anything up.

use std::collections::BTreeMap;

use super::disks::DiskRequest;
use super::interfaces::InterfaceRequest;
use crate::charge::Terms;
use crate::compute::{ComputeError, MAX_INTERFACES};
use crate::dns::{MAX_HOST_NAME, is_label};
use crate::id::ImageId;
use crate::lifecycle::Rules;
use crate::resource::{Cloud, MetadataOptions, Tags};
use crate::secrets::Secret;

/// Most bytes of user data; Huawei's limit, the widest. Dialects with narrower ones look first.
pub const MAX_USER_DATA: usize = 32 * 1024;
/// Most characters of a name.
pub(crate) const MAX_NAME: usize = 128;

/// Instances of one kind.
#[derive(Clone, Debug)]
pub struct InstanceRequest {
    /// The fewest, at least 1.
    pub min: u32,
    /// The most.
    pub max: u32,
    /// The cloud that their guests are to believe to be in.
    pub cloud: Cloud,
    /// The image.
    pub image: ImageId,
    /// The instance type's name.
    pub instance_type: String,
    /// A name for people. Empty for none.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// The host name; `None` for the cloud's usual one, as `ip-10-0-0-5`.
    pub host_name: Option<String>,
    /// What each is called instead, in the order of their launch. Those behind the last are called as is said above.
    pub own_names: Vec<OwnNames>,
    /// Name of the key pair.
    pub key_pair: Option<String>,
    /// The password of the guest's first user.
    pub password: Option<Secret>,
    /// What the guest gets to read.
    pub user_data: Vec<u8>,
    /// Pairs that the guest gets to read.
    pub metadata: BTreeMap<String, String>,
    /// How the guest gets at its metadata.
    pub metadata_options: MetadataOptions,
    /// Give it a disk with its metadata, as OpenStack's config drives.
    pub config_drive: bool,
    /// The role's name.
    pub role: Option<String>,
    /// The system disk; only `content` is not asked.
    pub system_disk: DiskRequest,
    /// Other disks. One that is called as a data disk of the image is instead of that.
    pub disks: Vec<DiskRequest>,
    /// Data disks of the image that are not wanted.
    pub without: Vec<String>,
    /// The zone; `None` for the subnet's.
    pub zone: Option<String>,
    /// Its network interfaces in the order of their places; none for a new one in the account's default subnet.
    pub interfaces: Vec<InterfaceRequest>,
    /// Whether its first interface, which is a new one then, gets a public address that goes with it.
    pub public_address: PublicAddress,
    /// Tags.
    pub tags: Tags,
    /// Tags of their volumes.
    pub volume_tags: Tags,
    /// How it is paid for.
    pub terms: Terms,
    /// What it does by itself.
    pub rules: Rules,
    /// Refuse to terminate it.
    pub protected: bool,
    /// What the dialect keeps for itself.
    pub dialect: serde_json::Value,
}

/// Whether instances get public addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PublicAddress {
    /// They get none.
    #[default]
    Never,
    /// They get some for as long as there are some, and are launched without where there are none.
    IfAny,
    /// No more are launched than there are addresses.
    Always,
}

impl PublicAddress {
    /// What a request means that says yes or no.
    pub fn asked(yes: bool) -> Self {
        if yes { Self::Always } else { Self::Never }
    }
}

/// What one instance of several is called; where it has none of its own, as all are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnNames {
    /// Its name for people.
    pub name: Option<String>,
    /// Its host name.
    pub host_name: Option<String>,
}

/// Checks what can be said of a request without looking anything up.
pub(super) fn check(request: &InstanceRequest) -> Result<(), ComputeError> {
    let InstanceRequest { min, max, .. } = *request;
    if min == 0 || max < min {
        let why = format!("at least 1 and at most as many as the maximum, not {min} to {max}");
        return Err(ComputeError::invalid("count", why));
    }
    check_interfaces(request)?;
    let own_names = request.own_names.iter();
    for name in own_names.clone().filter_map(|own| own.name.as_ref()).chain([&request.name]) {
        check_name("name", name)?;
    }
    if request.user_data.len() > MAX_USER_DATA {
        return Err(ComputeError::invalid("user_data", format!("has more than {MAX_USER_DATA} bytes")));
    }
    for host_name in own_names.map(|own| &own.host_name).chain([&request.host_name]).flatten() {
        check_host_name(host_name)?;
    }
    check_metadata_options(request.metadata_options)?;
    for tags in [&request.tags, &request.volume_tags] {
        tags.check().map_err(|error| ComputeError::invalid("tags", error.to_string()))?;
    }
    Ok(())
}

fn check_interfaces(request: &InstanceRequest) -> Result<(), ComputeError> {
    let interfaces = &request.interfaces;
    if interfaces.len() > MAX_INTERFACES {
        let what = "network interfaces of an instance";
        return Err(ComputeError::Limit { what, most: MAX_INTERFACES as u64 });
    }
    if request.max > 1 && interfaces.iter().any(InterfaceRequest::is_single) {
        let is_there = |one: &InterfaceRequest| matches!(one, InterfaceRequest::Existing { .. });
        let parameter = if interfaces.iter().any(is_there) { "network_interface" } else { "private_address" };
        return Err(ComputeError::invalid(parameter, "is for a single instance"));
    }
    let is_there = matches!(interfaces.first(), Some(InterfaceRequest::Existing { .. }));
    if request.public_address != PublicAddress::Never && is_there {
        let why = "is for an interface that is made with the instance: associate one with this interface";
        return Err(ComputeError::invalid("public_address", why));
    }
    for interface in interfaces {
        if let InterfaceRequest::New(new) = interface {
            check_words(None, Some(&new.tags))?;
        }
    }
    Ok(())
}

/// Checks a name for people.
pub(crate) fn check_name(parameter: &'static str, name: &str) -> Result<(), ComputeError> {
    if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        let why = format!("has at most {MAX_NAME} characters, none of them control characters");
        return Err(ComputeError::invalid(parameter, why));
    }
    Ok(())
}

/// Checks what people say of a resource, where they say it.
pub(crate) fn check_words(name: Option<&str>, tags: Option<&Tags>) -> Result<(), ComputeError> {
    name.map_or(Ok(()), |name| check_name("name", name))?;
    let check = tags.map_or(Ok(()), Tags::check);
    check.map_err(|error| ComputeError::invalid("tags", error.to_string()))
}

/// Checks a host name: labels of letters, digits and hyphens (RFC 1123), 64 characters in all as Linux has it.
pub(crate) fn check_host_name(name: &str) -> Result<(), ComputeError> {
    if name.len() <= MAX_HOST_NAME && name.split('.').all(is_label) {
        return Ok(());
    }
    let why = "is no host name: letters, digits and hyphens, at most 64 characters";
    Err(ComputeError::invalid("host_name", why))
}

/// Checks how a guest is to get at its metadata.
pub(crate) fn check_metadata_options(options: MetadataOptions) -> Result<(), ComputeError> {
    options.check().map_err(|error| ComputeError::invalid("metadata_options", error.to_string()))
}
