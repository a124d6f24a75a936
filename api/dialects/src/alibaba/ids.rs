//! Ids as this cloud writes them: the core's numbers behind other words. An id of another form is of nothing.

use compute::id::{
    AddressId, Id, ImageId, InstanceId, InterfaceId, KeyPairId, Kind, SecurityGroupId, SnapshotId, SubnetId,
    VolumeId, VpcId,
};

use super::errors::Refusal;

/// An id that this cloud has a word for.
pub trait CloudId: Sized {
    /// The id as clients see it.
    fn written(self) -> String;

    /// The id that a client sent; what has not the form of one is the id of nothing.
    fn read(text: &str) -> Result<Self, Refusal>;
}

/// Each id with this cloud's word for it, and the core's name of the kind.
macro_rules! ids {
    ($($id:ty: $word:literal, $name:literal;)*) => {$(
        impl CloudId for $id {
            fn written(self) -> String {
                self.with_prefix($word)
            }

            fn read(text: &str) -> Result<Self, Refusal> {
                Self::from_prefixed($word, text).ok_or_else(|| Refusal::not_found($name))
            }
        }
    )*};
}

ids! {
    InstanceId: "i", "instance";
    ImageId: "m", "image";
    VolumeId: "d", "volume";
    SnapshotId: "s", "snapshot";
    SecurityGroupId: "sg", "security group";
    SubnetId: "vsw", "subnet";
    VpcId: "vpc", "VPC";
    AddressId: "eip", "public address";
    InterfaceId: "eni", "network interface";
    KeyPairId: "ssh", "key pair";
}

/// Those of these that have the form of one: the others are the ids of nothing, which no list has.
pub fn some<K: Kind>(texts: &[String]) -> Vec<Id<K>>
where
    Id<K>: CloudId,
{
    texts.iter().filter_map(|text| CloudId::read(text).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let disk = VolumeId::new(0x1a2b);
        assert_eq!(disk.written(), "d-00001a2b");
        assert_eq!(VolumeId::read("d-00001a2b").unwrap(), disk);
        for text in ["vol-00001a2b", "d-1111", "i-00001a2b", "d-00001A2B", ""] {
            let error = VolumeId::read(text).unwrap_err();
            assert_eq!((error.status, &*error.code), (404, "InvalidDiskId.NotFound"), "{text}");
        }
        let texts = ["i-1111".to_owned(), "i-00000001".to_owned()];
        assert_eq!(some::<compute::id::Instance>(&texts), [InstanceId::new(1)]);
    }
}
