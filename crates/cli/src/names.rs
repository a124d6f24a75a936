//! A name may stand for an id, where only one resource has it. What has the form of an id is one.

use native_api::{
    Account, AccountId, Client, Image, ImageId, ImageQuery, Instance, InstanceId, InstanceQuery,
    InstanceState, KeyPair, KeyPairId, Operation, PageQuery, Snapshot, SnapshotId, SnapshotQuery, TextError,
    Volume, VolumeId, VolumeQuery,
};

use crate::failure::{Exit, Failure};

/// The id of the instance that is called so. Terminated ones have their ids only.
pub async fn instance(client: &Client, text: &str) -> Result<InstanceId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let query = InstanceQuery { name: Some(name(text)?), ..InstanceQuery::default() };
    let mut found: Vec<Instance> = client.all(Operation::ListInstances, &query).await?;
    found.retain(|instance| instance.state != InstanceState::Terminated);
    only("instance", text, "bothy ls", found.into_iter().map(|instance| instance.id))
}

/// The id of the image that is called so.
pub async fn image(client: &Client, text: &str) -> Result<ImageId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let query = ImageQuery { name: Some(name(text)?), ..ImageQuery::default() };
    let found: Vec<Image> = client.all(Operation::ListImages, &query).await?;
    only("image", text, "bothy image ls", found.into_iter().map(|image| image.id))
}

/// The id of the volume that is called so.
pub async fn volume(client: &Client, text: &str) -> Result<VolumeId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let query = VolumeQuery { name: Some(name(text)?), ..VolumeQuery::default() };
    let found: Vec<Volume> = client.all(Operation::ListVolumes, &query).await?;
    only("volume", text, "bothy volume ls", found.into_iter().map(|volume| volume.id))
}

/// The id of the snapshot that is called so.
pub async fn snapshot(client: &Client, text: &str) -> Result<SnapshotId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let query = SnapshotQuery { name: Some(name(text)?), ..SnapshotQuery::default() };
    let found: Vec<Snapshot> = client.all(Operation::ListSnapshots, &query).await?;
    only("snapshot", text, "bothy snapshot ls", found.into_iter().map(|snapshot| snapshot.id))
}

/// The id of the key pair that is called so.
pub async fn key_pair(client: &Client, text: &str) -> Result<KeyPairId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let found: Vec<KeyPair> = client.all(Operation::ListKeyPairs, &PageQuery::default()).await?;
    let found = found.into_iter().filter(|key| key.name.as_str() == text);
    only("key pair", text, "bothy key ls", found.map(|key| key.id))
}

/// The id of the account that is called so.
pub async fn account(client: &Client, text: &str) -> Result<AccountId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let found: Vec<Account> = client.all(Operation::ListAccounts, &PageQuery::default()).await?;
    let found = found.into_iter().filter(|account| account.name.as_str() == text);
    only("account", text, "bothy account ls", found.map(|account| account.id))
}

/// A text that the user gave, in the form that it needs.
pub fn given<T: std::str::FromStr<Err = TextError>>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error: TextError| Failure::new(Exit::Usage, error.to_string(), ""))
}

fn name(text: &str) -> Result<native_api::ResourceName, Failure> {
    given(text)
}

fn only<T: std::fmt::Display>(
    what: &str,
    text: &str,
    list: &str,
    found: impl Iterator<Item = T>,
) -> Result<T, Failure> {
    let mut found: Vec<T> = found.collect();
    match found.len() {
        0 => Err(Failure::new(Exit::NotFound, format!("there is no {what} {text:?}"), format!("see {list}"))),
        1 => Ok(found.remove(0)),
        count => Err(Failure::new(
            Exit::Failed,
            format!("{count} {what}s are called {text:?}: {}", crate::output::several(found)),
            "say which by its id",
        )),
    }
}
