//! Launching instances.

use std::collections::BTreeMap;

use compute::compute::{
    ComputeError, DiskRequest, InstanceRequest, InterfaceRequest, Launch, LaunchInterface, Launched,
    PublicAddress, SourceRequest, Token,
};
use compute::id::InstanceId;
use compute::resource::Tags;
use native_api::{self as api, DiskContent, ErrorBody, LaunchRequest, VolumeType};

use super::Call;
use super::answer::{Answer, accepted, ok};
use super::convert::{self, id, text};
use super::errors::OrRefuse;
use super::states;

/// LaunchInstances: all that is asked for, or nothing.
pub async fn launch(call: &Call<'_>, mut request: LaunchRequest) -> Result<Answer, ErrorBody> {
    if let Some(role) = &request.role {
        call.pass_role(role.as_str()).await?;
    }
    let token = request.client_token.take().map(|token| token_of(token, "native/LaunchInstances", &request));
    let launch = Launch {
        account: call.account().to_owned(),
        token,
        kinds: vec![kind(&request, call.now()).or_refuse()?],
        allowance: call.allowance().await?,
        dry_run: request.dry_run,
    };
    if request.dry_run {
        let count = call.compute().preview(&launch).await.or_refuse()?;
        let count = u64::from(count).try_into().expect("no launch has more");
        return ok(&api::LaunchPreview { count });
    }
    let Launched { reservation, .. } = call.compute().launch(&launch).await.or_refuse()?;
    let ids: &[InstanceId] = &reservation.instances;
    let views = call.compute().instance_views_of(call.account(), ids, |_| true).await.or_refuse()?;
    let instances = views.into_iter().map(convert::instance).collect();
    accepted(&api::Launched { reservation: text(reservation.id), instances })
}

/// A token with the request that it came with, which is written the same whenever it is the same: fields in their order,
/// tags by their keys.
pub fn token_of(token: api::ClientToken, operation: &'static str, request: &impl serde::Serialize) -> Token {
    let parameters = serde_json::to_string(request).expect("the contract's types are JSON");
    Token { operation, token: token.into(), parameters }
}

fn kind(request: &LaunchRequest, now: jiff::Timestamp) -> Result<InstanceRequest, ComputeError> {
    let (min, max) = request.count.map_or((1, 1), |count| (count.min.get(), count.max.get()));
    let system = request.system_disk.as_ref();
    let system_disk = DiskRequest {
        size_gib: system.and_then(|disk| disk.size_gib).map(|size| size.get().into()),
        delete_with_instance: system.is_none_or(|disk| disk.delete_with_instance),
        category: category(system.map(|disk| disk.volume_type).unwrap_or_default()),
        ..DiskRequest::default()
    };
    let disks = request.data_disks.iter().map(disk).collect::<Result<_, _>>()?;
    Ok(InstanceRequest {
        min,
        max,
        cloud: states::new_cloud(request.cloud),
        image: id(&request.image),
        instance_type: request.instance_type.as_str().to_owned(),
        name: convert::words(request.name.clone()),
        description: String::new(),
        host_name: request.host_name.clone().map(Into::into),
        own_names: Vec::new(),
        key_pair: request.key_pair.clone().map(Into::into),
        password: None,
        user_data: request.user_data.as_ref().map(api::UserData::bytes).unwrap_or_default(),
        metadata: BTreeMap::new(),
        metadata_options: convert::new_metadata_options(request.metadata_options),
        config_drive: request.config_drive,
        role: request.role.clone().map(Into::into),
        system_disk,
        disks,
        without: Vec::new(),
        zone: None,
        interfaces: interfaces(request)?,
        public_address: PublicAddress::asked(request.public_address.unwrap_or(false)),
        tags: convert::new_tags(&request.tags),
        volume_tags: Tags::default(),
        terms: convert::new_terms(&request.charge, now)?,
        rules: convert::new_rules(request.rules),
        protected: false,
        dialect: serde_json::Value::Null,
    })
}

/// The interfaces of a list of their own, or the one that the request itself describes.
fn interfaces(request: &LaunchRequest) -> Result<Vec<InterfaceRequest>, ComputeError> {
    let says_itself =
        request.subnet.is_some() || request.private_address.is_some() || !request.security_groups.is_empty();
    if request.network_interfaces.is_empty() {
        return Ok(vec![InterfaceRequest::New(LaunchInterface {
            subnet: request.subnet.as_ref().map(id),
            address: request.private_address,
            security_groups: request.security_groups.iter().map(id).collect(),
            ..LaunchInterface::default()
        })]);
    }
    if says_itself {
        let why = "come with subnet, private_address and security_groups of their own, not with the launch's";
        return Err(ComputeError::invalid("network_interfaces", why));
    }
    Ok(request.network_interfaces.iter().map(interface).collect())
}

fn interface(interface: &api::LaunchInterface) -> InterfaceRequest {
    match interface {
        api::LaunchInterface::New(new) => InterfaceRequest::New(LaunchInterface {
            subnet: new.subnet.as_ref().map(id),
            address: new.private_address,
            security_groups: new.security_groups.iter().map(id).collect(),
            delete_with_instance: new.delete_with_instance,
            ..LaunchInterface::default()
        }),
        api::LaunchInterface::Existing(existing) => InterfaceRequest::Existing {
            interface: id(&existing.id),
            delete_with_instance: existing.delete_with_instance,
        },
    }
}

fn disk(disk: &api::DataDisk) -> Result<DiskRequest, ComputeError> {
    let (content, needs_size) = match &disk.content {
        DiskContent::Blank => (SourceRequest::Blank, true),
        DiskContent::Ephemeral => (SourceRequest::Ephemeral, false),
        DiskContent::Swap => (SourceRequest::Swap, false),
        DiskContent::Snapshot(snapshot) => (SourceRequest::Snapshot(id(snapshot)), false),
    };
    if needs_size && disk.size_gib.is_none() {
        return Err(ComputeError::invalid("data_disks", "that are blank need a size_gib"));
    }
    Ok(DiskRequest {
        size_gib: disk.size_gib.map(|size| size.get().into()),
        content,
        device: None,
        delete_with_instance: disk.delete_with_instance,
        category: category(disk.volume_type),
        name: String::new(),
    })
}

fn category(volume_type: VolumeType) -> String {
    match volume_type {
        VolumeType::Local => "local".to_owned(),
    }
}
