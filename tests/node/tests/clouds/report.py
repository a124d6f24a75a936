"""What a guest finds of itself, as a line of JSON on its console once cloud-init is done.

The argument says as JSON what to ask the metadata service for: `address`, `token` (where a token is asked for, the header
that says for how long, and the header that shows it), `walk` (folders that are walked to their ends), `ask` (single paths).
"""

import hashlib
import json
import pathlib
import signal
import subprocess
import sys
import urllib.error
import urllib.request

ASKED = json.loads(sys.argv[1])
USERS = ["debian", "ops"]
# What a script of the user's writes.
CONFIGURED = ["/etc/resolv.conf", "/etc/apt/sources.list.d/own.list", "/etc/systemd/timesyncd.conf.d/own.conf"]
DMI = ["sys_vendor", "product_name", "product_serial", "product_uuid", "chassis_asset_tag"]


def run(*words):
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()


def text(path):
    path = pathlib.Path(path)
    return path.read_text().strip() if path.exists() else None


def ask(path, method="GET", headers={}):
    """The status, and what is there."""
    request = urllib.request.Request(ASKED["address"] + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def walk(folder, headers, found):
    """Asks for all that listings name, as cloud-init does."""
    status, listing = ask(folder, headers=headers)
    found[folder] = status
    for name in listing.split("\n") if status == 200 else []:
        if name.endswith("/"):
            walk(folder + name, headers, found)
        elif "=" in name:
            walk(folder + name.split("=")[0] + "/", headers, found)
        else:
            found[folder + name] = ask(folder + name, headers=headers)[0]


def metadata():
    path, life, shown = ASKED["token"]
    status, token = ask(path, "PUT", {life: "60"})
    headers = {shown: token} if status == 200 else {}
    found = {}
    for folder in ASKED["walk"]:
        walk(folder, headers, found)
    for path in ASKED["ask"]:
        found[path] = ask(path, headers=headers)[0]
    first = (ASKED["walk"] + ASKED["ask"])[0]
    return {
        "token": status,
        "without_token": ask(first)[0],
        "with_a_wrong_token": ask(first, headers={shown: "wrong"})[0],
        "found": found,
    }


def config_drive():
    """Its files by their hashes, as Linux shows them."""
    device = pathlib.Path("/dev/disk/by-label/config-2")
    if not device.exists():
        return None
    folder = pathlib.Path("/run/config-drive")
    folder.mkdir()
    run("mount", "-o", "ro", str(device), str(folder))
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def report():
    status = run("cloud-init", "status", "--wait", "--long")
    log = text("/var/log/cloud-init.log") or ""
    return {
        "status": status.splitlines()[0],
        "result": json.loads(text("/run/cloud-init/result.json"))["v1"],
        "complaints": [line for line in log.splitlines() if "[WARNING]" in line or "[ERROR]" in line],
        "instance_id": run("cloud-init", "query", "instance_id"),
        "host_name": run("hostname"),
        "keys": {user: text(f"/home/{user}/.ssh/authorized_keys") for user in USERS},
        "configured": [text(path) for path in CONFIGURED],
        "dmi": {name: text("/sys/class/dmi/id/" + name) for name in DMI},
        "addresses": run("hostname", "--all-ip-addresses"),
        "metadata": metadata(),
        "config_drive": config_drive(),
    }


# Nobody else is to print in the midst of it: not the kernel, not systemd.
run("dmesg", "--console-level", "1")
run("kill", "-" + str(signal.SIGRTMIN + 21), "1")
with open("/dev/ttyS0", "w") as console:
    console.write("\nREPORT " + json.dumps(report()) + "\n")
