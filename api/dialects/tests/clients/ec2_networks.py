"""boto3 against the API's networks: a VPC with a subnet, groups and their rules, public addresses, interfaces, and the way back.

Started by a test as `PYTHON ec2_networks.py PORT REGION KEY SECRET`; writes what it got as JSON, and fails where the SDK does.
"""

import json
import sys

import boto3
import ec2_model
from botocore.config import Config
from botocore.exceptions import ClientError


def refused(call, **parameters):
    try:
        call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def rule_of(permissions):
    """What one list of permissions says, without what only ids say."""
    return [
        {
            "protocol": one["IpProtocol"],
            "ports": [one.get("FromPort"), one.get("ToPort")],
            "ranges": [item["CidrIp"] for item in one["IpRanges"]],
            "groups": len(one["UserIdGroupPairs"]),
        }
        for one in permissions
    ]


def main(port, region, key, secret):
    ec2 = boto3.client(
        "ec2",
        region_name=region,
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}),
    )
    odd, answered = ec2_model.watch(ec2)
    told = {"odd": odd}
    told["regions"] = [item["RegionName"] for item in ec2.describe_regions()["Regions"]]
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    told["zones"] = [[item["ZoneName"], item["State"]] for item in zones]
    attributes = ec2.describe_account_attributes()["AccountAttributes"]
    told["attributes"] = sorted(item["AttributeName"] for item in attributes)

    # A network.
    specification = [{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "shop"}]}]
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16", TagSpecifications=specification)["Vpc"]
    ec2.get_waiter("vpc_available").wait(VpcIds=[vpc["VpcId"]])
    subnet = ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock="10.20.1.0/24")["Subnet"]
    ec2.get_waiter("subnet_available").wait(SubnetIds=[subnet["SubnetId"]])
    told["free"] = subnet["AvailableIpAddressCount"]
    by_tag = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["sh*"]}])["Vpcs"]
    told["by_tag"] = [item["VpcId"] == vpc["VpcId"] for item in by_tag]
    told["conflict"] = refused(ec2.create_subnet, VpcId=vpc["VpcId"], CidrBlock="10.20.1.128/25")

    # Groups, one of which lets in the other's members.
    inside = {"VpcId": vpc["VpcId"]}
    web = ec2.create_security_group(GroupName="web", Description="front", **inside)["GroupId"]
    app = ec2.create_security_group(GroupName="app", Description="back", **inside)["GroupId"]
    anyone = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    added = ec2.authorize_security_group_ingress(GroupId=web, IpPermissions=[anyone])
    told["added"] = [item["SecurityGroupRuleId"].split("-")[0] for item in added["SecurityGroupRules"]]
    told["twice"] = refused(ec2.authorize_security_group_ingress, GroupId=web, IpPermissions=[anyone])
    members = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": web, "Description": "front"}]}
    ec2.authorize_security_group_ingress(GroupId=app, IpPermissions=[members])
    group = ec2.describe_security_groups(GroupIds=[app])["SecurityGroups"][0]
    told["app"] = rule_of(group["IpPermissions"])
    told["used"] = refused(ec2.delete_security_group, GroupId=web)
    pages = ec2.get_paginator("describe_security_group_rules").paginate(
        Filters=[{"Name": "group-id", "Values": [web, app]}], PaginationConfig={"PageSize": 5}
    )
    rules = [item for page in pages for item in page["SecurityGroupRules"]]
    told["rules"] = sorted([item["IsEgress"], item["IpProtocol"]] for item in rules)
    ids = [item["SecurityGroupRuleId"] for item in rules if item["GroupId"] == app and not item["IsEgress"]]
    narrower = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "ReferencedGroupId": web, "Description": "shell"}
    changed = {"SecurityGroupRuleId": ids[0], "SecurityGroupRule": narrower}
    modified = ec2.modify_security_group_rules(GroupId=app, SecurityGroupRules=[changed])["Return"]
    seen = ec2.describe_security_group_rules(SecurityGroupRuleIds=ids)["SecurityGroupRules"][0]
    told["modified"] = [modified, seen["ToPort"], seen["ReferencedGroupInfo"]["GroupId"] == web, seen["Description"]]
    ec2.revoke_security_group_ingress(GroupId=app, SecurityGroupRuleIds=ids)
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.revoke_security_group_egress(GroupId=app, IpPermissions=[everything])
    group = ec2.describe_security_groups(GroupIds=[app])["SecurityGroups"][0]
    told["left"] = [group["IpPermissions"], group["IpPermissionsEgress"]]
    ec2.authorize_security_group_egress(GroupId=app, IpPermissions=[anyone])
    told["unknown"] = refused(ec2.revoke_security_group_egress, GroupId=app, IpPermissions=[everything])

    # An interface, and a public address that leads to it.
    made = ec2.create_network_interface(SubnetId=subnet["SubnetId"], Groups=[web], ClientToken="once")
    interface = made["NetworkInterface"]["NetworkInterfaceId"]
    again = ec2.create_network_interface(SubnetId=subnet["SubnetId"], Groups=[web], ClientToken="once")
    told["once"] = again["NetworkInterface"]["NetworkInterfaceId"] == interface
    ec2.get_waiter("network_interface_available").wait(NetworkInterfaceIds=[interface])
    address = ec2.allocate_address(Domain="vpc")
    led = ec2.associate_address(AllocationId=address["AllocationId"], NetworkInterfaceId=interface)
    seen = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"][0]
    told["leads"] = [
        seen["Association"]["PublicIp"] == address["PublicIp"],
        seen["Association"]["AssociationId"] == led["AssociationId"],
        seen["Groups"][0]["GroupName"],
        seen["Status"],
    ]
    shown = ec2.describe_addresses(Filters=[{"Name": "network-interface-id", "Values": [interface]}])
    told["addresses"] = [item["PublicIp"] == address["PublicIp"] for item in shown["Addresses"]]
    told["held"] = refused(ec2.release_address, AllocationId=address["AllocationId"])

    # And back.
    ec2.disassociate_address(AssociationId=led["AssociationId"])
    ec2.release_address(AllocationId=address["AllocationId"])
    told["full"] = [
        refused(ec2.delete_vpc, VpcId=vpc["VpcId"]),
        refused(ec2.delete_subnet, SubnetId=subnet["SubnetId"]),
    ]
    ec2.delete_network_interface(NetworkInterfaceId=interface)
    ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    for name in [app, web]:
        ec2.delete_security_group(GroupId=name)
    ec2.delete_vpc(VpcId=vpc["VpcId"])
    told["gone"] = refused(ec2.describe_vpcs, VpcIds=[vpc["VpcId"]])
    told["answered"] = len(answered)
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
