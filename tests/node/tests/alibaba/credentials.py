#!/usr/bin/python3
"""The user data of an instance with a role: prints on the console what its metadata service gives it, in both modes."""

import json
import signal
import subprocess
import urllib.request

FOLDER = "meta-data/ram/security-credentials/"


def ask(path, method="GET", headers={}):
    address = "http://100.100.100.200/latest/" + path
    request = urllib.request.Request(address, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


role = ask(FOLDER).strip()
token = ask("api/token", "PUT", {"X-aliyun-ecs-metadata-token-ttl-seconds": "60"})
found = {
    "role": role,
    "plain": json.loads(ask(FOLDER + role)),
    "by_token": json.loads(ask(FOLDER + role, headers={"X-aliyun-ecs-metadata-token": token})),
}
# Nobody else is to print in the midst of it: not the kernel, not systemd.
subprocess.run(["dmesg", "--console-level", "1"])
subprocess.run(["kill", "-" + str(signal.SIGRTMIN + 21), "1"])
with open("/dev/ttyS0", "w") as console:
    console.write("\nCREDENTIALS " + json.dumps(found) + "\n")
# At its end it says that it ends.
subprocess.run(["dmesg", "--console-level", "7"])
