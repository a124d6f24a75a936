"""What schemathesis cannot know of a host: which ids there are, and what a policy says. Without, most requests end where the
first id is looked up.

Loaded by schemathesis, which `cargo xtask test contract` starts.
"""

import json
import os
import re
import urllib.error
import urllib.request
import zlib

import schemathesis

# Fields of bodies that refer to something, with the list that has it.
LISTS = {
    "image": "images",
    "instance": "instances",
    "key_pair": "key-pairs",
    "network_interface": "network-interfaces",
    "snapshot": "snapshots",
    "subnet": "subnets",
    "volume": "volumes",
    "vpc": "vpcs",
    "security_group": "security-groups",
    "security_groups": "security-groups",
    "instance_type": "instance-types",
    "role": "roles",
    "user": "users",
}
# Texts that have a language of their own.
DOCUMENTS = {
    "document": '{"Version":"1","Statement":[{"Effect":"Allow","Action":"bothy:List*","Resource":"*"}]}',
    "policy": '{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}',
    "trust_policy": '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
    '"Principal":{"Service":["ecs.aliyuncs.com"]}}]}',
}
# What of a launch must fit the rest of it.
APART = ("private_address", "security_groups")
# What schemathesis makes up to be wrong stays wrong: only what has the form is replaced.
REFERENCE = re.compile(r"[a-z]+-[0-9a-f]{8}|[A-Za-z0-9._-]{1,64}")
DOCUMENT = re.compile(r"[ \t\n\r]*\{[\s\S]*\}[ \t\n\r]*")
# Of this many, one stays what it was: what does not exist is a case too.
STAYS = 6


def ask(path, body=None):
    """What the API answers, as the operator; `None` if it refuses."""
    request = urllib.request.Request(f"{os.environ['BOTHY_CONTRACT_URL']}/v1/{path}")
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError:
        return None


# What is made where there is none: other requests delete whatever they find.
MADE = {
    "instances": lambda: {"image": first("images"), "instance_type": "m1.small", "subnet": first("subnets")},
    "key-pairs": lambda: {"name": "real"},
    "network-interfaces": lambda: {"subnet": first("subnets")},
    "roles": lambda: {"name": "real", "trust_policy": DOCUMENTS["trust_policy"]},
    "security-groups": lambda: {"name": "real", "vpc": first("vpcs")},
    "snapshots": lambda: {"volume": first("volumes")},
    "subnets": lambda: next(
        ({"vpc": vpc["id"], "cidr": vpc["cidr"]} for vpc in ask("vpcs")["items"] if vpc["is_default"]), None
    ),
    "users": lambda: {"name": "real"},
    "volumes": lambda: {"size_gib": 1},
    "vpcs": lambda: {"cidr": "10.77.0.0/16"},
}


def there_are(kind):
    """The ids, or the names of what goes by its name."""
    items = ask(kind)["items"]
    if not items and kind in MADE:
        wish = MADE[kind]()
        items = ask(kind)["items"] if wish and ask(kind, wish) else []
    return [item["name"] if kind == "key-pairs" else item.get("id", item.get("name")) for item in items]


def first(kind):
    """One that is there."""
    return next(iter(there_are(kind)), None)


def real(name, text):
    """Something real in place of a text. The same text leads to the same one, so that a run can be repeated."""
    number = zlib.crc32(text.encode("utf-8", "surrogatepass"))
    if number % STAYS == 0:
        return text
    if name in DOCUMENTS and DOCUMENT.fullmatch(text):
        return DOCUMENTS[name]
    if name in LISTS and REFERENCE.fullmatch(text):
        known = there_are(LISTS[name])
        return known[number % len(known)] if known else text
    return text


def filled(value, name=None):
    """The value with what is real where it can be."""
    if isinstance(value, dict):
        return {key: filled(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, name) for inner in value]
    return real(name, value) if isinstance(value, str) else value


@schemathesis.hook
def before_call(context, case, kwargs):
    case.body = body = filled(case.body)
    if not isinstance(body, dict) or not isinstance(body.get("instance_type"), str) or "image" not in body:
        return
    # A launch whose parts do not go together goes no further than that.
    if zlib.crc32(repr(body).encode("utf-8", "surrogatepass")) % 2 == 0:
        for name in APART:
            body.pop(name, None)
        body["subnet"] = body.get("subnet") or first("subnets")
