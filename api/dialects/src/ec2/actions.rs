//! What can be asked of today's EC2 and of STS: a row here and a file below for each action. The coverage of the cloud's API
//! that documentation shows is these rows and those of `y2007`. Whatever has none is answered `InvalidAction`.

pub(super) mod act;
mod address;
mod allocate_address;
mod associate_address;
mod assume_role;
mod attach_network_interface;
mod attach_volume;
mod authorize_security_group_egress;
mod authorize_security_group_ingress;
mod create_image;
mod create_key_pair;
mod create_network_interface;
mod create_security_group;
mod create_snapshot;
mod create_subnet;
mod create_tags;
mod create_volume;
mod create_vpc;
mod delete_key_pair;
mod delete_network_interface;
mod delete_security_group;
mod delete_snapshot;
mod delete_subnet;
mod delete_tags;
mod delete_volume;
mod delete_vpc;
mod deregister_image;
mod describe_account_attributes;
mod describe_addresses;
mod describe_availability_zones;
mod describe_image_attribute;
mod describe_images;
mod describe_instance_attribute;
mod describe_instance_status;
mod describe_instance_types;
mod describe_instances;
mod describe_key_pairs;
mod describe_network_interfaces;
mod describe_regions;
mod describe_security_group_rules;
mod describe_security_groups;
mod describe_snapshots;
mod describe_subnets;
mod describe_tags;
mod describe_volumes;
mod describe_vpcs;
mod detach_network_interface;
mod detach_volume;
mod devices;
mod disassociate_address;
mod get_caller_identity;
mod get_console_output;
mod image;
mod import_key_pair;
pub(super) mod instance;
mod interface;
mod key_pair;
mod launch_interfaces;
mod modify_image_attribute;
mod modify_instance_attribute;
mod modify_instance_metadata_options;
mod modify_network_interface_attribute;
mod modify_security_group_rules;
mod modify_volume;
mod permissions;
mod reboot_instances;
mod refusals;
mod register_image;
mod release_address;
mod reset_image_attribute;
mod revoke_security_group_egress;
mod revoke_security_group_ingress;
mod rules;
mod run_instances;
mod security_group;
mod snapshot;
mod start_instances;
mod stop_instances;
mod subnet;
mod tagged;
mod terminate_instances;
mod update_security_group_rule_descriptions_egress;
mod update_security_group_rule_descriptions_ingress;
mod volume;
mod vpc;
mod words;

use std::future::Future;
use std::pin::Pin;

use super::errors::Refusal;
use super::version::Api;
use super::xml::Tree;
use super::{Call, y2007};

/// What an action does, which decides who answers a dry run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing.
    Reads,
    /// It changes something. A dry run of it says whether the caller may.
    Changes,
    /// It changes something, and looks at `DryRun` itself.
    Tries,
}

/// What an action is done with, for policies. An action with none of these is everybody's who has a key.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// All there is: the action cannot be allowed for less.
    All,
    /// What is to be made of this kind, which has no name yet.
    Every(&'static str),
    /// What these parameters name, of this kind.
    Named(&'static str, &'static [&'static str]),
    /// What these parameters name, of this kind, if they are there. In the items of a list: `List.*.Name`.
    Given(&'static str, &'static [&'static str]),
    /// Of each item of a list what its parameter names, of this kind, or else one that is to be made; which is also what there
    /// is without a list.
    Items(&'static str, &'static str, &'static str),
    /// What `ResourceId` names, whatever it is.
    Tagged,
}

pub type Handler =
    for<'a> fn(&'a Call<'a>) -> Pin<Box<dyn Future<Output = Result<Tree, Refusal>> + Send + 'a>>;

/// An action.
pub struct Row {
    /// The API that has it.
    pub api: Api,
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub effect: Effect,
    /// What it is done with.
    pub on: &'static [Target],
    /// What is done.
    pub handle: Handler,
}

/// A row of the API `$api`, whose handler is in the module of that name.
macro_rules! row {
    ($api:ident, $name:literal, $effect:ident, $on:expr, $module:ident) => {
        $crate::ec2::actions::Row {
            api: $crate::ec2::version::Api::$api,
            name: $name,
            effect: $crate::ec2::actions::Effect::$effect,
            on: $on,
            handle: |call| Box::pin($module::handle(call)),
        }
    };
}
pub(super) use row;

/// Lists, which are allowed as a whole.
const ALL: &[Target] = &[Target::All];
const INSTANCES: &[Target] = &[Target::Named("instance", &["InstanceId"])];
const GROUP: &[Target] = &[Target::Named("security-group", &["GroupId"])];
const ADDRESS: &[Target] = &[Target::Named("elastic-ip", &["AllocationId"])];
const ADDRESS_AND_INSTANCE: &[Target] = &[
    Target::Named("elastic-ip", &["AllocationId"]),
    Target::Named("instance", &["InstanceId"]),
    Target::Named("network-interface", &["NetworkInterfaceId"]),
];
const INTERFACE: &[Target] = &[Target::Named("network-interface", &["NetworkInterfaceId"])];
const INTERFACE_AND_GROUPS: &[Target] = &[
    Target::Named("network-interface", &["NetworkInterfaceId"]),
    Target::Named("security-group", &["SecurityGroupId"]),
];
const INTERFACE_AND_INSTANCE: &[Target] = &[
    Target::Named("network-interface", &["NetworkInterfaceId"]),
    Target::Named("instance", &["InstanceId"]),
];
const NEW_INTERFACE: &[Target] = &[
    Target::Every("network-interface"),
    Target::Named("subnet", &["SubnetId"]),
    Target::Named("security-group", &["SecurityGroupId"]),
];
const NEW_SUBNET: &[Target] = &[Target::Every("subnet"), Target::Named("vpc", &["VpcId"])];

const VOLUME: &[Target] = &[Target::Named("volume", &["VolumeId"])];
const VOLUME_AND_INSTANCE: &[Target] =
    &[Target::Named("volume", &["VolumeId"]), Target::Given("instance", &["InstanceId"])];
const SNAPSHOT: &[Target] = &[Target::Named("snapshot", &["SnapshotId"])];
const NEW_SNAPSHOT: &[Target] = &[Target::Every("snapshot"), Target::Named("volume", &["VolumeId"])];
const IMAGE: &[Target] = &[Target::Named("image", &["ImageId"])];
const NEW_IMAGE: &[Target] =
    &[Target::Every("image"), Target::Every("snapshot"), Target::Named("instance", &["InstanceId"])];
const KEY_PAIR: &[Target] = &[Target::Named("key-pair", &["KeyName", "KeyPairId"])];
const TAGGED: &[Target] = &[Target::Tagged];
const LAUNCH: &[Target] = &[
    Target::Every("instance"),
    Target::Items("network-interface", "NetworkInterface", "NetworkInterfaceId"),
    Target::Every("volume"),
    Target::Named("image", &["ImageId"]),
    Target::Given("key-pair", &["KeyName"]),
    Target::Given("security-group", &["SecurityGroupId", "NetworkInterface.*.SecurityGroupId"]),
    Target::Given("subnet", &["SubnetId", "NetworkInterface.*.SubnetId"]),
];

/// All actions, by their names within each API.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    row!(Ec2, "AllocateAddress", Changes, &[Target::Every("elastic-ip")], allocate_address),
    row!(Ec2, "AssociateAddress", Changes, ADDRESS_AND_INSTANCE, associate_address),
    row!(Ec2, "AttachNetworkInterface", Changes, INTERFACE_AND_INSTANCE, attach_network_interface),
    row!(Ec2, "AttachVolume", Changes, VOLUME_AND_INSTANCE, attach_volume),
    row!(Ec2, "AuthorizeSecurityGroupEgress", Changes, GROUP, authorize_security_group_egress),
    row!(Ec2, "AuthorizeSecurityGroupIngress", Changes, GROUP, authorize_security_group_ingress),
    row!(Ec2, "CreateImage", Changes, NEW_IMAGE, create_image),
    row!(Ec2, "CreateKeyPair", Changes, KEY_PAIR, create_key_pair),
    row!(Ec2, "CreateNetworkInterface", Changes, NEW_INTERFACE, create_network_interface),
    row!(Ec2, "CreateSecurityGroup", Changes, &[Target::Every("security-group")], create_security_group),
    row!(Ec2, "CreateSnapshot", Changes, NEW_SNAPSHOT, create_snapshot),
    row!(Ec2, "CreateSubnet", Changes, NEW_SUBNET, create_subnet),
    row!(Ec2, "CreateTags", Changes, TAGGED, create_tags),
    row!(Ec2, "CreateVolume", Changes, &[Target::Every("volume")], create_volume),
    row!(Ec2, "CreateVpc", Changes, &[Target::Every("vpc")], create_vpc),
    row!(Ec2, "DeleteKeyPair", Changes, KEY_PAIR, delete_key_pair),
    row!(Ec2, "DeleteNetworkInterface", Changes, INTERFACE, delete_network_interface),
    row!(Ec2, "DeleteSecurityGroup", Changes, GROUP, delete_security_group),
    row!(Ec2, "DeleteSnapshot", Changes, SNAPSHOT, delete_snapshot),
    row!(Ec2, "DeleteSubnet", Changes, &[Target::Named("subnet", &["SubnetId"])], delete_subnet),
    row!(Ec2, "DeleteTags", Changes, TAGGED, delete_tags),
    row!(Ec2, "DeleteVolume", Changes, VOLUME, delete_volume),
    row!(Ec2, "DeleteVpc", Changes, &[Target::Named("vpc", &["VpcId"])], delete_vpc),
    row!(Ec2, "DeregisterImage", Changes, IMAGE, deregister_image),
    row!(Ec2, "DescribeAccountAttributes", Reads, ALL, describe_account_attributes),
    row!(Ec2, "DescribeAddresses", Reads, ALL, describe_addresses),
    row!(Ec2, "DescribeAvailabilityZones", Reads, ALL, describe_availability_zones),
    row!(Ec2, "DescribeImageAttribute", Reads, IMAGE, describe_image_attribute),
    row!(Ec2, "DescribeImages", Reads, ALL, describe_images),
    row!(Ec2, "DescribeInstanceAttribute", Reads, INSTANCES, describe_instance_attribute),
    row!(Ec2, "DescribeInstanceStatus", Reads, ALL, describe_instance_status),
    row!(Ec2, "DescribeInstanceTypes", Reads, ALL, describe_instance_types),
    row!(Ec2, "DescribeInstances", Reads, ALL, describe_instances),
    row!(Ec2, "DescribeKeyPairs", Reads, ALL, describe_key_pairs),
    row!(Ec2, "DescribeNetworkInterfaces", Reads, ALL, describe_network_interfaces),
    row!(Ec2, "DescribeRegions", Reads, ALL, describe_regions),
    row!(Ec2, "DescribeSecurityGroupRules", Reads, ALL, describe_security_group_rules),
    row!(Ec2, "DescribeSecurityGroups", Reads, ALL, describe_security_groups),
    row!(Ec2, "DescribeSnapshots", Reads, ALL, describe_snapshots),
    row!(Ec2, "DescribeSubnets", Reads, ALL, describe_subnets),
    row!(Ec2, "DescribeTags", Reads, ALL, describe_tags),
    row!(Ec2, "DescribeVolumes", Reads, ALL, describe_volumes),
    row!(Ec2, "DescribeVpcs", Reads, ALL, describe_vpcs),
    row!(Ec2, "DetachNetworkInterface", Changes, &[Target::Every("network-interface")], detach_network_interface),
    row!(Ec2, "DetachVolume", Changes, VOLUME_AND_INSTANCE, detach_volume),
    row!(Ec2, "DisassociateAddress", Changes, &[Target::Every("elastic-ip")], disassociate_address),
    row!(Ec2, "GetConsoleOutput", Reads, INSTANCES, get_console_output),
    row!(Ec2, "ImportKeyPair", Changes, KEY_PAIR, import_key_pair),
    row!(Ec2, "ModifyImageAttribute", Changes, IMAGE, modify_image_attribute),
    row!(Ec2, "ModifyInstanceAttribute", Changes, INSTANCES, modify_instance_attribute),
    row!(Ec2, "ModifyInstanceMetadataOptions", Changes, INSTANCES, modify_instance_metadata_options),
    row!(Ec2, "ModifyNetworkInterfaceAttribute", Changes, INTERFACE_AND_GROUPS, modify_network_interface_attribute),
    row!(Ec2, "ModifySecurityGroupRules", Changes, GROUP, modify_security_group_rules),
    row!(Ec2, "ModifyVolume", Changes, VOLUME, modify_volume),
    row!(Ec2, "RebootInstances", Changes, INSTANCES, reboot_instances),
    row!(Ec2, "RegisterImage", Changes, &[Target::Every("image")], register_image),
    row!(Ec2, "ReleaseAddress", Changes, ADDRESS, release_address),
    row!(Ec2, "ResetImageAttribute", Changes, IMAGE, reset_image_attribute),
    row!(Ec2, "RevokeSecurityGroupEgress", Changes, GROUP, revoke_security_group_egress),
    row!(Ec2, "RevokeSecurityGroupIngress", Changes, GROUP, revoke_security_group_ingress),
    row!(Ec2, "RunInstances", Tries, LAUNCH, run_instances),
    row!(Ec2, "StartInstances", Changes, INSTANCES, start_instances),
    row!(Ec2, "StopInstances", Changes, INSTANCES, stop_instances),
    row!(Ec2, "TerminateInstances", Changes, INSTANCES, terminate_instances),
    row!(Ec2, "UpdateSecurityGroupRuleDescriptionsEgress", Changes, GROUP, update_security_group_rule_descriptions_egress),
    row!(Ec2, "UpdateSecurityGroupRuleDescriptionsIngress", Changes, GROUP, update_security_group_rule_descriptions_ingress),
    // The core decides who may assume which role; who one is, one may always know.
    row!(Sts, "AssumeRole", Changes, &[], assume_role),
    row!(Sts, "GetCallerIdentity", Reads, &[], get_caller_identity),
];

fn all() -> impl Iterator<Item = &'static Row> {
    y2007::ROWS.iter().chain(ROWS)
}

/// The row of an action.
///
/// # Errors
///
/// The API has no such action.
pub fn find(api: Api, action: &str) -> Result<&'static Row, Refusal> {
    all().find(|row| row.api == api && row.name == action).ok_or_else(|| {
        let action: String = action.chars().take(64).collect();
        Refusal::new(400, "InvalidAction", format!("The action {action} is not valid for this web service."))
    })
}

/// An action that is served, as documentation shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The API, as `EC2 2016-11-15`.
    pub product: String,
    /// The action's name.
    pub action: &'static str,
}

/// All actions that are served.
pub fn coverage() -> Vec<Coverage> {
    let of = |api: Api| {
        let product = format!("{} {}", api.word().to_ascii_uppercase(), api.version());
        all()
            .filter(move |row| row.api == api)
            .map(move |row| Coverage { product: product.clone(), action: row.name })
    };
    Api::ALL.into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_each_action_has_one() {
        let all = coverage();
        for (index, pair) in all.windows(2).enumerate() {
            assert!(
                pair[0].product != pair[1].product || pair[0].action < pair[1].action,
                "{index}: {pair:?}"
            );
        }
    }

    #[test]
    fn what_has_no_row_is_no_action() {
        for (api, action) in [
            (Api::Ec2, "DescribeEverything"),
            (Api::Ec2, "startinstances"),
            (Api::Sts, "StartInstances"),
            (Api::Y2007, "StartInstances"),
        ] {
            let code = find(api, action).map(|row| row.name).unwrap_err().code;
            assert_eq!(code, "InvalidAction", "{api:?} {action}");
        }
    }
}
