"""What Alibaba Cloud's own SDK says of what is refused: each request by the vendor's class for it, each refusal as the SDK's
exception has it.

Started by the test `clients` as `PYTHON refusals.py PORT REGION`, with requests as JSON on its standard input: each has `key`,
`product`, `action`, `asked` and `title`. Writes for each, as JSON, the status and the code.
"""

import json
import sys
from importlib import import_module

from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.client import AcsClient

# What is of networks was ECS's before it was VPC's.
MODULES = {
    "ecs": "aliyunsdkecs.request.v20140526",
    "ram": "aliyunsdkram.request.v20150501",
    "sts": "aliyunsdksts.request.v20150401",
}


def refused(port, region, case):
    action = case["action"]
    request = getattr(import_module(f"{MODULES[case['product']]}.{action}Request"), f"{action}Request")()
    request.set_endpoint("127.0.0.1")
    request.set_protocol_type("http")
    request.set_accept_format("json")
    for name, value in case["asked"]:
        request.add_query_param(name, value)
    try:
        AcsClient(*case["key"], region, port=port, auto_retry=False).do_action_with_exception(request)
    except ServerException as error:
        return [error.get_http_status(), error.get_error_code()]
    return [200, ""]


port, region = sys.argv[1:]
print(json.dumps([refused(int(port), region, case) for case in json.load(sys.stdin)]))
