//! Rows: VPCs, subnets, network interfaces, security groups, addresses.

use super::Operation::*;
use super::compute::tags;
use super::{DONE, Method, Route, Success, json, page};
use crate::ErrorCode::{
    AlreadyExists, InUse, InsufficientCapacity, InvalidParameter, LimitExceeded, NotFound, WrongState,
};

const VPC: &[Success] = &[json(200, "Vpc", "The VPC as it is now.")];
const SUBNET: &[Success] = &[json(200, "Subnet", "The subnet as it is now.")];
const INTERFACE: &[Success] = &[json(200, "NetworkInterface", "The network interface as it is now.")];
const GROUP: &[Success] = &[json(200, "SecurityGroup", "The security group as it is now.")];
const ADDRESS: &[Success] = &[json(200, "Address", "The address as it is now.")];

/// The rows.
pub(super) const ROWS: &[Route] = &[
    Route::new(Method::Post, "/v1/vpcs", CreateVpc, "Makes a VPC", &[json(201, "Vpc", "The VPC.")])
        .body("CreateVpc")
        .codes_of_its_own(&[InvalidParameter, LimitExceeded]),
    Route::new(
        Method::Get,
        "/v1/vpcs",
        ListVpcs,
        "Lists VPCs",
        &[page("Vpc", "VPCs in the order of their ids.")],
    )
    .query("PageQuery"),
    Route::new(Method::Get, "/v1/vpcs/{vpc_id}", GetVpc, "Shows a VPC", VPC),
    Route::new(Method::Patch, "/v1/vpcs/{vpc_id}", UpdateVpc, "Renames a VPC", VPC).body("Rename"),
    Route::new(Method::Delete, "/v1/vpcs/{vpc_id}", DeleteVpc, "Deletes a VPC", &[DONE])
        .about("Its default security group goes with it; subnets and other groups must be gone.")
        .codes_of_its_own(&[InUse]),
    tags("/v1/vpcs/{vpc_id}/tags", SetVpcTags, VPC),
    Route::new(
        Method::Post,
        "/v1/subnets",
        CreateSubnet,
        "Makes a subnet",
        &[json(201, "Subnet", "The subnet.")],
    )
    .body("CreateSubnet")
    .codes_of_its_own(&[InvalidParameter, NotFound, AlreadyExists, LimitExceeded]),
    Route::new(
        Method::Get,
        "/v1/subnets",
        ListSubnets,
        "Lists subnets",
        &[page("Subnet", "Subnets in the order of their ids.")],
    )
    .query("NetworkQuery"),
    Route::new(Method::Get, "/v1/subnets/{subnet_id}", GetSubnet, "Shows a subnet", SUBNET),
    Route::new(Method::Patch, "/v1/subnets/{subnet_id}", UpdateSubnet, "Renames a subnet", SUBNET)
        .body("Rename"),
    Route::new(Method::Delete, "/v1/subnets/{subnet_id}", DeleteSubnet, "Deletes a subnet", &[DONE])
        .codes_of_its_own(&[InUse]),
    tags("/v1/subnets/{subnet_id}/tags", SetSubnetTags, SUBNET),
    Route::new(
        Method::Post,
        "/v1/network-interfaces",
        CreateNetworkInterface,
        "Makes a network interface",
        &[json(201, "NetworkInterface", "The network interface.")],
    )
    .body("CreateNetworkInterface")
    .codes_of_its_own(&[InvalidParameter, NotFound, InUse, LimitExceeded, InsufficientCapacity]),
    Route::new(
        Method::Get,
        "/v1/network-interfaces",
        ListNetworkInterfaces,
        "Lists network interfaces",
        &[page("NetworkInterface", "Network interfaces in the order of their ids.")],
    )
    .query("NetworkQuery"),
    Route::new(
        Method::Get,
        "/v1/network-interfaces/{network_interface_id}",
        GetNetworkInterface,
        "Shows a network interface",
        INTERFACE,
    ),
    Route::new(
        Method::Patch,
        "/v1/network-interfaces/{network_interface_id}",
        UpdateNetworkInterface,
        "Changes a network interface",
        INTERFACE,
    )
    .body("UpdateNetworkInterface")
    .codes_of_its_own(&[InvalidParameter]),
    Route::new(
        Method::Post,
        "/v1/network-interfaces/{network_interface_id}/attach",
        AttachNetworkInterface,
        "Attaches a network interface to an instance",
        INTERFACE,
    )
    .about("The instance must be stopped.")
    .body("AttachNetworkInterface")
    .codes_of_its_own(&[InvalidParameter, WrongState, InUse, LimitExceeded]),
    Route::new(
        Method::Post,
        "/v1/network-interfaces/{network_interface_id}/detach",
        DetachNetworkInterface,
        "Detaches a network interface",
        INTERFACE,
    )
    .body("Force")
    .codes_of_its_own(&[InvalidParameter, WrongState]),
    Route::new(
        Method::Delete,
        "/v1/network-interfaces/{network_interface_id}",
        DeleteNetworkInterface,
        "Deletes a network interface",
        &[DONE],
    )
    .codes_of_its_own(&[InUse]),
    tags("/v1/network-interfaces/{network_interface_id}/tags", SetNetworkInterfaceTags, INTERFACE),
    Route::new(
        Method::Post,
        "/v1/security-groups",
        CreateSecurityGroup,
        "Makes a security group",
        &[json(201, "SecurityGroup", "The security group.")],
    )
    .body("CreateSecurityGroup")
    .codes_of_its_own(&[InvalidParameter, NotFound, AlreadyExists, LimitExceeded]),
    Route::new(
        Method::Get,
        "/v1/security-groups",
        ListSecurityGroups,
        "Lists security groups",
        &[page("SecurityGroup", "Security groups in the order of their ids.")],
    )
    .query("NetworkQuery"),
    Route::new(
        Method::Get,
        "/v1/security-groups/{security_group_id}",
        GetSecurityGroup,
        "Shows a security group",
        GROUP,
    ),
    Route::new(
        Method::Patch,
        "/v1/security-groups/{security_group_id}",
        UpdateSecurityGroup,
        "Renames a security group",
        GROUP,
    )
    .body("Rename")
    .codes_of_its_own(&[AlreadyExists, InvalidParameter]),
    Route::new(
        Method::Patch,
        "/v1/security-groups/{security_group_id}/rules",
        UpdateSecurityGroupRules,
        "Adds and removes rules",
        GROUP,
    )
    .body("UpdateSecurityRules")
    .codes_of_its_own(&[InvalidParameter, LimitExceeded]),
    Route::new(
        Method::Delete,
        "/v1/security-groups/{security_group_id}",
        DeleteSecurityGroup,
        "Deletes a security group",
        &[DONE],
    )
    .codes_of_its_own(&[InUse]),
    tags("/v1/security-groups/{security_group_id}/tags", SetSecurityGroupTags, GROUP),
    Route::new(
        Method::Get,
        "/v1/security-groups/{security_group_id}/counts",
        GetSecurityGroupCounts,
        "Shows what a security group's rules did",
        &[json(200, "SecurityGroupCounts", "As counted until now.")],
    ),
    Route::new(
        Method::Post,
        "/v1/addresses",
        AllocateAddress,
        "Allocates a public address",
        &[json(201, "Address", "The address.")],
    )
    .body("AllocateAddress")
    .codes_of_its_own(&[LimitExceeded, InsufficientCapacity]),
    Route::new(
        Method::Get,
        "/v1/addresses",
        ListAddresses,
        "Lists public addresses",
        &[page("Address", "Addresses in the order of their ids.")],
    )
    .query("PageQuery"),
    Route::new(Method::Get, "/v1/addresses/{address_id}", GetAddress, "Shows a public address", ADDRESS),
    Route::new(
        Method::Post,
        "/v1/addresses/{address_id}/associate",
        AssociateAddress,
        "Gives an address to an instance",
        ADDRESS,
    )
    .body("AssociateAddress")
    .codes_of_its_own(&[InvalidParameter, InUse, WrongState]),
    Route::new(
        Method::Post,
        "/v1/addresses/{address_id}/disassociate",
        DisassociateAddress,
        "Takes an address back",
        ADDRESS,
    )
    .about("One that nobody has is no error."),
    Route::new(
        Method::Delete,
        "/v1/addresses/{address_id}",
        ReleaseAddress,
        "Releases a public address",
        &[DONE],
    )
    .codes_of_its_own(&[InUse]),
    tags("/v1/addresses/{address_id}/tags", SetAddressTags, ADDRESS),
];
