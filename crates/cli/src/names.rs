//! A name may stand for an id, where only one resource has it. What has the form of an id is one.

use native_api::{
    Account, AccountId, Address, AddressId, Client, Image, ImageId, ImageQuery, Instance, InstanceId,
    InstanceQuery, InstanceState, KeyPair, KeyPairId, NetworkInterface, NetworkInterfaceId, NetworkQuery,
    Operation, PageQuery, SecurityGroup, SecurityGroupId, Snapshot, SnapshotId, SnapshotQuery, Subnet,
    SubnetId, TextError, Volume, VolumeId, VolumeQuery, Vpc, VpcId,
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

/// The id of the VPC that is called so.
pub async fn vpc(client: &Client, text: &str) -> Result<VpcId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let found: Vec<Vpc> = client.all(Operation::ListVpcs, &PageQuery::default()).await?;
    let is_it = |vpc: &Vpc| vpc.name.as_ref().is_some_and(|name| name.as_str() == text);
    only("VPC", text, "bothy vpc ls", found.into_iter().filter(is_it).map(|vpc| vpc.id))
}

/// The same, if one is named.
pub async fn some_vpc(client: &Client, text: &Option<String>) -> Result<Option<VpcId>, Failure> {
    match text {
        Some(text) => vpc(client, text).await.map(Some),
        None => Ok(None),
    }
}

/// The VPC that launches use by default.
pub async fn default_vpc(client: &Client) -> Result<VpcId, Failure> {
    let all: Vec<Vpc> = client.all(Operation::ListVpcs, &PageQuery::default()).await?;
    let found = all.into_iter().find(|vpc| vpc.is_default).map(|vpc| vpc.id);
    found.ok_or_else(|| {
        Failure::new(Exit::NotFound, "the account has no default VPC any more", "name one: see bothy vpc ls")
    })
}

/// The id of the subnet that is called so.
pub async fn subnet(client: &Client, text: &str) -> Result<SubnetId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let query = NetworkQuery { name: Some(name(text)?), ..NetworkQuery::default() };
    let found: Vec<Subnet> = client.all(Operation::ListSubnets, &query).await?;
    only("subnet", text, "bothy subnet ls", found.into_iter().map(|subnet| subnet.id))
}

/// The id of the security group that is called so, in one VPC or in all.
pub async fn group(client: &Client, text: &str, vpc: Option<&VpcId>) -> Result<SecurityGroupId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let query = NetworkQuery { name: Some(name(text)?), vpc: vpc.cloned(), ..NetworkQuery::default() };
    let found: Vec<SecurityGroup> = client.all(Operation::ListSecurityGroups, &query).await?;
    let is_in_several = found.len() > 1;
    let found = only("security group", text, "bothy group ls", found.into_iter().map(|group| group.id));
    match is_in_several {
        true => found.map_err(|failure| failure.hinting("say which by its id, or by its VPC with --vpc")),
        false => found,
    }
}

/// Security groups for an interface in a subnet, or in the default one: names are those of its VPC.
pub async fn groups_of_subnet(
    client: &Client,
    texts: &[String],
    subnet: Option<&SubnetId>,
) -> Result<Vec<SecurityGroupId>, Failure> {
    let has_names = texts.iter().any(|text| text.parse::<SecurityGroupId>().is_err());
    let vpc = match subnet {
        _ if !has_names => None,
        Some(subnet) => Some(client.get_subnet(subnet).await?.vpc),
        None => Some(default_vpc(client).await?),
    };
    let mut groups = Vec::with_capacity(texts.len());
    for text in texts {
        groups.push(group(client, text, vpc.as_ref()).await?);
    }
    Ok(groups)
}

/// The id of the network interface that is called so.
pub async fn interface(client: &Client, text: &str) -> Result<NetworkInterfaceId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let query = NetworkQuery { name: Some(name(text)?), ..NetworkQuery::default() };
    let found: Vec<NetworkInterface> = client.all(Operation::ListNetworkInterfaces, &query).await?;
    let found = found.into_iter().map(|interface| interface.id);
    only("network interface", text, "bothy interface ls", found)
}

/// The id of the public address that is called so, or that is this one.
pub async fn address(client: &Client, text: &str) -> Result<AddressId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let found: Vec<Address> = client.all(Operation::ListAddresses, &PageQuery::default()).await?;
    let is_it = |address: &Address| {
        address.public_address.to_string() == text
            || address.name.as_ref().is_some_and(|name| name.as_str() == text)
    };
    let found = found.into_iter().filter(is_it).map(|address| address.id);
    only("public address", text, "bothy address ls", found)
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
