"""Asks through the vendor's own SDK, unmodified: a request a line, an answer a line, as JSON.

A request is `{"key": [ID, SECRET, TOKEN or null], "product": "ecs", "action": "StartInstance", "set": {"InstanceId": "i-1"}}`.
Its answer is the HTTP status, and what was answered; of a refusal, its code as the SDK's exception has it.

    PYTHON ask.py PORT REGION
"""

import json
import sys
from importlib import import_module

from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.credentials import AccessKeyCredential, StsTokenCredential
from aliyunsdkcore.client import AcsClient

PORT, REGION = int(sys.argv[1]), sys.argv[2]
MODULES = {
    "ecs": "aliyunsdkecs.request.v20140526",
    "ram": "aliyunsdkram.request.v20150501",
    "sts": "aliyunsdksts.request.v20150401",
}


def request_of(asked):
    action = asked["action"]
    request = getattr(import_module(f"{MODULES[asked['product']]}.{action}Request"), f"{action}Request")()
    request.set_endpoint("127.0.0.1")
    request.set_protocol_type("http")
    request.set_accept_format("json")
    for name, value in asked["set"].items():
        getattr(request, f"set_{name}")(value)
    return request


def ask(asked):
    id, secret, token = asked["key"]
    credential = StsTokenCredential(id, secret, token) if token else AccessKeyCredential(id, secret)
    # The host's CPU may be emulated.
    client = AcsClient(region_id=REGION, credential=credential, port=PORT, auto_retry=False, timeout=120)
    try:
        return [200, json.loads(client.do_action_with_exception(request_of(asked)))]
    except ServerException as error:
        return [error.get_http_status(), error.get_error_code()]


for line in sys.stdin:
    print(json.dumps(ask(json.loads(line))), flush=True)
