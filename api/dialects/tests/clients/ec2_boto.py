"""boto 2.49 with version 2007-03-01: all operations by Query, signed by version 1; and version 0, by hand.

Started by a test as `PYTHON ec2_boto.py PORT FOLDER ACCOUNT KEY SECRET`. Writes what it got as JSON, and fails where boto does.
"""

import base64
import hashlib
import hmac
import json
import sys
import time
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

from boto.ec2.connection import EC2Connection
from boto.ec2.regioninfo import RegionInfo
from boto.exception import EC2ResponseError

VERSION = "2007-03-01"


class Counting(EC2Connection):
    """boto with signatures of its day, which notes what it asks."""

    APIVersion = VERSION
    asked = set()

    def _required_auth_capability(self):
        return ["sign-v1"]

    def make_request(self, action, params=None, path="/", verb="GET"):
        self.asked.add(action)
        return super().make_request(action, params, path, verb)


def connected(port, key, secret):
    region = RegionInfo(name="local", endpoint="127.0.0.1")
    return Counting(key, secret, is_secure=False, port=int(port), region=region)


def refused(call, *values, **more):
    try:
        call(*values, **more)
    except EC2ResponseError as error:
        return [error.status, error.error_code]
    return None


def until(condition, what):
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.05)


def instances(ec2, ids=None):
    return [one for each in ec2.get_all_instances(ids) for one in each.instances]


def keys(ec2):
    pair = ec2.create_key_pair("boto")
    return {
        "key": [pair.material.split("\n")[0], len(pair.fingerprint.split(":"))],
        "known": ec2.get_all_key_pairs(["boto"])[0].fingerprint == pair.fingerprint,
        "key_refused": [
            refused(ec2.create_key_pair, "boto"),
            refused(ec2.get_all_key_pairs, ["none"]),
            refused(ec2.create_key_pair, ""),
        ],
    }


def groups(ec2, account):
    ec2.create_security_group("front", "what all see")
    allow = ec2.authorize_security_group_deprecated
    forbid = ec2.revoke_security_group_deprecated
    ssh = {"ip_protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_ip": "192.0.2.1/32"}
    pair = {"src_security_group_name": "front", "src_security_group_owner_id": account}
    allow("front", **ssh)
    allow("front", **pair)
    shown = ec2.get_all_security_groups(["front"])[0]
    rules = [[rule.ip_protocol, rule.from_port, rule.to_port, [str(grant) for grant in rule.grants]] for rule in shown.rules]
    told = {
        "rules": [[*rule[:3], [grant.replace(account, "ACCOUNT") for grant in rule[3]]] for rule in rules],
        "group_refused": [
            refused(allow, "front", **ssh),
            refused(allow, "front", **pair),
            refused(allow, "front", **ssh, **pair),
            refused(allow, "front", **{**ssh, "cidr_ip": "here"}),
            refused(allow, "none", **ssh),
            refused(ec2.create_security_group, "front", "again"),
            refused(ec2.create_security_group, "default", "again"),
            refused(ec2.delete_security_group, "default"),
        ],
    }
    forbid("front", **ssh)
    forbid("front", **pair)
    told["empty"] = ec2.get_all_security_groups(["front"])[0].rules == []
    told["not_granted"] = refused(forbid, "front", **ssh)
    return told


def images(ec2):
    location = {"ImageLocation": "bucket/web.img"}
    image = ec2.get_object("RegisterImage", location, boto_image(), verb="POST").id
    until(lambda: ec2.get_all_images([image])[0].state == "available", "the image to be available")
    change = ec2.modify_image_attribute
    change(image, "launchPermission", "add", groups="all")
    change(image, "launchPermission", "add", user_ids=["123456789012"])
    shown = ec2.get_image_attribute(image).attrs
    public = [one.id for one in ec2.get_all_images(executable_by=["all"])]
    ec2.reset_image_attribute(image)
    return image, {
        "permissions": {name: list(values) for name, values in shown.items()},
        "public": public == [image],
        "reset": ec2.get_image_attribute(image).attrs,
        "image_refused": [
            refused(change, image, "kernel", "add", user_ids=["123456789012"]),
            refused(change, image, "launchPermission", "give", user_ids=["123456789012"]),
            refused(change, image, "launchPermission", "add", user_ids=["me"]),
            refused(ec2.get_all_images, ["ami-zzzz"]),
            refused(ec2.get_all_images, ["ami-00000000"]),
            refused(ec2.get_all_images, owners=["somebody"]),
            refused(ec2.get_all_images, filters={"name": "x"}),
        ],
    }


def boto_image():
    from boto.ec2.image import Image

    return Image


def life(ec2, image, account):
    launch = {"instance_type": None, "key_name": "boto", "security_groups": ["front"]}
    made = ec2.run_instances(image, 1, 2, user_data=b"hello", **launch)
    ids = [one.id for one in made.instances]
    until(lambda: {one.state for one in instances(ec2, ids)} == {"running"}, "all to run")
    one = instances(ec2, ids)[0]
    attribute = {"ImageId": image, "Attribute": "productCodes", "ProductCode.1": "774F4FF8"}
    coded = ec2.get_status("ModifyImageAttribute", attribute, verb="POST")
    run = ec2.run_instances
    told = {
        "launched": [len(ids), [one.ami_launch_index for one in made.instances], [group.id for group in made.groups]],
        "running": [one.state_code, bool(one.public_dns_name), one.key_name],
        "console": isinstance(ec2.get_console_output(ids[0]).output, (bytes, str)),
        "coded": coded,
        "confirmed": confirmed(ec2, ids[0]),
        "rebooted": ec2.reboot_instances(ids),
        "launch_refused": [
            refused(run, image),
            refused(run, image, 2, 1, instance_type=None),
            refused(run, image, 0, 0, instance_type=None),
            refused(run, image, 1, 1, instance_type=None, user_data=b"x" * 16385),
            refused(run, image, 1, 1, instance_type=None, key_name="none"),
            refused(run, image, 1000, 1000, instance_type=None),
        ],
        "in_use": refused(ec2.delete_security_group, "front"),
    }
    until(lambda: {one.state for one in instances(ec2, ids)} == {"running"}, "all to be rebooted")
    told["ended"] = sorted(one.id for one in ec2.terminate_instances(ids)) == sorted(ids)
    until(lambda: {one.state for one in instances(ec2, ids)} == {"terminated"}, "all to end")
    told["again"] = [one.state for one in ec2.terminate_instances(ids[:1])]
    return told


def confirmed(ec2, instance):
    """Old clients of Query read `result`."""
    answer = ec2.make_request(
        "ConfirmProductInstance", {"ProductCode": "none", "InstanceId": instance}
    ).read()
    return b"<result>false</result>" in answer and b"ownerId" not in answer


def by_hand(port, key, secret, action="DescribeImages", version="0", wrong=False, **more):
    """A request of signature 0: of the action and the time, nothing else."""
    now = more.pop("now", time.time())
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    pairs = {"Action": action, "Version": VERSION, "AWSAccessKeyId": key, "SignatureVersion": version, "Timestamp": stamp, **more}
    text = action + stamp
    if version == "1":
        text = "".join(name + pairs[name] for name in sorted(pairs, key=str.lower))
    digest = bytearray(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest())
    digest[0] ^= wrong
    pairs["Signature"] = base64.b64encode(bytes(digest)).decode()
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/?{urlencode(pairs)}") as answer:
            return [answer.status, answer.read().decode().count("ec2.amazonaws.com/doc/2007-03-01/")]
    except HTTPError as error:
        body = error.read().decode()
        return [error.code, body.split("<Code>")[1].split("</Code>")[0]]


def main():
    port, _folder, account, key, secret = sys.argv[1:]
    ec2 = connected(port, key, secret)
    result = {**keys(ec2), **groups(ec2, account)}
    image, told = images(ec2)
    result.update(told)
    result.update(life(ec2, image, account))
    ec2.delete_key_pair("boto")
    ec2.delete_security_group("front")
    ec2.deregister_image(image)
    result["unavailable"] = refused(ec2.run_instances, image, 1, 1, instance_type=None)
    hand = lambda **more: by_hand(port, key, secret, **more)
    result["by_hand"] = {
        "0": hand(),
        "1": hand(version="1"),
        "flipped": [hand(wrong=True), hand(version="1", wrong=True)],
        "late": hand(now=time.time() - 1000),
        "empty": hand(**{"Owner.1": "", "ImageId.1": ""}),
        "bare": hand(Owner="self"),
        "unknown": hand(MaxResults="5"),
        "both": hand(Expires="2030-01-01T00:00:00Z"),
        "no_key": by_hand(port, "AKIAIOSFODNN7EXAMPLE", secret),
        "no_action": hand(action="DescribeVolumes"),
    }
    result["operations"] = sorted(ec2.asked)
    json.dump(result, sys.stdout)


main()
