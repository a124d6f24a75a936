//! The actions of version 2007-03-01, the same by Query and SOAP: a row here and a file below for each. `shapes` says how each
//! is asked; `wsdl` tells clients of SOAP. Nothing is answered that the WSDL of that day does not name, and an unknown
//! parameter is refused, as it would be one of a later version.

mod authorize_security_group_ingress;
mod confirm_product_instance;
mod create_key_pair;
mod create_security_group;
mod delete_key_pair;
mod delete_security_group;
mod deregister_image;
mod describe_image_attribute;
mod describe_images;
mod describe_instances;
mod describe_key_pairs;
mod describe_security_groups;
mod get_console_output;
mod group;
mod image;
mod instance;
mod launch_request;
mod modify_image_attribute;
mod permissions;
mod reboot_instances;
mod register_image;
mod reset_image_attribute;
mod revoke_security_group_ingress;
mod run_instances;
pub mod shapes;
mod terminate_instances;
pub mod wsdl;

use super::actions::{Row, Target, row};

/// Lists, which are allowed as a whole.
const ALL: &[Target] = &[Target::All];
const IMAGE: &[Target] = &[Target::Named("image", &["ImageId"])];
const INSTANCES: &[Target] = &[Target::Named("instance", &["InstanceId"])];
const KEY_PAIR: &[Target] = &[Target::Named("key-pair", &["KeyName"])];
/// Groups are named here, and their ids found later: what is asked for a group is asked for all of them.
const GROUPS: &[Target] = &[Target::Every("security-group")];

/// All actions of that version, by their names.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    row!(Y2007, "AuthorizeSecurityGroupIngress", Changes, GROUPS, authorize_security_group_ingress),
    row!(Y2007, "ConfirmProductInstance", Reads, INSTANCES, confirm_product_instance),
    row!(Y2007, "CreateKeyPair", Changes, KEY_PAIR, create_key_pair),
    row!(Y2007, "CreateSecurityGroup", Changes, GROUPS, create_security_group),
    row!(Y2007, "DeleteKeyPair", Changes, KEY_PAIR, delete_key_pair),
    row!(Y2007, "DeleteSecurityGroup", Changes, GROUPS, delete_security_group),
    row!(Y2007, "DeregisterImage", Changes, IMAGE, deregister_image),
    row!(Y2007, "DescribeImageAttribute", Reads, IMAGE, describe_image_attribute),
    row!(Y2007, "DescribeImages", Reads, ALL, describe_images),
    row!(Y2007, "DescribeInstances", Reads, ALL, describe_instances),
    row!(Y2007, "DescribeKeyPairs", Reads, ALL, describe_key_pairs),
    row!(Y2007, "DescribeSecurityGroups", Reads, ALL, describe_security_groups),
    row!(Y2007, "GetConsoleOutput", Reads, INSTANCES, get_console_output),
    row!(Y2007, "ModifyImageAttribute", Changes, IMAGE, modify_image_attribute),
    row!(Y2007, "RebootInstances", Changes, INSTANCES, reboot_instances),
    row!(Y2007, "RegisterImage", Changes, &[Target::Every("image")], register_image),
    row!(Y2007, "ResetImageAttribute", Changes, IMAGE, reset_image_attribute),
    row!(Y2007, "RevokeSecurityGroupIngress", Changes, GROUPS, revoke_security_group_ingress),
    row!(Y2007, "RunInstances", Changes, &[Target::Every("instance")], run_instances),
    row!(Y2007, "TerminateInstances", Changes, INSTANCES, terminate_instances),
];
