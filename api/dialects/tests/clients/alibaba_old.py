"""The SDK of 2016 that Alibaba Cloud's best-practice scripts were written for (core and ecs 2.1.2) against the API.

It is Python 2's. Started by the test `clients` as `PYTHON alibaba_old.py FOLDER PORT REGION KEY SECRET IMAGE`, with what pip
unpacked in FOLDER, it is first brought to Python 3 there: by lib2to3, and by the edits below, none of which changes what is
sent. Writes what it got as JSON.
"""

import json
import os
import sys
import time
import warnings

PATIENCE_S = 60

# What lib2to3 does not know: in which file of the core, what stands there, and what is to.
EDITS = {
    "auth/sha_hmac1.py": [
        ("hmac.new(secret, source, ", "hmac.new(secret.encode(), source.encode(), "),
        ("base64.encodestring(h.digest()).strip()", "base64.encodebytes(h.digest()).strip().decode()"),
    ],
    "http/http_response.py": [("from http_request import", "from .http_request import")],
    "profile/region_provider.py": [("from acs_exception", "from ..acs_exception")],
    "utils/parameter_helper.py": [
        (".decode('cp936').encode('utf8')", ""),
        (".decode(sys.stdin.encoding).encode('utf8')", ""),
    ],
}


def convert(folder):
    """Brings the core to Python 3."""
    core = os.path.join(folder, "aliyunsdkcore")
    warnings.simplefilter("ignore")
    from lib2to3.refactor import RefactoringTool, get_fixers_from_package

    tool = RefactoringTool(get_fixers_from_package("lib2to3.fixes"))
    for place, _, names in os.walk(core):
        for name in (name for name in names if name.endswith(".py")):
            path = os.path.join(place, name)
            with open(path, encoding="utf-8") as file:
                lines = file.read().expandtabs(4).splitlines(keepends=True)
            # Its modules would hide Python's own of the same names.
            text = "".join(line for line in lines if not line.startswith("sys.path.insert("))
            text = str(tool.refactor_string(text.rstrip() + "\n", path))
            for before, after in EDITS.get(os.path.relpath(path, core), []):
                text = text.replace(before, after)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)


class Old:
    def __init__(self, port, region, key, secret):
        from aliyunsdkcore import client
        from aliyunsdkcore.profile import region_provider

        # It knows the regions of 2016 only.
        region_provider.find_product_domain = lambda region, product: "127.0.0.1"
        self.client = client.AcsClient(key, secret, region, port=port)

    def ask(self, name, parameters=None, accept="json"):
        from importlib import import_module

        module = import_module(f"aliyunsdkecs.request.v20140526.{name}Request")
        request = getattr(module, f"{name}Request")()
        if accept is not None:
            request.set_accept_format(accept)
        for setter, value in (parameters or {}).items():
            getattr(request, f"set_{setter}")(value)
        # Whatever it is: this one raises nothing where the API refuses.
        text = self.client.do_action(request)
        return json.loads(text) if accept is not None else text.decode()

    def until(self, instance, status):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            found = self.ask("DescribeInstances", {"InstanceIds": json.dumps([instance])})["Instances"]["Instance"]
            if found and found[0]["Status"] == status:
                return found[0]
            time.sleep(0.05)
        raise SystemExit(f"{instance} does not become {status}")


def day(days):
    return time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(time.time() + days * 86400))


def story(old, image):
    """The four scripts, as they call it: create, look, release, renew."""
    group = old.ask("CreateSecurityGroup", {"SecurityGroupName": "scripts"})["SecurityGroupId"]
    machine = {
        "ImageId": image,
        "SecurityGroupId": group,
        "InstanceType": "ecs.s2.large",
        "IoOptimized": "optimized",
        "SystemDiskCategory": "cloud_ssd",
    }
    instance = old.ask("CreateInstance", machine)["InstanceId"]
    old.until(instance, "Stopped")
    old.ask("StartInstance", {"InstanceId": instance})
    old.until(instance, "Running")
    refused = old.ask("DeleteInstance", {"InstanceId": instance})
    at = time.strftime("%Y-%m-%dT%H:%M:01Z", time.gmtime(time.time() + 7200))
    old.ask("ModifyInstanceAutoReleaseTime", {"InstanceId": instance, "AutoReleaseTime": at})
    release = old.until(instance, "Running")["AutoReleaseTime"]
    old.ask("ModifyInstanceAutoReleaseTime", {"InstanceId": instance})
    cancelled = old.until(instance, "Running")["AutoReleaseTime"]
    old.ask("StopInstance", {"InstanceId": instance, "ForceStop": False})
    old.until(instance, "Stopped")
    old.ask("DeleteInstance", {"InstanceId": instance})

    paid = old.ask("CreateInstance", {**machine, "Period": 1, "InstanceChargeType": "PrePaid"})["InstanceId"]
    before = old.until(paid, "Stopped")["ExpiredTime"]
    expiring = {
        "Filter3Key": "ExpiredStartTime",
        "Filter3Value": day(20),
        "Filter4Key": "ExpiredEndTime",
        "Filter4Value": day(40),
        "SecurityGroupId": group,
        "PageNumber": 1,
        "PageSize": 100,
    }
    found = old.ask("DescribeInstances", expiring)
    old.ask("RenewInstance", {"InstanceId": paid, "Period": "1"})
    after = old.until(paid, "Stopped")["ExpiredTime"]
    old.ask("ModifyInstanceAutoRenewAttribute", {"InstanceId": paid, "Duration": 1, "AutoRenew": True})
    renewal = old.ask("DescribeInstanceAutoRenewAttribute", {"InstanceId": paid})
    # Without a format it asks for one that is called None.
    plain = old.ask("DescribeRegions", accept=None)
    return {
        "refused": refused["Code"],
        "release": release == at[:-4] + "Z",
        "cancelled": cancelled,
        "expiring": [item["InstanceId"] for item in found["Instances"]["Instance"]] == [paid],
        "renewed": before < after,
        "again": old.ask("DescribeInstances", expiring)["TotalCount"],
        "renewal": renewal["InstanceRenewAttributes"]["InstanceRenewAttribute"][0]["AutoRenewEnabled"],
        "plain": "<RegionId>local</RegionId>" in plain,
    }


if __name__ == "__main__":
    folder, port, region, key, secret, image = sys.argv[1:]
    convert(folder)
    sys.path.insert(0, folder)
    print(json.dumps(story(Old(int(port), region, key, secret), image)))
