"""Alibaba Cloud's own SDKs against the API, as its best-practice scripts use them: create, hello, release, renew, and roles.

Started by the test `clients` as `PYTHON alibaba.py STORY PORT REGION KEY SECRET IMAGE`; writes what it got as JSON, and fails
where an SDK does.
"""

import json
import sys
import time

PATIENCE_S = 60


class Core:
    """The older SDK: signs by parameters, HMAC-SHA1."""

    def __init__(self, port, region, key, secret):
        from aliyunsdkcore.client import AcsClient

        self.client = AcsClient(key, secret, region, port=port, auto_retry=False)

    def ask(self, product, name, parameters=None, raises=True):
        from importlib import import_module

        module = {
            "ecs": "aliyunsdkecs.request.v20140526",
            "ram": "aliyunsdkram.request.v20150501",
            "sts": "aliyunsdksts.request.v20150401",
        }[product]
        request = getattr(import_module(f"{module}.{name}Request"), f"{name}Request")()
        request.set_endpoint("127.0.0.1")
        request.set_protocol_type("http")
        request.set_accept_format("json")
        for setter, value in (parameters or {}).items():
            getattr(request, f"set_{setter}")(value)
        send = self.client.do_action_with_exception if raises else self.client.do_action
        return json.loads(send(request))

    def refused(self, product, name, parameters=None):
        from aliyunsdkcore.acs_exception.exceptions import ServerException

        try:
            self.ask(product, name, parameters)
        except ServerException as error:
            return [error.get_http_status(), error.get_error_code()]
        return None

    def until(self, instance, status):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            answer = self.ask("ecs", "DescribeInstances", {"InstanceIds": json.dumps([instance])})
            found = answer["Instances"]["Instance"]
            if found and found[0]["Status"] == status:
                return found[0]
            time.sleep(0.05)
        raise SystemExit(f"{instance} does not become {status}")


def create(core, image, **more):
    parameters = {
        "ImageId": image,
        "InstanceType": "ecs.s2.large",
        "IoOptimized": "optimized",
        "SystemDiskCategory": "cloud_ssd",
        **more,
    }
    return core.ask("ecs", "CreateInstance", parameters)["InstanceId"]


def scripts(port, region, key, secret, image):
    """The four scripts of the cloud's best practices, one after the other."""
    core = Core(port, region, key, secret)
    regions = [item["RegionId"] for item in core.ask("ecs", "DescribeRegions")["Regions"]["Region"]]
    instance = create(core, image)
    core.until(instance, "Stopped")
    core.ask("ecs", "StartInstance", {"InstanceId": instance})
    core.until(instance, "Running")
    # As the scripts do, which do not raise.
    refused = core.ask("ecs", "DeleteInstance", {"InstanceId": instance, "Force": False}, raises=False)
    at = time.strftime("%Y-%m-%dT%H:%M:01Z", time.gmtime(time.time() + 7200))
    core.ask("ecs", "ModifyInstanceAutoReleaseTime", {"InstanceId": instance, "AutoReleaseTime": at})
    release = core.until(instance, "Running")["AutoReleaseTime"]
    core.ask("ecs", "ModifyInstanceAutoReleaseTime", {"InstanceId": instance})
    cancelled = core.until(instance, "Running")["AutoReleaseTime"]
    core.ask("ecs", "StopInstance", {"InstanceId": instance, "ForceStop": False})
    core.until(instance, "Stopped")
    core.ask("ecs", "DeleteInstance", {"InstanceId": instance, "Force": False})

    paid = create(core, image, InstanceChargeType="PrePaid", Period=1)
    before = core.until(paid, "Stopped")["ExpiredTime"]
    day = lambda days: time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(time.time() + days * 86400))
    within = {
        "Filter3Key": "ExpiredStartTime",
        "Filter3Value": day(20),
        "Filter4Key": "ExpiredEndTime",
        "Filter4Value": day(40),
        "PageNumber": 1,
        "PageSize": 100,
    }
    expiring = [item["InstanceId"] for item in core.ask("ecs", "DescribeInstances", within)["Instances"]["Instance"]]
    core.ask("ecs", "RenewInstance", {"InstanceId": paid, "Period": "1"})
    after = core.until(paid, "Stopped")["ExpiredTime"]
    core.ask("ecs", "ModifyInstanceAutoRenewAttribute", {"InstanceId": paid, "Duration": 1, "AutoRenew": True})
    renewal = core.ask("ecs", "DescribeInstanceAutoRenewAttribute", {"InstanceId": paid})
    return {
        "regions": regions,
        "refused": [refused["Code"], refused["HostId"].split(":")[0]],
        "release": release == at[:-4] + "Z",
        "cancelled": cancelled,
        "expiring": expiring == [paid],
        "renewed": before < after,
        "again": core.ask("ecs", "DescribeInstances", within)["TotalCount"],
        "renewal": renewal["InstanceRenewAttributes"]["InstanceRenewAttribute"][0]["Duration"],
    }


def roles(port, region, key, secret, image):
    """The role steps of the cloud's best practices, and what a sub-account may."""
    core = Core(port, region, key, secret)
    trust = {
        "Statement": [{"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": ["ecs.aliyuncs.com"]}}],
        "Version": "1",
    }
    role = {"RoleName": "EcsRamRoleTest", "AssumeRolePolicyDocument": json.dumps(trust)}
    arn = core.ask("ram", "CreateRole", role)["Role"]["Arn"]
    policy = {"PolicyType": "System", "PolicyName": "AliyunKMSFullAccess", "RoleName": "EcsRamRoleTest"}
    core.ask("ram", "AttachPolicyToRole", policy)
    core.ask("ram", "CreateUser", {"UserName": "scripts"})
    made = core.ask("ram", "CreateAccessKey", {"UserName": "scripts"})["AccessKey"]
    user = Core(port, region, made["AccessKeyId"], made["AccessKeySecret"])
    before = user.refused("ecs", "DescribeInstances")
    full = {"PolicyType": "System", "PolicyName": "AliyunECSFullAccess", "UserName": "scripts"}
    core.ask("ram", "AttachPolicyToUser", full)
    instance = create(user, image)
    user.until(instance, "Stopped")
    attach = {"RamRoleName": "EcsRamRoleTest", "InstanceIds": json.dumps([instance])}
    passing = user.refused("ecs", "AttachInstanceRamRole", attach)
    attached = core.ask("ecs", "AttachInstanceRamRole", attach)["FailCount"]
    return {
        "arn": arn,
        "before": before,
        "passing": passing,
        "attached": attached,
        "who": user.ask("sts", "GetCallerIdentity")["IdentityType"],
        # The SDK takes the string to sign out of the message, and finds that the key's secret must be wrong.
        "secret": Core(port, region, key, secret + "x").refused("sts", "GetCallerIdentity"),
        "unknown": core.refused("ecs", "DescribeBandwidthLimitation"),
    }


def tea(port, region, key, secret, image):
    """The newer SDK: signs headers, ACS3-HMAC-SHA256."""
    from alibabacloud_ecs20140526 import models
    from alibabacloud_ecs20140526.client import Client
    from alibabacloud_tea_openapi.models import Config

    config = Config(
        access_key_id=key,
        access_key_secret=secret,
        endpoint=f"127.0.0.1:{port}",
        protocol="HTTP",
        region_id=region,
    )
    client = Client(config)

    def until(instance, status):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            request = models.DescribeInstancesRequest(region_id=region, instance_ids=json.dumps([instance]))
            found = client.describe_instances(request).body.instances.instance
            if found and found[0].status == status:
                return found[0]
            time.sleep(0.05)
        raise SystemExit(f"{instance} does not become {status}")

    disk = models.CreateInstanceRequestDataDisk(size=20, category="cloud_ssd")
    tag = models.CreateInstanceRequestTag(key="made by", value="Tea")
    request = models.CreateInstanceRequest(
        region_id=region, image_id=image, instance_type="ecs.g6.large", data_disk=[disk], tag=[tag]
    )
    instance = client.create_instance(request).body.instance_id
    until(instance, "Stopped")
    client.start_instance(models.StartInstanceRequest(instance_id=instance))
    seen = until(instance, "Running")
    try:
        client.delete_instance(models.DeleteInstanceRequest(instance_id=instance))
        refused = None
    except Exception as error:
        refused = [error.data.get("statusCode"), error.code]
    disks = client.describe_disks(models.DescribeDisksRequest(region_id=region, instance_id=instance))
    client.stop_instance(models.StopInstanceRequest(instance_id=instance, force_stop=True))
    until(instance, "Stopped")
    client.delete_instance(models.DeleteInstanceRequest(instance_id=instance, force=True))
    listed = client.describe_instances(models.DescribeInstancesRequest(region_id=region)).body
    return {
        "cpu": seen.cpu,
        "tag": [seen.tags.tag[0].tag_key, seen.tags.tag[0].tag_value],
        "refused": refused,
        "disks": sorted(disk.type for disk in disks.body.disks.disk),
        "left": listed.total_count,
    }


if __name__ == "__main__":
    story, port, region, key, secret, image = sys.argv[1:]
    print(json.dumps({"scripts": scripts, "roles": roles, "tea": tea}[story](int(port), region, key, secret, image)))
