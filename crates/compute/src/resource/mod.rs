//! The records of the core: what is kept of each resource, and under which key. Canonical; each dialect renders them its own
//! way, and keeps what is its own business in `dialect`.
//!
//! Only shapes, keys and what follows from a record by itself. What is done with them is in `crate::compute`.

mod image;
mod instance;
mod job;
mod metadata;
mod network;
mod place;
mod tags;
mod volume;

pub use image::{
    Architecture, HostKernel, Image, ImageBoot, ImageDisk, ImageState, bare_device, is_same_device,
};
pub use instance::{
    Cloud, Faults, HELD_AFTER_END, Instance, InstanceBoot, InstanceDisk, InstanceKey, Reason, Reservation,
};
pub use job::{Job, JobError, JobKind, JobState};
pub use metadata::{HopLimitError, MAX_HOP_LIMIT, MetadataChange, MetadataOptions, MetadataTokens};
pub use network::{
    Address, Direction, Interface, NetworkOf, Peer, Protocol, SecurityGroup, SecurityRule, Subnet, Vpc,
};
pub use place::{Catalog, InstanceType, Zone};
pub use tags::{MAX_TAG_KEY, MAX_TAG_VALUE, MAX_TAGS, TagError, Tags};
pub use volume::{Attachment, Snapshot, SnapshotState, Volume, VolumeKind, VolumeState};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::KeyPairId;
use crate::key_pair::{Fingerprints, PublicKey};
use crate::store::Key;

/// Whatever has a record of its own, with its key and its name for messages.
pub trait Resource: Serialize + serde::de::DeserializeOwned + Clone + Send + Sync + 'static {
    /// What people call it.
    const NAME: &'static str;
    /// The first word of its keys.
    const WORD: &'static str;

    /// Where it is kept.
    fn key(&self) -> Key;
}

/// The key of something that belongs to an account. Both are plain words already.
pub fn owned_key(word: &str, account: &str, id: &str) -> Key {
    Key::new([word, account, id]).expect("accounts and ids are plain words")
}

/// A key of an account's resource whose name users choose freely.
pub fn named_key(word: &str, account: &str, name: &str) -> Key {
    // Hexadecimal: any name becomes a plain word, and names keep their order.
    let name: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    owned_key(word, account, &name)
}

/// A key pair of an account. Only the public half is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPair {
    /// Its id.
    pub id: KeyPairId,
    /// The account.
    pub account: String,
    /// Its name, unique in the account: up to 128 characters.
    pub name: String,
    /// The public half.
    pub public_key: PublicKey,
    /// Its fingerprints in the clouds' forms.
    pub fingerprints: Fingerprints,
    /// When it was made or imported.
    pub created: Timestamp,
    /// Tags.
    #[serde(default)]
    pub tags: Tags,
}

impl Resource for KeyPair {
    const NAME: &'static str = "key pair";
    const WORD: &'static str = "key-pair";

    fn key(&self) -> Key {
        named_key(Self::WORD, &self.account, &self.name)
    }
}

/// What a request with a client token led to, so that its repetition leads to the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientToken {
    /// A hash of the request's parameters, without the token.
    pub request: String,
    /// The ids that it led to, as its operation reads them.
    pub result: Vec<String>,
    /// When.
    pub created: Timestamp,
}

/// A stretch of use that has ended, as it is kept for bills.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageRecord {
    /// The account.
    pub account: String,
    /// The instance.
    pub instance: crate::id::InstanceId,
    /// What was used, and when.
    pub usage: crate::charge::Usage,
}

impl Resource for UsageRecord {
    const NAME: &'static str = "usage record";
    const WORD: &'static str = "usage";

    fn key(&self) -> Key {
        // In the order of their beginnings.
        let since = format!("{:020}-{}", self.usage.since().as_millisecond().max(0), self.instance);
        owned_key(Self::WORD, &self.account, &since)
    }
}
