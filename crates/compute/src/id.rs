//! Ids of resources: a prefix that tells the kind, and eight hexadecimal digits, `i-1a2b3c4d`. It is the one shape that
//! clients of 2007 and of today both take for an id. Each kind has a type of its own, parsed at the edge, so that a volume
//! is never asked for by an instance's id.
//!
//! An id is drawn by chance; that it is not taken yet is seen when its record is written.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A kind of resource that has ids.
pub trait Kind {
    /// What its ids begin with, before the hyphen.
    const PREFIX: &'static str;
}

/// An instance.
pub enum Instance {}
/// The instances of one launch.
pub enum Reservation {}
/// An image.
pub enum Image {}
/// A volume.
pub enum Volume {}
/// A snapshot.
pub enum Snapshot {}
/// A virtual private cloud.
pub enum Vpc {}
/// A subnet of a VPC.
pub enum Subnet {}
/// A network interface.
pub enum NetworkInterface {}
/// A security group.
pub enum SecurityGroup {}
/// A public address of an account.
pub enum Address {}
/// A key pair.
pub enum KeyPair {}
/// A job: something that takes long.
pub enum Job {}

/// The id of an instance.
pub type InstanceId = Id<Instance>;
/// The id of a reservation.
pub type ReservationId = Id<Reservation>;
/// The id of an image.
pub type ImageId = Id<Image>;
/// The id of a volume.
pub type VolumeId = Id<Volume>;
/// The id of a snapshot.
pub type SnapshotId = Id<Snapshot>;
/// The id of a VPC.
pub type VpcId = Id<Vpc>;
/// The id of a subnet.
pub type SubnetId = Id<Subnet>;
/// The id of a network interface.
pub type InterfaceId = Id<NetworkInterface>;
/// The id of a security group.
pub type SecurityGroupId = Id<SecurityGroup>;
/// The id of a public address.
pub type AddressId = Id<Address>;
/// The id of a key pair.
pub type KeyPairId = Id<KeyPair>;
/// The id of a job.
pub type JobId = Id<Job>;

impl Kind for Instance {
    const PREFIX: &'static str = "i";
}
impl Kind for Reservation {
    const PREFIX: &'static str = "r";
}
impl Kind for Image {
    const PREFIX: &'static str = "ami";
}
impl Kind for Volume {
    const PREFIX: &'static str = "vol";
}
impl Kind for Snapshot {
    const PREFIX: &'static str = "snap";
}
impl Kind for Vpc {
    const PREFIX: &'static str = "vpc";
}
impl Kind for Subnet {
    const PREFIX: &'static str = "subnet";
}
impl Kind for NetworkInterface {
    const PREFIX: &'static str = "eni";
}
impl Kind for SecurityGroup {
    const PREFIX: &'static str = "sg";
}
impl Kind for Address {
    const PREFIX: &'static str = "eipalloc";
}
impl Kind for KeyPair {
    const PREFIX: &'static str = "key";
}
impl Kind for Job {
    const PREFIX: &'static str = "job";
}

/// The id of a resource of the kind `K`.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id<K: Kind> {
    number: u32,
    // A function type: an id is `Send` whatever its kind is.
    kind: PhantomData<fn() -> K>,
}

/// A text that is no id of the kind asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an id of this kind: expected {prefix}- and eight hexadecimal digits")]
pub struct IdError {
    text: String,
    prefix: &'static str,
}

impl<K: Kind> Id<K> {
    /// The id with this number, which is drawn by chance.
    pub fn new(number: u32) -> Self {
        Self { number, kind: PhantomData }
    }

    /// One drawn by chance.
    pub fn draw() -> Self {
        let bytes = *uuid::Uuid::new_v4().as_bytes();
        // The first four are all chance; those behind carry the version.
        Self::new(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.number
    }

    /// The id as a cloud writes it that has another word for the kind: `d-1a2b3c4d` for a volume.
    pub fn with_prefix(self, prefix: &str) -> String {
        format!("{prefix}-{:08x}", self.number)
    }

    /// Reads an id as `with_prefix` writes it.
    pub fn from_prefixed(prefix: &str, text: &str) -> Option<Self> {
        let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
        // The parser of numbers would take a sign and capitals.
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let digits = digits.filter(|digits| digits.len() == 8 && digits.bytes().all(is_digit));
        digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).map(Self::new)
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_prefix(K::PREFIX))
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::from_prefixed(K::PREFIX, text).ok_or_else(|| {
            // Whatever the caller sent goes into a message: not all of it.
            IdError { text: text.chars().take(64).collect(), prefix: K::PREFIX }
        })
    }
}

impl<K: Kind> TryFrom<String> for Id<K> {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl<K: Kind> From<Id<K>> for String {
    fn from(id: Id<K>) -> Self {
        id.to_string()
    }
}

// Derived, these would ask the same of `K`, which is never there.
impl<K: Kind> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Kind> Copy for Id<K> {}

impl<K: Kind> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<K: Kind> Eq for Id<K> {}

impl<K: Kind> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K: Kind> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.number.cmp(&other.number)
    }
}

impl<K: Kind> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let id = Id::<Instance>::new(0x1a2b);
        assert_eq!(id.to_string(), "i-00001a2b");
        assert_eq!("i-00001a2b".parse(), Ok(id));
        assert_eq!(serde_json::from_str::<Id<Instance>>("\"i-00001a2b\"").unwrap(), id);
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"i-00001a2b\"");
    }

    #[test]
    fn anything_else_is_no_id() {
        let long = "i-".to_owned() + &"é".repeat(1000);
        for text in [
            "",
            "i",
            "i-",
            "i-1a2b",
            "i-00001A2B",
            "i-+0001a2b",
            "i-00001a2b0",
            "vol-00001a2b",
            "i-1111",
            &long,
        ] {
            let error = text.parse::<Id<Instance>>().unwrap_err().to_string();
            assert!(error.contains("expected i- and eight"), "{error}");
            assert!(error.len() < 300);
        }
    }
}
