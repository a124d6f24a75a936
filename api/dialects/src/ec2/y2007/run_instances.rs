//! RunInstances: launches instances of one image or several, the fewest of each or nothing at all. What is there beyond that is
//! shared out in turn. An instance of then is nothing without its machine: when that ends, it is terminated.

use compute::charge::Terms;
use compute::compute::{
    DiskRequest, InstanceRequest, InterfaceRequest, Launch, LaunchInterface, PublicAddress, SourceRequest,
};
use compute::id::SecurityGroupId;
use compute::lifecycle::Rules;
use compute::resource::{Cloud, Image, ImageBoot, MetadataOptions, Tags};
use serde_json::Value;

use super::super::access::{ask, resource};
use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::launch_request::{self, Wanted};
use super::{group, image, instance};

/// The one size that there was.
const USUAL_TYPE: &str = "m1.small";

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let wanted = launch_request::wanted(call)?;
    let user_data = launch_request::user_data(call.parameters)?;
    launch_request::check_addressing(call.parameters)?;
    let mut groups = Vec::new();
    for name in call.parameters.list("SecurityGroup")? {
        let id = group::named(call, &name).await?.id;
        if !groups.contains(&id) {
            groups.push(id);
        }
    }
    let mut kinds = Vec::with_capacity(wanted.len());
    for one in &wanted {
        ask(call, "ec2:RunInstances", &resource(call, "image", &one.image))?;
        let image = image::launchable(call, &one.image).await?;
        kinds.push(kind(call, one, &image, &groups, &user_data));
    }
    let launch = Launch {
        account: call.account().to_owned(),
        token: None,
        kinds,
        allowance: call.allowance().await?,
        dry_run: false,
    };
    let launched = call.compute().launch(&launch).await?;
    let ids = &launched.reservation.instances;
    let mut views = call.compute().instance_views_of(call.account(), ids, |_| true).await?;
    views.sort_by_key(|view| ids.iter().position(|id| *id == view.instance.id));
    // As they were when they were launched: of what runs already clients learn the names later.
    for view in &mut views {
        if let Some(launched) = launched.instances.iter().find(|launched| launched.id == view.instance.id) {
            view.instance = launched.clone();
        }
    }
    let domains = &call.compute().config().domains;
    Ok(Tree::new()
        .text("reservationId", launched.reservation.id.written())
        .text("ownerId", call.account())
        .and(instance::group_set(&launched.reservation.security_groups))
        .list("instancesSet", views.iter().map(|view| instance::view(domains, view))))
}

fn kind(
    call: &Call<'_>,
    wanted: &Wanted,
    image: &Image,
    groups: &[SecurityGroupId],
    user_data: &[u8],
) -> InstanceRequest {
    let config = call.compute().config();
    let has_it = config.catalog.instance_type(USUAL_TYPE).is_some();
    // An operator who offers other types than the usual ones has the smallest first.
    let first = config.catalog.instance_types.first().map_or(USUAL_TYPE, |first| first.name.as_str());
    let comes_with = |content| DiskRequest { content, delete_with_instance: true, ..DiskRequest::default() };
    // Whole disks came later, and without these.
    let disks = match image.boot {
        ImageBoot::Kernel { .. } => {
            vec![comes_with(SourceRequest::Ephemeral), comes_with(SourceRequest::Swap)]
        }
        ImageBoot::Disk {} => Vec::new(),
    };
    InstanceRequest {
        min: wanted.min,
        max: wanted.max,
        cloud: Cloud::Ec2,
        image: image.id,
        instance_type: if has_it { USUAL_TYPE } else { first }.to_owned(),
        name: String::new(),
        description: String::new(),
        host_name: None,
        own_names: Vec::new(),
        key_pair: wanted.key_pair.clone(),
        password: None,
        user_data: user_data.to_vec(),
        metadata: Default::default(),
        metadata_options: MetadataOptions::default(),
        config_drive: false,
        role: None,
        system_disk: comes_with(SourceRequest::Blank),
        disks,
        without: Vec::new(),
        zone: None,
        interfaces: vec![InterfaceRequest::New(LaunchInterface {
            security_groups: groups.to_vec(),
            ..LaunchInterface::default()
        })],
        // Where there are none, all that is left is the host's own address.
        public_address: PublicAddress::asked(!config.public_addresses.is_empty()),
        tags: Tags::default(),
        volume_tags: Tags::default(),
        terms: Terms::PayAsYouGo { release: None },
        rules: Rules::NOTHING_WITHOUT_VM,
        protected: false,
        dialect: Value::Null,
    }
}
