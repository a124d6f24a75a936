//! What can be asked: a row here and a file below for each action. The coverage of the cloud's API that documentation shows is
//! these rows. Whatever has none is answered `InvalidAction.NotFound`.

mod access_key;
mod act;
mod allocate_eip_address;
mod allocate_public_ip_address;
mod associate_eip_address;
mod assume_role;
mod attach_disk;
mod attach_instance_ram_role;
mod attach_policy_to_role;
mod attach_policy_to_user;
mod authorize_security_group;
mod authorize_security_group_egress;
mod create_access_key;
mod create_disk;
mod create_image;
mod create_instance;
mod create_key_pair;
mod create_policy;
mod create_role;
mod create_security_group;
mod create_snapshot;
mod create_user;
mod create_v_switch;
mod create_vpc;
mod delete_access_key;
mod delete_disk;
mod delete_image;
mod delete_instance;
mod delete_instances;
mod delete_key_pairs;
mod delete_policy;
mod delete_role;
mod delete_security_group;
mod delete_snapshot;
mod delete_user;
mod delete_v_switch;
mod delete_vpc;
mod describe_disks;
mod describe_eip_addresses;
mod describe_images;
mod describe_instance_attribute;
mod describe_instance_auto_renew_attribute;
mod describe_instance_ram_role;
mod describe_instance_status;
mod describe_instance_types;
mod describe_instances;
mod describe_key_pairs;
mod describe_regions;
mod describe_security_group_attribute;
mod describe_security_groups;
mod describe_snapshots;
mod describe_user_data;
mod describe_v_switches;
mod describe_vpcs;
mod describe_zones;
mod detach_disk;
mod detach_instance_ram_role;
mod detach_policy_from_role;
mod detach_policy_from_user;
mod disk;
mod get_caller_identity;
mod get_instance_console_output;
mod get_policy;
mod get_role;
mod get_user;
pub(super) mod image;
mod import_image;
mod import_key_pair;
mod instance;
mod instance_page;
mod join_security_group;
mod launch;
mod leave_security_group;
mod list_access_keys;
mod list_policies;
mod list_policies_for_role;
mod list_policies_for_user;
mod list_roles;
mod list_tag_resources;
mod list_users;
mod modify_instance_attribute;
mod modify_instance_auto_release_time;
mod modify_instance_auto_renew_attribute;
mod names;
mod period;
mod ram_role;
mod reboot_instance;
mod release_eip_address;
mod renew_instance;
mod resize_disk;
mod revoke_security_group;
mod revoke_security_group_egress;
mod role;
mod run_instances;
mod security_rules;
mod start_instance;
mod stop_instance;
mod tag_resources;
mod tagged;
mod unassociate_eip_address;
mod untag_resources;
mod update_access_key;
mod update_role;

use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

use super::Call;
use super::errors::Refusal;

/// A product of the cloud, told by the version of its API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Elastic Compute Service.
    Ecs,
    /// Virtual Private Cloud.
    Vpc,
    /// Resource Access Management.
    Ram,
    /// Security Token Service.
    Sts,
}

impl Product {
    const ALL: [Self; 4] = [Self::Ecs, Self::Vpc, Self::Ram, Self::Sts];

    /// The one that is spoken to.
    fn version(self) -> &'static str {
        match self {
            Self::Ecs => "2014-05-26",
            Self::Vpc => "2016-04-28",
            Self::Ram => "2015-05-01",
            Self::Sts => "2015-04-01",
        }
    }

    /// What policies call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ecs => "ecs",
            Self::Vpc => "vpc",
            Self::Ram => "ram",
            Self::Sts => "sts",
        }
    }
}

/// What an action does, which decides what `DryRun` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing: a dry run of it does all of it.
    Reads,
    /// It changes something, and cannot only be tried.
    Changes,
    /// It changes something, and looks at `DryRun` itself.
    Tries,
}

/// What an action is done with, for policies. An action with none of these is everybody's who has a key.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// All there is of this kind, or what is to be made.
    Every(&'static str),
    /// What these parameters name, of this kind.
    Named(&'static str, &'static [&'static str]),
    /// What is used of this service's and this kind, if these parameters name any; `n` stands for each number.
    Used(&'static str, &'static str, &'static [&'static str]),
    /// What `ResourceId` names, of the kind that `ResourceType` says.
    Tagged,
}

type Handler = for<'a> fn(&'a Call<'a>) -> Pin<Box<dyn Future<Output = Result<Value, Refusal>> + Send + 'a>>;

/// An action.
pub struct Row {
    /// The products that have it. Policies name it by the last.
    products: &'static [Product],
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub effect: Effect,
    /// What it is done with.
    pub on: &'static [Target],
    /// What is done.
    pub handle: Handler,
}

impl Row {
    /// The service that policies name it by.
    pub fn service(&self) -> &'static str {
        self.products.last().map_or("", |product| product.word())
    }

    /// Whether it is of one region. RAM and STS are of none, and to ask for the regions one has to be in some.
    pub fn is_regional(&self) -> bool {
        let is_of_one = |product: &Product| matches!(product, Product::Ecs | Product::Vpc);
        self.products.iter().all(is_of_one) && self.name != "DescribeRegions"
    }
}

macro_rules! row {
    ($products:expr, $name:literal, $effect:ident, $on:expr, $module:ident) => {
        Row {
            products: $products,
            name: $name,
            effect: Effect::$effect,
            on: $on,
            handle: |call| Box::pin($module::handle(call)),
        }
    };
}

const ECS: &[Product] = &[Product::Ecs];
const INSTANCES: &[Target] = &[Target::Every("instance")];
/// What is launched, and what it is launched with.
const LAUNCH: &[Target] = &[
    Target::Every("instance"),
    Target::Used("ecs", "image", &["ImageId"]),
    Target::Used(
        "ecs",
        "securitygroup",
        &[
            "SecurityGroupId",
            "SecurityGroupIds",
            "NetworkInterface.n.SecurityGroupId",
            "NetworkInterface.n.SecurityGroupIds",
        ],
    ),
    Target::Used("vpc", "vswitch", &["VSwitchId", "NetworkInterface.n.VSwitchId"]),
    Target::Used("ecs", "keypair", &["KeyPairName"]),
    Target::Used("ecs", "snapshot", &["DataDisk.n.SnapshotId"]),
];
const IMAGE_OF: &[Target] = &[
    Target::Every("image"),
    Target::Used("ecs", "instance", &["InstanceId"]),
    Target::Used("ecs", "snapshot", &["SnapshotId", "DiskDeviceMapping.n.SnapshotId"]),
];
const DISK_OF: &[Target] = &[Target::Every("disk"), Target::Used("ecs", "snapshot", &["SnapshotId"])];
const INSTANCE: &[Target] = &[Target::Named("instance", &["InstanceId"])];
/// The seeds' scripts send either name to the three actions about renewal.
const RENEWED: &[Target] = &[Target::Named("instance", &["InstanceId", "InstanceIds"])];
const LISTED: &[Target] = &[Target::Named("instance", &["InstanceIds"])];
const KEY_PAIRS: &[Target] = &[Target::Every("keypair")];
const KEY_PAIR: &[Target] = &[Target::Named("keypair", &["KeyPairName"])];
const IMAGES: &[Target] = &[Target::Every("image")];
const TAGGED: &[Target] = &[Target::Tagged];

const DISK: &[Target] = &[Target::Named("disk", &["DiskId"])];
const DISK_AND_INSTANCE: &[Target] =
    &[Target::Named("disk", &["DiskId"]), Target::Named("instance", &["InstanceId"])];
const SNAPSHOT: &[Target] = &[Target::Named("snapshot", &["SnapshotId"])];
const GROUP: &[Target] = &[Target::Named("securitygroup", &["SecurityGroupId"])];
const GROUP_AND_INSTANCE: &[Target] =
    &[Target::Named("securitygroup", &["SecurityGroupId"]), Target::Named("instance", &["InstanceId"])];

/// Those of networks, which old clients ask ECS for. Policies name them as VPC's.
const NETWORK: &[Product] = &[Product::Ecs, Product::Vpc];
const VPC: &[Target] = &[Target::Named("vpc", &["VpcId"])];
const SWITCH: &[Target] = &[Target::Named("vswitch", &["VSwitchId"])];
const EIP: &[Target] = &[Target::Named("eip", &["AllocationId"])];
const EIP_AND_INSTANCE: &[Target] =
    &[Target::Named("eip", &["AllocationId"]), Target::Named("instance", &["InstanceId"])];

const RAM: &[Product] = &[Product::Ram];
const STS: &[Product] = &[Product::Sts];
const ROLE: &[Target] = &[Target::Named("role", &["RoleName"])];
const ROLES: &[Target] = &[Target::Every("role")];
const USER: &[Target] = &[Target::Named("user", &["UserName"])];
const USERS: &[Target] = &[Target::Every("user")];
const POLICY: &[Target] = &[Target::Named("policy", &["PolicyName"])];
const POLICIES: &[Target] = &[Target::Every("policy")];
const POLICY_AND_ROLE: &[Target] =
    &[Target::Named("policy", &["PolicyName"]), Target::Named("role", &["RoleName"])];
const POLICY_AND_USER: &[Target] =
    &[Target::Named("policy", &["PolicyName"]), Target::Named("user", &["UserName"])];

/// All actions, by their names within each product.
pub static ROWS: &[Row] = &[
    row!(ECS, "AddTags", Changes, TAGGED, tag_resources),
    row!(ECS, "AllocatePublicIpAddress", Changes, INSTANCE, allocate_public_ip_address),
    row!(ECS, "AttachDisk", Changes, DISK_AND_INSTANCE, attach_disk),
    row!(ECS, "AttachInstanceRamRole", Changes, LISTED, attach_instance_ram_role),
    row!(ECS, "AuthorizeSecurityGroup", Changes, GROUP, authorize_security_group),
    row!(ECS, "AuthorizeSecurityGroupEgress", Changes, GROUP, authorize_security_group_egress),
    row!(ECS, "CreateDisk", Changes, DISK_OF, create_disk),
    row!(ECS, "CreateImage", Changes, IMAGE_OF, create_image),
    row!(ECS, "CreateInstance", Tries, LAUNCH, create_instance),
    row!(ECS, "CreateKeyPair", Changes, KEY_PAIR, create_key_pair),
    row!(ECS, "CreateSecurityGroup", Changes, &[Target::Every("securitygroup")], create_security_group),
    row!(ECS, "CreateSnapshot", Changes, DISK, create_snapshot),
    row!(ECS, "DeleteDisk", Changes, DISK, delete_disk),
    row!(ECS, "DeleteImage", Changes, &[Target::Named("image", &["ImageId"])], delete_image),
    row!(ECS, "DeleteInstance", Tries, INSTANCE, delete_instance),
    row!(ECS, "DeleteInstances", Tries, INSTANCE, delete_instances),
    row!(ECS, "DeleteKeyPairs", Changes, &[Target::Named("keypair", &["KeyPairNames"])], delete_key_pairs),
    row!(ECS, "DeleteSecurityGroup", Changes, GROUP, delete_security_group),
    row!(ECS, "DeleteSnapshot", Changes, SNAPSHOT, delete_snapshot),
    row!(ECS, "DescribeDisks", Reads, &[Target::Named("disk", &["DiskIds"])], describe_disks),
    row!(ECS, "DescribeImages", Reads, IMAGES, describe_images),
    row!(ECS, "DescribeInstanceAttribute", Reads, INSTANCE, describe_instance_attribute),
    row!(ECS, "DescribeInstanceAutoRenewAttribute", Reads, RENEWED, describe_instance_auto_renew_attribute),
    row!(ECS, "DescribeInstanceRamRole", Reads, LISTED, describe_instance_ram_role),
    row!(ECS, "DescribeInstanceStatus", Reads, INSTANCE, describe_instance_status),
    row!(ECS, "DescribeInstanceTypes", Reads, INSTANCES, describe_instance_types),
    row!(ECS, "DescribeInstances", Reads, LISTED, describe_instances),
    row!(ECS, "DescribeKeyPairs", Reads, KEY_PAIRS, describe_key_pairs),
    row!(ECS, "DescribeRegions", Reads, INSTANCES, describe_regions),
    row!(ECS, "DescribeSecurityGroupAttribute", Reads, GROUP, describe_security_group_attribute),
    row!(ECS, "DescribeSecurityGroups", Reads, GROUP, describe_security_groups),
    row!(ECS, "DescribeSnapshots", Reads, &[Target::Named("snapshot", &["SnapshotIds"])], describe_snapshots),
    row!(ECS, "DescribeTags", Reads, TAGGED, list_tag_resources),
    row!(ECS, "DescribeUserData", Reads, INSTANCE, describe_user_data),
    row!(ECS, "DescribeZones", Reads, INSTANCES, describe_zones),
    row!(ECS, "DetachDisk", Changes, DISK_AND_INSTANCE, detach_disk),
    row!(ECS, "DetachInstanceRamRole", Changes, LISTED, detach_instance_ram_role),
    row!(ECS, "GetInstanceConsoleOutput", Reads, INSTANCE, get_instance_console_output),
    row!(ECS, "ImportImage", Changes, IMAGES, import_image),
    row!(ECS, "ImportKeyPair", Changes, KEY_PAIR, import_key_pair),
    row!(ECS, "JoinSecurityGroup", Changes, GROUP_AND_INSTANCE, join_security_group),
    row!(ECS, "LeaveSecurityGroup", Changes, GROUP_AND_INSTANCE, leave_security_group),
    row!(ECS, "ListTagResources", Reads, TAGGED, list_tag_resources),
    row!(ECS, "ModifyInstanceAttribute", Changes, INSTANCE, modify_instance_attribute),
    row!(ECS, "ModifyInstanceAutoReleaseTime", Changes, INSTANCE, modify_instance_auto_release_time),
    row!(ECS, "ModifyInstanceAutoRenewAttribute", Changes, RENEWED, modify_instance_auto_renew_attribute),
    row!(ECS, "RebootInstance", Tries, INSTANCE, reboot_instance),
    row!(ECS, "RemoveTags", Changes, TAGGED, untag_resources),
    row!(ECS, "RenewInstance", Changes, RENEWED, renew_instance),
    row!(ECS, "ResizeDisk", Changes, DISK, resize_disk),
    row!(ECS, "RevokeSecurityGroup", Changes, GROUP, revoke_security_group),
    row!(ECS, "RevokeSecurityGroupEgress", Changes, GROUP, revoke_security_group_egress),
    row!(ECS, "RunInstances", Tries, LAUNCH, run_instances),
    row!(ECS, "StartInstance", Tries, INSTANCE, start_instance),
    row!(ECS, "StopInstance", Tries, INSTANCE, stop_instance),
    row!(ECS, "TagResources", Changes, TAGGED, tag_resources),
    row!(ECS, "UntagResources", Changes, TAGGED, untag_resources),
    row!(NETWORK, "AllocateEipAddress", Changes, &[Target::Every("eip")], allocate_eip_address),
    row!(NETWORK, "AssociateEipAddress", Changes, EIP_AND_INSTANCE, associate_eip_address),
    row!(NETWORK, "CreateVSwitch", Changes, VPC, create_v_switch),
    row!(NETWORK, "CreateVpc", Changes, &[Target::Every("vpc")], create_vpc),
    row!(NETWORK, "DeleteVSwitch", Changes, SWITCH, delete_v_switch),
    row!(NETWORK, "DeleteVpc", Changes, VPC, delete_vpc),
    row!(NETWORK, "DescribeEipAddresses", Reads, EIP, describe_eip_addresses),
    row!(NETWORK, "DescribeVSwitches", Reads, SWITCH, describe_v_switches),
    row!(NETWORK, "DescribeVpcs", Reads, VPC, describe_vpcs),
    row!(NETWORK, "ReleaseEipAddress", Changes, EIP, release_eip_address),
    row!(NETWORK, "UnassociateEipAddress", Changes, EIP, unassociate_eip_address),
    row!(RAM, "AttachPolicyToRole", Changes, POLICY_AND_ROLE, attach_policy_to_role),
    row!(RAM, "AttachPolicyToUser", Changes, POLICY_AND_USER, attach_policy_to_user),
    row!(RAM, "CreateAccessKey", Changes, USER, create_access_key),
    row!(RAM, "CreatePolicy", Changes, POLICY, create_policy),
    row!(RAM, "CreateRole", Changes, ROLE, create_role),
    row!(RAM, "CreateUser", Changes, USER, create_user),
    row!(RAM, "DeleteAccessKey", Changes, USER, delete_access_key),
    row!(RAM, "DeletePolicy", Changes, POLICY, delete_policy),
    row!(RAM, "DeleteRole", Changes, ROLE, delete_role),
    row!(RAM, "DeleteUser", Changes, USER, delete_user),
    row!(RAM, "DetachPolicyFromRole", Changes, POLICY_AND_ROLE, detach_policy_from_role),
    row!(RAM, "DetachPolicyFromUser", Changes, POLICY_AND_USER, detach_policy_from_user),
    row!(RAM, "GetPolicy", Reads, POLICY, get_policy),
    row!(RAM, "GetRole", Reads, ROLE, get_role),
    row!(RAM, "GetUser", Reads, USER, get_user),
    row!(RAM, "ListAccessKeys", Reads, USER, list_access_keys),
    row!(RAM, "ListPolicies", Reads, POLICIES, list_policies),
    row!(RAM, "ListPoliciesForRole", Reads, ROLE, list_policies_for_role),
    row!(RAM, "ListPoliciesForUser", Reads, USER, list_policies_for_user),
    row!(RAM, "ListRoles", Reads, ROLES, list_roles),
    row!(RAM, "ListUsers", Reads, USERS, list_users),
    row!(RAM, "UpdateAccessKey", Changes, USER, update_access_key),
    row!(RAM, "UpdateRole", Changes, ROLE, update_role),
    // The core decides who may assume which role; who one is, one may always know.
    row!(STS, "AssumeRole", Changes, &[], assume_role),
    row!(STS, "GetCallerIdentity", Reads, &[], get_caller_identity),
];

/// The row of an action of the product that has this version.
///
/// # Errors
///
/// There is no such version, or no such action in it.
pub fn find(version: &str, action: &str) -> Result<&'static Row, Refusal> {
    let Some(product) = Product::ALL.into_iter().find(|product| product.version() == version) else {
        let why = "Specified parameter Version is not valid.";
        return Err(Refusal::new(400, "InvalidVersion", why));
    };
    let row = ROWS.iter().find(|row| row.name == action && row.products.contains(&product));
    row.ok_or_else(|| {
        let why = "Specified api is not found, please check your url and method.";
        Refusal::new(404, "InvalidAction.NotFound", why)
    })
}

/// An action that is served, as documentation shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The product, as `Ecs 2014-05-26`.
    pub product: String,
    /// The action's name.
    pub action: &'static str,
}

/// All actions that are served.
pub fn coverage() -> Vec<Coverage> {
    let of = |product: Product| {
        let rows = ROWS.iter().filter(move |row| row.products.contains(&product));
        rows.map(move |row| Coverage {
            product: format!("{product:?} {}", product.version()),
            action: row.name,
        })
    };
    Product::ALL.into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_has_one_row_in_its_product() {
        let all = coverage();
        for (index, row) in all.iter().enumerate() {
            assert!(!all[..index].contains(row), "{} {} is there twice", row.product, row.action);
        }
        assert_eq!(find("2014-05-26", "StartInstance").unwrap().service(), "ecs");
    }

    #[test]
    fn what_has_no_row_is_not_found() {
        for (version, action, code) in [
            ("2014-05-26", "DescribeEverything", "InvalidAction.NotFound"),
            ("2014-05-26", "startinstance", "InvalidAction.NotFound"),
            ("2015-05-01", "StartInstance", "InvalidAction.NotFound"),
            ("2014-05-27", "StartInstance", "InvalidVersion"),
        ] {
            assert_eq!(
                find(version, action).map(|row| row.name).unwrap_err().code,
                code,
                "{version} {action}"
            );
        }
    }
}
