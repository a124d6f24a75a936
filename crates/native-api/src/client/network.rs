//! Methods: VPCs, subnets, network interfaces, security groups, addresses.

use super::{Client, ClientError, NOTHING};
use crate::{
    Address, AddressId, AllocateAddress, AssociateAddress, AttachNetworkInterface, CreateNetworkInterface,
    CreateSecurityGroup, CreateSubnet, CreateVpc, Force, NetworkInterface, NetworkInterfaceId, NetworkQuery,
    Operation, Page, PageQuery, Rename, SecurityGroup, SecurityGroupCounts, SecurityGroupId, SetTags, Subnet,
    SubnetId, UpdateNetworkInterface, UpdateSecurityRules, Vpc, VpcId,
};

impl Client {
    /// Makes a VPC.
    pub async fn create_vpc(&self, request: &CreateVpc) -> Result<Vpc, ClientError> {
        self.call(Operation::CreateVpc, &[], NOTHING, Some(request)).await
    }

    /// Lists VPCs.
    pub async fn list_vpcs(&self, query: &PageQuery) -> Result<Page<Vpc>, ClientError> {
        self.call(Operation::ListVpcs, &[], Some(query), NOTHING).await
    }

    /// Shows a VPC.
    pub async fn get_vpc(&self, id: &VpcId) -> Result<Vpc, ClientError> {
        self.call(Operation::GetVpc, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Renames a VPC.
    pub async fn update_vpc(&self, id: &VpcId, request: &Rename) -> Result<Vpc, ClientError> {
        self.call(Operation::UpdateVpc, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Deletes a VPC.
    pub async fn delete_vpc(&self, id: &VpcId) -> Result<(), ClientError> {
        self.call(Operation::DeleteVpc, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Sets tags.
    pub async fn set_vpc_tags(&self, id: &VpcId, request: &SetTags) -> Result<Vpc, ClientError> {
        self.call(Operation::SetVpcTags, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Makes a subnet.
    pub async fn create_subnet(&self, request: &CreateSubnet) -> Result<Subnet, ClientError> {
        self.call(Operation::CreateSubnet, &[], NOTHING, Some(request)).await
    }

    /// Lists subnets.
    pub async fn list_subnets(&self, query: &NetworkQuery) -> Result<Page<Subnet>, ClientError> {
        self.call(Operation::ListSubnets, &[], Some(query), NOTHING).await
    }

    /// Shows a subnet.
    pub async fn get_subnet(&self, id: &SubnetId) -> Result<Subnet, ClientError> {
        self.call(Operation::GetSubnet, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Renames a subnet.
    pub async fn update_subnet(&self, id: &SubnetId, request: &Rename) -> Result<Subnet, ClientError> {
        self.call(Operation::UpdateSubnet, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Deletes a subnet.
    pub async fn delete_subnet(&self, id: &SubnetId) -> Result<(), ClientError> {
        self.call(Operation::DeleteSubnet, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Sets tags.
    pub async fn set_subnet_tags(&self, id: &SubnetId, request: &SetTags) -> Result<Subnet, ClientError> {
        self.call(Operation::SetSubnetTags, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Makes a network interface.
    pub async fn create_network_interface(
        &self,
        request: &CreateNetworkInterface,
    ) -> Result<NetworkInterface, ClientError> {
        self.call(Operation::CreateNetworkInterface, &[], NOTHING, Some(request)).await
    }

    /// Lists network interfaces.
    pub async fn list_network_interfaces(
        &self,
        query: &NetworkQuery,
    ) -> Result<Page<NetworkInterface>, ClientError> {
        self.call(Operation::ListNetworkInterfaces, &[], Some(query), NOTHING).await
    }

    /// Shows a network interface.
    pub async fn get_network_interface(
        &self,
        id: &NetworkInterfaceId,
    ) -> Result<NetworkInterface, ClientError> {
        self.call(Operation::GetNetworkInterface, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Changes a network interface.
    pub async fn update_network_interface(
        &self,
        id: &NetworkInterfaceId,
        request: &UpdateNetworkInterface,
    ) -> Result<NetworkInterface, ClientError> {
        self.call(Operation::UpdateNetworkInterface, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Attaches a network interface to an instance.
    pub async fn attach_network_interface(
        &self,
        id: &NetworkInterfaceId,
        request: &AttachNetworkInterface,
    ) -> Result<NetworkInterface, ClientError> {
        self.call(Operation::AttachNetworkInterface, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Detaches a network interface.
    pub async fn detach_network_interface(
        &self,
        id: &NetworkInterfaceId,
        request: &Force,
    ) -> Result<NetworkInterface, ClientError> {
        self.call(Operation::DetachNetworkInterface, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Deletes a network interface.
    pub async fn delete_network_interface(&self, id: &NetworkInterfaceId) -> Result<(), ClientError> {
        self.call(Operation::DeleteNetworkInterface, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Sets tags.
    pub async fn set_network_interface_tags(
        &self,
        id: &NetworkInterfaceId,
        request: &SetTags,
    ) -> Result<NetworkInterface, ClientError> {
        self.call(Operation::SetNetworkInterfaceTags, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Makes a security group.
    pub async fn create_security_group(
        &self,
        request: &CreateSecurityGroup,
    ) -> Result<SecurityGroup, ClientError> {
        self.call(Operation::CreateSecurityGroup, &[], NOTHING, Some(request)).await
    }

    /// Lists security groups.
    pub async fn list_security_groups(
        &self,
        query: &NetworkQuery,
    ) -> Result<Page<SecurityGroup>, ClientError> {
        self.call(Operation::ListSecurityGroups, &[], Some(query), NOTHING).await
    }

    /// Shows a security group.
    pub async fn get_security_group(&self, id: &SecurityGroupId) -> Result<SecurityGroup, ClientError> {
        self.call(Operation::GetSecurityGroup, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Renames a security group.
    pub async fn update_security_group(
        &self,
        id: &SecurityGroupId,
        request: &Rename,
    ) -> Result<SecurityGroup, ClientError> {
        self.call(Operation::UpdateSecurityGroup, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Adds and removes rules.
    pub async fn update_security_group_rules(
        &self,
        id: &SecurityGroupId,
        request: &UpdateSecurityRules,
    ) -> Result<SecurityGroup, ClientError> {
        self.call(Operation::UpdateSecurityGroupRules, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Deletes a security group.
    pub async fn delete_security_group(&self, id: &SecurityGroupId) -> Result<(), ClientError> {
        self.call(Operation::DeleteSecurityGroup, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Sets tags.
    pub async fn set_security_group_tags(
        &self,
        id: &SecurityGroupId,
        request: &SetTags,
    ) -> Result<SecurityGroup, ClientError> {
        self.call(Operation::SetSecurityGroupTags, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Shows what a security group's rules did.
    pub async fn get_security_group_counts(
        &self,
        id: &SecurityGroupId,
    ) -> Result<SecurityGroupCounts, ClientError> {
        self.call(Operation::GetSecurityGroupCounts, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Allocates a public address.
    pub async fn allocate_address(&self, request: &AllocateAddress) -> Result<Address, ClientError> {
        self.call(Operation::AllocateAddress, &[], NOTHING, Some(request)).await
    }

    /// Lists public addresses.
    pub async fn list_addresses(&self, query: &PageQuery) -> Result<Page<Address>, ClientError> {
        self.call(Operation::ListAddresses, &[], Some(query), NOTHING).await
    }

    /// Shows a public address.
    pub async fn get_address(&self, id: &AddressId) -> Result<Address, ClientError> {
        self.call(Operation::GetAddress, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Gives an address to an instance.
    pub async fn associate_address(
        &self,
        id: &AddressId,
        request: &AssociateAddress,
    ) -> Result<Address, ClientError> {
        self.call(Operation::AssociateAddress, &[id.as_str()], NOTHING, Some(request)).await
    }

    /// Takes an address back.
    pub async fn disassociate_address(&self, id: &AddressId) -> Result<Address, ClientError> {
        self.call(Operation::DisassociateAddress, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Releases a public address.
    pub async fn release_address(&self, id: &AddressId) -> Result<(), ClientError> {
        self.call(Operation::ReleaseAddress, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Sets tags.
    pub async fn set_address_tags(&self, id: &AddressId, request: &SetTags) -> Result<Address, ClientError> {
        self.call(Operation::SetAddressTags, &[id.as_str()], NOTHING, Some(request)).await
    }
}
