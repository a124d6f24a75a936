"""Older clients: boto 2 with signatures of versions 4 and 2, and libcloud, as they are.

Started by a test as `PYTHON ec2_old.py PORT REGION KEY SECRET`; writes what it got as JSON, and fails where a client does.
"""

import json
import sys
import time

PATIENCE_S = 60


def until(state, seen):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if seen() == state:
            return
        time.sleep(0.05)
    raise SystemExit(f"it does not become {state}")


def boto2(port, key, secret, **how):
    from boto.ec2.connection import EC2Connection
    from boto.ec2.regioninfo import RegionInfo
    from boto.exception import EC2ResponseError

    class Version2(EC2Connection):
        def _required_auth_capability(self):
            return ["ec2"]

    kind = Version2 if how.pop("version") == 2 else EC2Connection
    region = RegionInfo(name="local", endpoint="127.0.0.1")
    connection = kind(key, secret, region=region, port=int(port), is_secure=False, **how)
    image = connection.get_all_images(owners=["self"])[0]
    reservation = connection.run_instances(image.id, instance_type="m1.small", user_data="hello")
    instance = reservation.instances[0]
    until("running", instance.update)
    instance.add_tag("Name", "old")
    found = connection.get_only_instances(filters={"tag:Name": "old", "instance-state-name": "running"})
    stop = connection.stop_instances([instance.id], force=True)
    until("stopped", instance.update)
    instance.modify_attribute("instanceType", "m1.large")
    kind = instance.get_attribute("instanceType")["instanceType"]
    instance.terminate()
    until("terminated", instance.update)
    try:
        connection.get_only_instances(["i-0000000a"])
        code = None
    except EC2ResponseError as error:
        code = [error.status, error.error_code, bool(error.request_id)]
    return [[one.id == instance.id for one in found], len(stop), kind, code]


def libcloud(port, key, secret, region):
    from libcloud.compute.providers import get_driver
    from libcloud.compute.types import NodeState, Provider

    driver = get_driver(Provider.EC2)(
        key, secret, host="127.0.0.1", port=int(port), secure=False, region=region
    )
    image = driver.list_images(ex_owner="self")[0]
    size = driver.list_sizes()[0]
    size.id = "m1.small"
    node = driver.create_node(name="cloud", image=image, size=size)

    def seen():
        return next(one for one in driver.list_nodes() if one.id == node.id)

    until(NodeState.RUNNING, lambda: seen().state)
    shown = seen()
    volumes = [one.size for one in driver.list_volumes(node=shown)]
    ended = driver.destroy_node(node)
    return [shown.name, len(shown.private_ips), volumes, ended]


def main(port, region, key, secret):
    told = {
        "boto": boto2(port, key, secret, version=4),
        "boto_path": boto2(port, key, secret, version=4, path="/services/Cloud"),
        "boto_2": boto2(port, key, secret, version=2),
        "libcloud": libcloud(port, key, secret, "us-east-1"),
        "libcloud_4": libcloud(port, key, secret, "eu-central-1"),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
