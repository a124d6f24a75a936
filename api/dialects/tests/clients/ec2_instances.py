"""boto3 and the AWS CLI through the life of an instance, with its volumes, snapshots, images, keys, tags and roles.

Started by a test as `PYTHON ec2_instances.py PORT REGION KEY SECRET`; writes what it got as JSON, and fails where a client does.
"""

import base64
import json
import os
import subprocess
import sys
from urllib.request import urlopen

import boto3
import ec2_model
from botocore.config import Config
from botocore.exceptions import ClientError

SOON = {"Delay": 1, "MaxAttempts": 60}
PUBLIC_KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl3dIeudNqd0DPMRD6OIh65tjkxFNOtwGcWB2gCgPhk somebody@example"
)


def refused(call, **parameters):
    try:
        call(**parameters)
    except ClientError as error:
        return [error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]]
    return None


def wait(ec2, name, **parameters):
    ec2.get_waiter(name).wait(WaiterConfig=SOON, **parameters)


def instance_of(ec2, instance):
    return ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]


def launch(ec2, image):
    """Two instances with all that launches are asked for, once."""
    group = ec2.create_security_group(GroupName="web", Description="front")["GroupId"]
    ec2.create_key_pair(KeyName="mine")
    parameters = {
        "ImageId": image,
        "InstanceType": "m1.small",
        "MinCount": 1,
        "MaxCount": 2,
        "KeyName": "mine",
        "UserData": "#!/bin/sh\necho hello\n",
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 30, "VolumeType": "gp3"}},
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 5, "DeleteOnTermination": False}},
            {"DeviceName": "/dev/sdg", "NoDevice": ""},
        ],
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "web"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "of", "Value": "web"}]},
        ],
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        "Monitoring": {"Enabled": True},
        "Placement": {"AvailabilityZone": "local-a", "Tenancy": "default"},
        "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": [group], "AssociatePublicIpAddress": True}],
        "CreditSpecification": {"CpuCredits": "standard"},
        "ClientToken": "once",
    }
    first = ec2.run_instances(**parameters)
    again = ec2.run_instances(**parameters)
    ids = [one["InstanceId"] for one in first["Instances"]]
    same = ids == [one["InstanceId"] for one in again["Instances"]]
    other = refused(ec2.run_instances, **{**parameters, "MaxCount": 1})
    tried = refused(ec2.run_instances, **{**parameters, "ClientToken": "twice", "DryRun": True})
    return ids, {
        "launched": [first["Instances"][0]["State"]["Name"], len(ids), same, other, tried],
    }


def life(ec2, image):
    ids, told = launch(ec2, image)
    wait(ec2, "instance_exists", InstanceIds=ids)
    wait(ec2, "instance_running", InstanceIds=ids)
    wait(ec2, "instance_status_ok", InstanceIds=ids)
    one = instance_of(ec2, ids[0])
    interface = one["NetworkInterfaces"][0]
    told["instance"] = {
        "type": one["InstanceType"],
        "key": one["KeyName"],
        "devices": [
            [item["DeviceName"], item["Ebs"]["Status"], item["Ebs"]["DeleteOnTermination"]]
            for item in one["BlockDeviceMappings"]
        ],
        "root": one["RootDeviceName"],
        "tags": one["Tags"],
        "groups": [item["GroupName"] for item in one["SecurityGroups"]],
        "tokens": one["MetadataOptions"]["HttpTokens"],
        "monitoring": one["Monitoring"]["State"],
        "public": one["PublicIpAddress"] == interface["Association"]["PublicIp"],
        "private": one["PrivateIpAddress"] == interface["PrivateIpAddress"],
        "zone": one["Placement"]["AvailabilityZone"],
        "token": one["ClientToken"],
    }
    statuses = ec2.describe_instance_status(InstanceIds=ids)["InstanceStatuses"]
    told["status"] = [item["InstanceStatus"]["Details"][0]["Status"] for item in statuses]

    # Lists by filters and in pages.
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=[
            {"Name": "instance-state-name", "Values": ["run*"]},
            {"Name": "tag:Name", "Values": ["w?b"]},
            {"Name": "network-interface.subnet-id", "Values": [one["SubnetId"]]},
        ],
        PaginationConfig={"PageSize": 5},
    )
    told["filtered"] = sum(len(item["Instances"]) for page in pages for item in page["Reservations"])
    pages = ec2.get_paginator("describe_instance_types").paginate(PaginationConfig={"PageSize": 5})
    types = [item for page in pages for item in page["InstanceTypes"]]
    named = ec2.describe_instance_types(InstanceTypes=["m1.small"])["InstanceTypes"][0]
    told["types"] = [len(types) == len({item["InstanceType"] for item in types}), named["InstanceType"]]

    # Attributes.
    instance = ids[0]
    user_data = ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")["UserData"]["Value"]
    told["user_data"] = base64.b64decode(user_data).decode()
    ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": True})
    told["protected"] = refused(ec2.terminate_instances, InstanceIds=[instance])
    ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": False})
    ec2.modify_instance_attribute(
        InstanceId=instance, InstanceInitiatedShutdownBehavior={"Value": "terminate"}
    )
    behavior = ec2.describe_instance_attribute(
        InstanceId=instance, Attribute="instanceInitiatedShutdownBehavior"
    )
    told["behavior"] = behavior["InstanceInitiatedShutdownBehavior"]["Value"]
    ec2.modify_instance_attribute(InstanceId=instance, InstanceInitiatedShutdownBehavior={"Value": "stop"})
    told["running"] = refused(
        ec2.modify_instance_attribute, InstanceId=instance, InstanceType={"Value": "m1.large"}
    )
    options = ec2.modify_instance_metadata_options(InstanceId=instance, HttpEndpoint="disabled")
    told["options"] = [
        options["InstanceMetadataOptions"]["HttpEndpoint"],
        options["InstanceMetadataOptions"]["HttpPutResponseHopLimit"],
    ]
    for attribute in ["blockDeviceMapping", "groupSet", "productCodes", "rootDeviceName", "sourceDestCheck"]:
        ec2.describe_instance_attribute(InstanceId=instance, Attribute=attribute)

    # What is stopped can be changed, and started again.
    ec2.reboot_instances(InstanceIds=ids)
    stopping = ec2.stop_instances(InstanceIds=ids, Force=True)["StoppingInstances"]
    told["stopping"] = [item["PreviousState"]["Name"] for item in stopping]
    wait(ec2, "instance_stopped", InstanceIds=ids)
    ec2.modify_instance_attribute(InstanceId=instance, InstanceType={"Value": "m1.large"})
    ec2.modify_instance_attribute(InstanceId=instance, UserData={"Value": b"changed"})
    told["changed"] = instance_of(ec2, instance)["InstanceType"]
    told.update(volumes(ec2, instance))
    told.update(images(ec2, instance))
    ec2.start_instances(InstanceIds=ids)
    wait(ec2, "instance_running", InstanceIds=ids)
    console = ec2.get_console_output(InstanceId=instance, Latest=True)
    told["console"] = [console["InstanceId"] == instance, isinstance(console.get("Output", ""), str)]
    ended = ec2.terminate_instances(InstanceIds=ids)["TerminatingInstances"]
    told["ending"] = [item["PreviousState"]["Name"] for item in ended]
    wait(ec2, "instance_terminated", InstanceIds=ids)
    told["ended"] = refused(ec2.start_instances, InstanceIds=ids)
    left = ec2.describe_volumes(Filters=[{"Name": "tag:of", "Values": ["web"]}])["Volumes"]
    told["left"] = [[item["State"], item["Size"]] for item in left]
    return told


def interfaces(ec2, image):
    """An instance with two new interfaces and one that was there, which outlives it and the next one."""
    vpc = ec2.create_vpc(CidrBlock="10.30.0.0/16")["Vpc"]["VpcId"]
    blocks = ["10.30.1.0/24", "10.30.2.0/24"]
    front, back = (ec2.create_subnet(VpcId=vpc, CidrBlock=one)["Subnet"]["SubnetId"] for one in blocks)
    group = ec2.create_security_group(GroupName="inner", Description="back", VpcId=vpc)["GroupId"]
    mine = ec2.create_network_interface(SubnetId=back)["NetworkInterface"]["NetworkInterfaceId"]
    once = {"ImageId": image, "MinCount": 1, "MaxCount": 1}
    existing = {"DeviceIndex": 1, "NetworkInterfaceId": mine}
    inner = {
        "DeviceIndex": 2,
        "SubnetId": back,
        "Groups": [group],
        "PrivateIpAddress": "10.30.2.77",
        "Description": "inner",
        "DeleteOnTermination": False,
    }
    wanted = [inner, existing, {"DeviceIndex": 0, "SubnetId": front}]
    made = ec2.run_instances(NetworkInterfaces=wanted, **once)["Instances"][0]
    wait(ec2, "instance_running", InstanceIds=[made["InstanceId"]])
    used = refused(ec2.run_instances, NetworkInterfaces=[{**existing, "DeviceIndex": 0}], **once)
    shown = [
        [
            one["Attachment"]["DeviceIndex"],
            one["SubnetId"] == (front if one["Attachment"]["DeviceIndex"] == 0 else back),
            one["Attachment"]["DeleteOnTermination"],
            one["Description"],
            [item["GroupName"] for item in one["Groups"]],
        ]
        for one in made["NetworkInterfaces"]
    ]
    goes = made["NetworkInterfaces"][2]
    ec2.modify_network_interface_attribute(
        NetworkInterfaceId=goes["NetworkInterfaceId"],
        Attachment={"AttachmentId": goes["Attachment"]["AttachmentId"], "DeleteOnTermination": True},
    )
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    wait(ec2, "instance_terminated", InstanceIds=[made["InstanceId"]])
    left = ec2.describe_network_interfaces(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NetworkInterfaces"]
    kept = [[one["NetworkInterfaceId"] == mine, one["Status"]] for one in left]
    again = ec2.run_instances(NetworkInterfaces=[{**existing, "DeviceIndex": 0}], **once)["Instances"][0]
    wait(ec2, "instance_running", InstanceIds=[again["InstanceId"]])
    ec2.terminate_instances(InstanceIds=[again["InstanceId"]])
    wait(ec2, "instance_terminated", InstanceIds=[again["InstanceId"]])
    wait(ec2, "network_interface_available", NetworkInterfaceIds=[mine])
    ec2.delete_network_interface(NetworkInterfaceId=mine)
    ec2.delete_security_group(GroupId=group)
    for subnet in [front, back]:
        ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)
    return {
        "interfaces": [shown, kept, used],
        "first_of": [
            made["SubnetId"] == front,
            made["PrivateIpAddress"] == made["NetworkInterfaces"][0]["PrivateIpAddress"],
            again["NetworkInterfaces"][0]["NetworkInterfaceId"] == mine,
        ],
    }


def volumes(ec2, instance):
    made = ec2.create_volume(
        AvailabilityZone="local-a",
        Size=4,
        VolumeType="gp3",
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "data"}]}],
    )
    volume = made["VolumeId"]
    wait(ec2, "volume_available", VolumeIds=[volume])
    attached = ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdh")
    wait(ec2, "volume_in_use", VolumeIds=[volume])
    taken = refused(ec2.attach_volume, VolumeId=volume, InstanceId=instance, Device="/dev/sdi")
    in_use = refused(ec2.delete_volume, VolumeId=volume)
    ec2.modify_instance_attribute(
        InstanceId=instance,
        BlockDeviceMappings=[{"DeviceName": "/dev/sdh", "Ebs": {"DeleteOnTermination": True}}],
    )
    shown = ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"][0]
    grown = ec2.modify_volume(VolumeId=volume, Size=6)["VolumeModification"]
    less = refused(ec2.modify_volume, VolumeId=volume, Size=5)
    snapshot = ec2.create_snapshot(
        VolumeId=volume,
        Description="before",
        TagSpecifications=[{"ResourceType": "snapshot", "Tags": [{"Key": "Name", "Value": "data"}]}],
    )["SnapshotId"]
    wait(ec2, "snapshot_completed", SnapshotIds=[snapshot])
    pages = ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], PaginationConfig={"PageSize": 5})
    snapshots = [item["Description"] for page in pages for item in page["Snapshots"]]
    ec2.detach_volume(VolumeId=volume, InstanceId=instance)
    wait(ec2, "volume_available", VolumeIds=[volume])
    free = refused(ec2.detach_volume, VolumeId=volume)
    ec2.delete_volume(VolumeId=volume)
    wait(ec2, "volume_deleted", VolumeIds=[volume])
    gone = refused(ec2.describe_volumes, VolumeIds=[volume])
    copy = ec2.create_volume(AvailabilityZone="local-a", SnapshotId=snapshot, ClientToken="copy")
    again = ec2.create_volume(AvailabilityZone="local-a", SnapshotId=snapshot, ClientToken="copy")
    wait(ec2, "volume_available", VolumeIds=[copy["VolumeId"]])
    ec2.delete_volume(VolumeId=copy["VolumeId"])
    wait(ec2, "volume_deleted", VolumeIds=[copy["VolumeId"]])
    ec2.delete_snapshot(SnapshotId=snapshot)
    return {
        "attached": [attached["State"], attached["Device"], shown["DeleteOnTermination"]],
        "in_use": [taken, in_use, free],
        "grown": [grown["OriginalSize"], grown["TargetSize"], less],
        "snapshots": snapshots,
        "volume_gone": gone,
        "copy": [copy["Size"], copy["SnapshotId"] == snapshot, again["VolumeId"] == copy["VolumeId"]],
    }


def images(ec2, instance):
    image = ec2.create_image(
        InstanceId=instance,
        Name="golden",
        Description="as it should be",
        TagSpecifications=[{"ResourceType": "image", "Tags": [{"Key": "stage", "Value": "test"}]}],
    )["ImageId"]
    wait(ec2, "image_exists", ImageIds=[image])
    wait(ec2, "image_available", ImageIds=[image])
    taken = refused(ec2.create_image, InstanceId=instance, Name="golden")
    shown = ec2.describe_images(Filters=[{"Name": "tag:stage", "Values": ["test"]}])["Images"][0]
    snapshot = shown["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    disks = [[disk["DeviceName"], disk["Ebs"]["DeleteOnTermination"]] for disk in shown["BlockDeviceMappings"]]
    registered = ec2.register_image(
        Name="registered",
        Architecture="x86_64",
        RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}],
    )["ImageId"]
    wait(ec2, "image_available", ImageIds=[registered])
    ec2.modify_image_attribute(
        ImageId=image, LaunchPermission={"Add": [{"UserId": "123456789012"}, {"Group": "all"}]}
    )
    ec2.modify_image_attribute(ImageId=image, Description={"Value": "better"})
    permissions = ec2.describe_image_attribute(ImageId=image, Attribute="launchPermission")
    described = ec2.describe_image_attribute(ImageId=image, Attribute="description")
    ec2.reset_image_attribute(ImageId=image, Attribute="launchPermission")
    private = ec2.describe_image_attribute(ImageId=image, Attribute="launchPermission")
    ec2.deregister_image(ImageId=registered)
    results = ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    gone = refused(ec2.describe_images, ImageIds=[image])
    return {
        "image": [shown["ImageId"] == image, shown["SourceInstanceId"] == instance, taken, disks],
        "permissions": [permissions["LaunchPermissions"], private["LaunchPermissions"]],
        "description": described["Description"]["Value"],
        "deregistered": [item["ReturnCode"] for item in results["DeleteSnapshotResults"]],
        "image_gone": gone[1].split(".")[0],
    }


def keys_and_tags(ec2, image):
    made = ec2.create_key_pair(KeyName="other", KeyType="ed25519")
    imported = ec2.import_key_pair(KeyName="theirs", PublicKeyMaterial=PUBLIC_KEY.encode())
    twice = refused(ec2.import_key_pair, KeyName="theirs", PublicKeyMaterial=PUBLIC_KEY.encode())
    broken = refused(ec2.import_key_pair, KeyName="broken", PublicKeyMaterial=b"no key")
    wait(ec2, "key_pair_exists", KeyNames=["theirs"])
    shown = ec2.describe_key_pairs(KeyPairIds=[imported["KeyPairId"]], IncludePublicKey=True)["KeyPairs"][0]
    ec2.create_tags(
        Resources=[imported["KeyPairId"], image], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    )
    filters = [{"Name": "key", "Values": ["a", "b"]}]
    pages = ec2.get_paginator("describe_tags").paginate(Filters=filters, PaginationConfig={"PageSize": 5})
    tags = sorted([item["ResourceType"], item["Key"], item["Value"]] for page in pages for item in page["Tags"])
    ec2.delete_tags(Resources=[image], Tags=[{"Key": "a"}, {"Key": "b", "Value": "3"}])
    kept = ec2.describe_tags(Filters=[*filters, {"Name": "resource-id", "Values": [image]}])["Tags"]
    ec2.delete_tags(Resources=[image])
    for name in ["other", "theirs", "mine"]:
        ec2.delete_key_pair(KeyName=name)
    return {
        "keys": [made["KeyMaterial"].split("\n")[0], shown["KeyType"], shown["PublicKey"].split()[1][:20]],
        "key_refused": [twice, broken, refused(ec2.describe_key_pairs, KeyNames=["theirs"])],
        "tags": [tags, [item["Key"] for item in kept]],
    }


def cli(port, region, key, secret, *arguments):
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_PAGER": "",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    command = [sys.executable, "-m", "awscli", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip()


def command_line(image, *where):
    def aws(*arguments):
        return cli(*where, *arguments)

    query = ["--query", "Instances[0].InstanceId", "--output", "text"]
    instance = aws("ec2", "run-instances", "--image-id", image, "--instance-type", "m1.small", *query)
    waited = aws("ec2", "wait", "instance-running", "--instance-ids", instance)
    query = ["--query", "Reservations[].Instances[].State.Name", "--output", "text"]
    state = aws("ec2", "describe-instances", "--instance-ids", instance, *query)
    tried = aws("ec2", "stop-instances", "--instance-ids", instance, "--dry-run")
    ended = aws("ec2", "terminate-instances", "--instance-ids", instance, "--output", "text")
    who = aws("sts", "get-caller-identity", "--query", "Arn", "--output", "text")
    odd = aws("ec2", "describe-instances", "--instance-ids", "i-0000000a")
    return {
        "cli": [waited, state, ended.startswith("TERMINATINGINSTANCES"), who.rpartition(":")[2]],
        "cli_refused": ["DryRunOperation" in tried, "InvalidInstanceID.NotFound" in odd],
    }


def main(port, region, key, secret):
    where = {
        "region_name": region,
        "endpoint_url": f"http://127.0.0.1:{port}",
        "aws_access_key_id": key,
        "aws_secret_access_key": secret,
        "config": Config(retries={"max_attempts": 0}),
    }
    ec2, sts = boto3.client("ec2", **where), boto3.client("sts", **where)
    odd, answered = ec2_model.watch(ec2)
    image = ec2.describe_images(Owners=["self"])["Images"][0]["ImageId"]
    told = {"who": sts.get_caller_identity()["Arn"].rpartition(":")[2]}
    told.update(life(ec2, image))
    told.update(interfaces(ec2, image))
    told.update(keys_and_tags(ec2, image))
    told.update(command_line(image, port, region, key, secret))
    wrong = boto3.client("ec2", **{**where, "aws_secret_access_key": "wrong"})
    told["wrong"] = refused(wrong.describe_instances)
    url = ec2.generate_presigned_url("describe_instances", ExpiresIn=60, HttpMethod="GET")
    with urlopen(url) as answer:
        told["presigned"] = answer.status
    # A host may have types that this cloud does not.
    told["odd"] = [one for one in odd if ".instanceType is " not in one]
    told["answered"] = len(answered)
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
