"""Clouds' own clients of the metadata service, and what each of them gets. As a program it writes what the one that it is told
gets, as JSON; what it needs is in `requirements.txt`.
"""

import json
import sys


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


if __name__ == "__main__":
    print(json.dumps(CLIENTS[sys.argv[1]](), default=str))
