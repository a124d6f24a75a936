"""Alibaba Cloud's SDK of 2016 against the API, as the best-practice scripts of its time use it: create, hello, release, renew.

It is Python 2, so a copy of its core is taken to Python 3 first: by what 2to3 does, and where text has become something else than
bytes. What it puts on the wire stays what it was: GET, HMAC-SHA1, `Format=None` where no format is asked for.

Started by the test `old_clients` as `PYTHON alibaba_2016.py PORT REGION KEY SECRET IMAGE`; writes what it got as JSON.
"""

import importlib.util
import json
import pathlib
import re
import shutil
import sys
import tempfile
import time
from importlib import import_module

PATIENCE_S = 60

# What 2to3 leaves of Python 2.
EDITS = [
    (r"(?m)^\s*sys\.path\.insert\(0, ?parent_?dir\)$", ""),
    (r"(?m)^from acs_exception", "from ..acs_exception"),
    (r"hmac\.new\((\w+), source,", r"hmac.new(\1.encode(), source.encode(),"),
    (r"base64\.encodestring\((.*)\)\.strip\(\)", r"base64.encodebytes(\1).strip().decode()"),
    (r"encodeStr\.decode\([^)]*\)\.encode\('utf8'\)", "encodeStr"),
]


def to_python_3(folder):
    """Copies the SDK's core to a folder, and makes Python 3 of it there."""
    from fissix.refactor import RefactoringTool, get_fixers_from_package

    core = pathlib.Path(importlib.util.find_spec("aliyunsdkcore").origin).parent
    copy = folder / "aliyunsdkcore"
    shutil.copytree(core, copy, ignore=shutil.ignore_patterns("__pycache__"))
    tool = RefactoringTool(get_fixers_from_package("fissix.fixes"))
    for path in copy.rglob("*.py"):
        text = str(tool.refactor_string(path.read_text() + "\n", str(path)))
        for pattern, instead in EDITS:
            text = re.sub(pattern, instead, text)
        path.write_text(text)
    for name in [name for name in sys.modules if name.split(".")[0] == "aliyunsdkcore"]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()


class Sdk:
    """As the scripts do: `do_action` gives the body whatever the status is, and never fails for an error of the API's."""

    def __init__(self, port, region, key, secret):
        from aliyunsdkcore import client
        from aliyunsdkcore.profile import region_provider

        # Instead of its list of the cloud's endpoints.
        region_provider.find_product_domain = lambda region, product: "127.0.0.1"
        self.client = client.AcsClient(key, secret, region, port=port)

    def body(self, action, format, parameters):
        module = import_module(f"aliyunsdkecs.request.v20140526.{action}Request")
        request = getattr(module, f"{action}Request")()
        if format:
            request.set_accept_format(format)
        for name, value in parameters.items():
            getattr(request, f"set_{name}")(value)
        return self.client.do_action(request).decode()

    def ask(self, action, **parameters):
        return json.loads(self.body(action, "json", parameters))

    def instances(self, **wanted):
        return self.ask("DescribeInstances", **wanted)["Instances"]["Instance"]

    def until(self, instance, status):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            found = self.instances(InstanceIds=json.dumps([instance]))
            if found and found[0]["Status"] == status:
                return found[0]
            time.sleep(0.05)
        raise SystemExit(f"{instance} does not become {status}")


def scripts(sdk, image):
    group = sdk.ask("CreateSecurityGroup", Description="of the scripts")["SecurityGroupId"]

    def create(**more):
        about = {"ImageId": image, "SecurityGroupId": group, "InstanceType": "ecs.s2.large", "IoOptimized": "optimized"}
        return sdk.ask("CreateInstance", SystemDiskCategory="cloud_ssd", **about, **more)["InstanceId"]

    regions = [item["RegionId"] for item in sdk.ask("DescribeRegions")["Regions"]["Region"]]
    instance = create()
    sdk.until(instance, "Stopped")
    sdk.ask("StartInstance", InstanceId=instance)
    sdk.until(instance, "Running")
    hello = [one["InstanceId"] for one in sdk.instances()]
    refused = sdk.ask("DeleteInstance", InstanceId=instance, Force=False)
    at = time.strftime("%Y-%m-%dT%H:%M:01Z", time.gmtime(time.time() + 7200))
    sdk.ask("ModifyInstanceAutoReleaseTime", InstanceId=instance, AutoReleaseTime=at)
    release = sdk.until(instance, "Running")["AutoReleaseTime"]
    sdk.ask("ModifyInstanceAutoReleaseTime", InstanceId=instance)
    cancelled = sdk.until(instance, "Running")["AutoReleaseTime"]
    sdk.ask("StopInstance", InstanceId=instance, ForceStop=True)
    sdk.until(instance, "Stopped")
    sdk.ask("DeleteInstance", InstanceId=instance, Force=True)

    paid = create(Period=1, InstanceChargeType="PrePaid")
    before = sdk.until(paid, "Stopped")["ExpiredTime"]

    def day(days):
        return time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(time.time() + days * 86400))

    within = {
        "Filter3Key": "ExpiredStartTime",
        "Filter3Value": day(20),
        "Filter4Key": "ExpiredEndTime",
        "Filter4Value": day(40),
        "PageNumber": 1,
        "PageSize": 100,
    }
    expiring = [one["InstanceId"] for one in sdk.instances(**within)]
    sdk.ask("RenewInstance", InstanceId=paid, Period="1")
    after = sdk.until(paid, "Stopped")["ExpiredTime"]
    sdk.ask("ModifyInstanceAutoRenewAttribute", InstanceId=paid, Duration=1, AutoRenew=True)
    renewal = sdk.ask("DescribeInstanceAutoRenewAttribute", InstanceId=paid)
    return {
        "regions": regions,
        "hello": hello == [instance],
        "refused": refused["Code"],
        "keys": sorted(refused),
        "release": release == at[:-4] + "Z",
        "cancelled": cancelled,
        "expiring": expiring == [paid],
        "renewed": before < after,
        "again": sdk.instances(**within),
        "renewal": renewal["InstanceRenewAttributes"]["InstanceRenewAttribute"],
        "paid": paid,
        "unformatted": sdk.body("DescribeRegions", None, {}).split("?>")[0],
    }


if __name__ == "__main__":
    port, region, key, secret, image = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        to_python_3(pathlib.Path(folder))
        print(json.dumps(scripts(Sdk(int(port), region, key, secret), image)))
