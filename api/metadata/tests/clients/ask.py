"""Clouds' own clients against the metadata service, as in a guest: in a network namespace of its own, whose loopback device
has the metadata addresses, with a relay from port 80 to the unix socket of an interface, which is the VMM's part in life.

Started by the test `clients` as `unshare -n PYTHON ask.py CLIENT SOCKET`; writes what the client got as JSON.
"""

import json
import socket
import subprocess
import sys
import threading

ADDRESSES = ["169.254.169.254", "100.100.100.200"]


def relay(listener, path):
    def copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            # One of the two has gone; the other sees it at its next word.
            pass

    while True:
        guest, _ = listener.accept()
        service = socket.socket(socket.AF_UNIX)
        service.connect(path)
        for pair in [(guest, service), (service, guest)]:
            threading.Thread(target=copy, args=pair, daemon=True).start()


def botocore():
    from botocore.utils import IMDSRegionProvider, InstanceMetadataFetcher
    from botocore.session import Session

    fetcher = InstanceMetadataFetcher(timeout=1, num_attempts=1)
    region = IMDSRegionProvider(Session()).provide()
    return {"credentials": fetcher.retrieve_iam_role_credentials(), "region": region}


def boto():
    from boto.utils import get_instance_identity, get_instance_metadata, get_instance_userdata

    # It looks values up when they are asked for.
    def plain(value):
        return {name: plain(value[name]) for name in value} if isinstance(value, dict) else value

    metadata = plain(get_instance_metadata(timeout=2, num_retries=1))
    document = get_instance_identity(timeout=2, num_retries=1)["document"]
    return {"metadata": metadata, "user_data": get_instance_userdata(), "document": document}


def alibaba(only_tokens):
    from alibabacloud_credentials.provider import EcsRamRoleCredentialsProvider

    provider = EcsRamRoleCredentialsProvider(disable_imds_v1=only_tokens, async_update_enabled=False)
    got = provider.get_credentials()
    return {
        "id": got.get_access_key_id(),
        "secret": got.get_access_key_secret(),
        "token": got.get_security_token(),
    }


def aliyun_core():
    from aliyunsdkcore.auth.credentials import EcsRamRoleCredential
    from aliyunsdkcore.auth.signers.ecs_ram_role_signer import EcsRamRoleSigner

    signer = EcsRamRoleSigner(EcsRamRoleCredential("EcsRamRoleTest"))
    signer._check_session_credential()
    id, secret, token = signer._session_credential
    return {"id": id, "secret": secret, "token": token}


def huawei():
    from huaweicloudsdkcore.auth.internal import MetadataAccessor

    got = MetadataAccessor().get_credential()
    return {"id": got.access, "secret": got.secret, "token": got.security_token}


CLIENTS = {
    "botocore": botocore,
    "boto": boto,
    "alibaba": lambda: alibaba(False),
    "alibaba with tokens only": lambda: alibaba(True),
    "aliyun core": aliyun_core,
    "huawei": huawei,
}


def main():
    client, path = sys.argv[1:]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in ADDRESSES:
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
        listener = socket.create_server((address, 80))
        threading.Thread(target=relay, args=(listener, path), daemon=True).start()
    print(json.dumps(CLIENTS[client](), default=str))


main()
