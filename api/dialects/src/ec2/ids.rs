//! Ids as this cloud writes them, which is as the core does. One of another form is malformed; one of today's longer form is
//! well-formed, and of nothing.

use compute::id::{
    AddressId, Id, ImageId, InstanceId, InterfaceId, KeyPairId, Kind, ReservationId, SecurityGroupId,
    SnapshotId, SubnetId, VolumeId, VpcId,
};
use compute::identity::PrincipalId;

use super::errors::Refusal;

/// Digits of an id of today's form.
const LONG: usize = 17;

/// An id that this cloud has a word for.
pub trait CloudId: Sized {
    /// The id as clients see it.
    fn written(self) -> String;

    /// The id that a client sent.
    ///
    /// # Errors
    ///
    /// It is malformed, or of nothing.
    fn read(text: &str) -> Result<Self, Refusal>;
}

/// Each id with its word, and the core's name of the kind.
macro_rules! ids {
    ($($id:ty: $word:literal, $name:literal;)*) => {$(
        impl CloudId for $id {
            fn written(self) -> String {
                self.with_prefix($word)
            }

            fn read(text: &str) -> Result<Self, Refusal> {
                read($word, $name, text)
            }
        }
    )*};
}

ids! {
    InstanceId: "i", "instance";
    ReservationId: "r", "reservation";
    ImageId: "ami", "image";
    VolumeId: "vol", "volume";
    SnapshotId: "snap", "snapshot";
    SecurityGroupId: "sg", "security group";
    SubnetId: "subnet", "subnet";
    VpcId: "vpc", "VPC";
    AddressId: "eipalloc", "public address";
    InterfaceId: "eni", "network interface";
    KeyPairId: "key", "key pair";
}

fn read<K: Kind>(word: &str, name: &str, text: &str) -> Result<Id<K>, Refusal> {
    if let Some(id) = Id::from_prefixed(word, text) {
        return Ok(id);
    }
    let digits = text.strip_prefix(word).and_then(|rest| rest.strip_prefix('-')).unwrap_or_default();
    let is_long = digits.len() == LONG
        && digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
    Err(if is_long { Refusal::no_such(name, text) } else { Refusal::malformed(name, text) })
}

/// The id of a user (`AIDA`) or a role (`AROA`): 21 capitals and digits in all.
pub fn principal(kind: &str, id: PrincipalId) -> String {
    format!("{kind}{:017}", id.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let volume = VolumeId::new(0x1a2b);
        assert_eq!(volume.written(), "vol-00001a2b");
        assert_eq!(VolumeId::read("vol-00001a2b").unwrap(), volume);
        for (text, code) in [
            ("i-00001a2b", "InvalidVolumeID.Malformed"),
            ("vol-1111", "InvalidVolumeID.Malformed"),
            ("vol-00001A2B", "InvalidVolumeID.Malformed"),
            ("vol-0123456789abcdefg", "InvalidVolumeID.Malformed"),
            ("", "InvalidVolumeID.Malformed"),
            ("vol-0123456789abcdef0", "InvalidVolume.NotFound"),
        ] {
            assert_eq!(VolumeId::read(text).unwrap_err().code, code, "{text}");
        }
    }
}
