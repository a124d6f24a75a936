//! What can be asked of today's EC2 and of STS: a row here and a file below for each action. The coverage of the cloud's API
//! that documentation shows is these rows and those of `y2007`. Whatever has none is answered `InvalidAction`.

mod act;
mod address;
mod allocate_address;
mod associate_address;
mod attach_network_interface;
mod authorize_security_group_egress;
mod authorize_security_group_ingress;
mod create_network_interface;
mod create_security_group;
mod create_subnet;
mod create_vpc;
mod delete_network_interface;
mod delete_security_group;
mod delete_subnet;
mod delete_vpc;
mod describe_account_attributes;
mod describe_addresses;
mod describe_availability_zones;
mod describe_network_interfaces;
mod describe_regions;
mod describe_security_group_rules;
mod describe_security_groups;
mod describe_subnets;
mod describe_vpcs;
mod detach_network_interface;
mod disassociate_address;
mod get_caller_identity;
mod interface;
mod permissions;
mod refusals;
mod release_address;
mod revoke_security_group_egress;
mod revoke_security_group_ingress;
mod rules;
mod security_group;
mod start_instances;
mod subnet;
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

/// All actions, by their names within each API.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    row!(Ec2, "AllocateAddress", Changes, &[Target::Every("elastic-ip")], allocate_address),
    row!(Ec2, "AssociateAddress", Changes, ADDRESS_AND_INSTANCE, associate_address),
    row!(Ec2, "AttachNetworkInterface", Changes, INTERFACE_AND_INSTANCE, attach_network_interface),
    row!(Ec2, "AuthorizeSecurityGroupEgress", Changes, GROUP, authorize_security_group_egress),
    row!(Ec2, "AuthorizeSecurityGroupIngress", Changes, GROUP, authorize_security_group_ingress),
    row!(Ec2, "CreateNetworkInterface", Changes, NEW_INTERFACE, create_network_interface),
    row!(Ec2, "CreateSecurityGroup", Changes, &[Target::Every("security-group")], create_security_group),
    row!(Ec2, "CreateSubnet", Changes, NEW_SUBNET, create_subnet),
    row!(Ec2, "CreateVpc", Changes, &[Target::Every("vpc")], create_vpc),
    row!(Ec2, "DeleteNetworkInterface", Changes, INTERFACE, delete_network_interface),
    row!(Ec2, "DeleteSecurityGroup", Changes, GROUP, delete_security_group),
    row!(Ec2, "DeleteSubnet", Changes, &[Target::Named("subnet", &["SubnetId"])], delete_subnet),
    row!(Ec2, "DeleteVpc", Changes, &[Target::Named("vpc", &["VpcId"])], delete_vpc),
    row!(Ec2, "DescribeAccountAttributes", Reads, ALL, describe_account_attributes),
    row!(Ec2, "DescribeAddresses", Reads, ALL, describe_addresses),
    row!(Ec2, "DescribeAvailabilityZones", Reads, ALL, describe_availability_zones),
    row!(Ec2, "DescribeNetworkInterfaces", Reads, ALL, describe_network_interfaces),
    row!(Ec2, "DescribeRegions", Reads, ALL, describe_regions),
    row!(Ec2, "DescribeSecurityGroupRules", Reads, ALL, describe_security_group_rules),
    row!(Ec2, "DescribeSecurityGroups", Reads, ALL, describe_security_groups),
    row!(Ec2, "DescribeSubnets", Reads, ALL, describe_subnets),
    row!(Ec2, "DescribeVpcs", Reads, ALL, describe_vpcs),
    row!(Ec2, "DetachNetworkInterface", Changes, &[Target::Every("network-interface")], detach_network_interface),
    row!(Ec2, "DisassociateAddress", Changes, &[Target::Every("elastic-ip")], disassociate_address),
    row!(Ec2, "ReleaseAddress", Changes, ADDRESS, release_address),
    row!(Ec2, "RevokeSecurityGroupEgress", Changes, GROUP, revoke_security_group_egress),
    row!(Ec2, "RevokeSecurityGroupIngress", Changes, GROUP, revoke_security_group_ingress),
    row!(Ec2, "StartInstances", Changes, INSTANCES, start_instances),
    // The core decides who may assume which role; who one is, one may always know.
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
