"""zeep by the WSDL that the service tells: all operations of 2007-03-01, signed with a real certificate.

Started by a test as `PYTHON ec2_soap.py PORT FOLDER ACCOUNT`; in the folder are `first.pem` and `first.key`, of that account's
certificate. Each answer must be valid by the WSDL's schema. Writes what it got as JSON, and fails where zeep does.
"""

import base64
import json
import sys

import ec2_signed
from ec2_signed import until
from zeep.exceptions import Fault


def refused(call, **parameters):
    try:
        call(**parameters)
    except Fault as fault:
        return fault.code
    return None


def ids(instances):
    return [one.instanceId for one in instances.item]


def items(**fields):
    """The items of a list, each with one element: `items(instanceId=[...])`."""
    ((name, values),) = fields.items()
    return {"item": [{name: value} for value in values]}


def keys(ec2):
    made = ec2.CreateKeyPair(keyName="mine")
    known = ec2.DescribeKeyPairs(keySet=items(keyName=["mine"])).keySet.item[0]
    return {
        "key": [made.keyMaterial.split("\n")[0], len(made.keyFingerprint.split(":"))],
        "key_known": known.keyFingerprint == made.keyFingerprint,
        "key_refused": [
            refused(ec2.CreateKeyPair, keyName="mine"),
            refused(ec2.DescribeKeyPairs, keySet=items(keyName=["none"])),
        ],
    }


def permission(protocol, ports, groups=(), ranges=()):
    return {
        "item": [
            {
                "ipProtocol": protocol,
                "fromPort": ports[0],
                "toPort": ports[1],
                "groups": {"item": [{"userId": user, "groupName": name} for user, name in groups]},
                "ipRanges": items(cidrIp=ranges),
            }
        ]
    }


def told(group):
    return [
        [one.ipProtocol, one.fromPort, one.toPort]
        + [pair.groupName for pair in (one.groups.item if one.groups else [])]
        + [source.cidrIp for source in (one.ipRanges.item if one.ipRanges else [])]
        for one in group.ipPermissions.item
    ]


def groups(ec2, account):
    ec2.CreateSecurityGroup(groupName="web", groupDescription="front")
    ec2.CreateSecurityGroup(groupName="app", groupDescription="middle")
    allow, forbid = ec2.AuthorizeSecurityGroupIngress, ec2.RevokeSecurityGroupIngress
    http = permission("tcp", (80, 81), ranges=["0.0.0.0/0", "10.0.0.0/8"])
    ping = permission("icmp", (-1, -1))
    from_web = permission("tcp", (0, 65535), groups=[(account, "web")])
    allow(userId="", groupName="web", ipPermissions=http)
    allow(userId="", groupName="web", ipPermissions=ping)
    allow(userId=account, groupName="app", ipPermissions=from_web)
    shown = ec2.DescribeSecurityGroups(securityGroupSet=items(groupName=["web", "app", "default"]))
    shown = {one.groupName: told(one) for one in shown.securityGroupInfo.item}
    default = shown.pop("default")
    forbid(userId="", groupName="web", ipPermissions=ping)
    ec2.DeleteSecurityGroup(groupName="app")
    return {
        "groups": shown,
        "default": default,
        "group_refused": [
            refused(ec2.CreateSecurityGroup, groupName="web", groupDescription="again"),
            refused(ec2.CreateSecurityGroup, groupName="default", groupDescription="x"),
            refused(ec2.DeleteSecurityGroup, groupName="default"),
            refused(ec2.DeleteSecurityGroup, groupName="none"),
            refused(allow, userId="", groupName="web", ipPermissions=http),
            refused(allow, userId="", groupName="web", ipPermissions=permission("tcp", (9, 1))),
            refused(allow, userId="", groupName="web", ipPermissions=permission("sctp", (1, 9))),
            refused(forbid, userId="", groupName="web", ipPermissions=ping),
        ],
    }


def describe_images(ec2, images=(), owners=(), users=()):
    answer = ec2.DescribeImages(
        executableBySet=items(user=users), imagesSet=items(imageId=images), ownersSet=items(owner=owners)
    )
    return answer.imagesSet.item if answer.imagesSet else []


def registered(ec2, location):
    image = ec2.RegisterImage(imageLocation=location).imageId
    until(lambda: describe_images(ec2, [image])[0].imageState == "available", f"{image} to be available")
    return image


def images(ec2, account):
    first, second = registered(ec2, "bucket/web.img"), registered(ec2, "bucket/mine.manifest.xml")
    change = ec2.ModifyImageAttribute
    attribute = ec2.DescribeImageAttribute
    everybody = {"item": [{"group": "all"}, {"userId": "123456789012"}]}
    change(imageId=first, launchPermission={"add": everybody})
    shared = attribute(imageId=first, launchPermission={}).launchPermission.item
    public = [one.imageId for one in describe_images(ec2, users=["all"])] == [first]
    change(imageId=first, launchPermission={"remove": {"item": [{"group": "all"}]}})
    given = [one.imageId for one in describe_images(ec2, owners=["self"], users=["123456789012"])] == [first]
    ec2.ResetImageAttribute(imageId=first, launchPermission={})
    left = attribute(imageId=first, launchPermission={}).launchPermission
    change(imageId=first, productCodes=items(productCode=["774F4FF8"]))
    code = attribute(imageId=first, productCodes={}).productCodes.item[0].productCode
    shown = describe_images(ec2, [first])[0]
    return first, second, {
        "image": [shown.imageLocation, shown.imageState, shown.imageOwnerId == account, shown.isPublic],
        "shared": [[one.group, one.userId] for one in shared],
        "found": [public, given],
        "reset": left is None or not left.item,
        "code": code,
        "image_refused": [
            refused(ec2.RegisterImage, imageLocation="bucket/none.img"),
            refused(ec2.RegisterImage, imageLocation="../secret"),
            refused(ec2.RegisterImage, imageLocation="bucket/other.manifest.xml"),
            refused(ec2.RegisterImage, imageLocation="bucket/broken.manifest.xml"),
            refused(change, imageId=first, productCodes=items(productCode=["A79EC0DB"])),
            refused(change, imageId=first, launchPermission={"add": {"item": [{"group": "some"}]}}),
            refused(change, imageId=first, launchPermission={"add": {"item": [{"userId": "me"}]}}),
            refused(attribute, imageId="ami-00000000", launchPermission={}),
            refused(attribute, imageId="image", launchPermission={}),
            refused(describe_images, ec2=ec2, owners=["nobody"]),
        ],
    }


def instances_of(ec2, wanted=()):
    answer = ec2.DescribeInstances(instancesSet=items(instanceId=wanted))
    return [one for each in answer.reservationSet.item for one in each.instancesSet.item]


def one(image, low, high, **more):
    return {"imageId": image, "minCount": low, "maxCount": high, **more}


def launch(ec2, first, second):
    """Two images at once, each with its own numbers; the surplus of the account's seven goes to each in turn."""
    data = base64.b64encode(b"hello").decode()
    answer = ec2.RunInstances(
        instancesSet={"item": [one(first, 1, 9, keyName="mine"), one(second, 2, 9)]},
        groupSet=items(groupId=["web"]),
        userData={"data": data, "version": "1.0", "encoding": "base64"},
        addressingType="public",
    )
    launched = answer.instancesSet.item
    by_image = {"first": first, "second": second}
    told = {
        name: sorted(int(each.amiLaunchIndex) for each in launched if each.imageId == image)
        for name, image in by_image.items()
    }
    names = ids(answer.instancesSet)
    until(lambda: {each.instanceState.name for each in instances_of(ec2, names)} == {"running"}, "all to run")
    running = instances_of(ec2, names[:1])[0]
    group = [each.groupId for each in answer.groupSet.item]
    nobody = {"item": []}

    def run(*wanted, groups=nobody, **more):
        return refused(ec2.RunInstances, instancesSet={"item": list(wanted)}, groupSet=groups, **more)

    wrong = {"data": data, "version": "2.0", "encoding": "base64"}
    told = {
        "launched": [told, group, launched[0].instanceState.name, launched[0].dnsName or ""],
        "running": [running.instanceState.code, bool(running.dnsName), bool(running.privateDnsName), running.keyName],
        "product": running.productCodes.item[0].productCode,
        "launch_refused": [
            run(one(first, 1, 1), one(second, 1, 1)),
            run(one(first, 0, 0)),
            run(one(first, 3, 2)),
            run(one(first, 1, 1, keyName="none")),
            run(one(first, 1, 1), groups=items(groupId=["none"])),
            run(one("ami-00000000", 1, 1)),
            run(one("ami", 1, 1)),
            run(one(first, 1, 1), userData=wrong),
            run(one(first, 1, 1), addressingType="odd"),
        ],
    }
    return names, told


def life(ec2, names, account):
    output = ec2.GetConsoleOutput(instanceId=names[0])
    ec2.RebootInstances(instancesSet=items(instanceId=names))
    until(lambda: {each.instanceState.name for each in instances_of(ec2, names)} == {"running"}, "all to be rebooted")
    confirmed = ec2.ConfirmProductInstance(productCode="774F4FF8", instanceId=names[0])
    not_confirmed = ec2.ConfirmProductInstance(productCode="none", instanceId=names[0])
    in_use = refused(ec2.DeleteSecurityGroup, groupName="web")
    ended = ec2.TerminateInstances(instancesSet=items(instanceId=names)).instancesSet.item
    until(lambda: {each.instanceState.name for each in instances_of(ec2, names)} == {"terminated"}, "all to end")
    again = ec2.TerminateInstances(instancesSet=items(instanceId=names[:1])).instancesSet.item[0]
    ec2.RebootInstances(instancesSet=items(instanceId=names))
    end = ec2.TerminateInstances
    return {
        "console": [output.instanceId == names[0], output.timestamp.year > 2006],
        "confirmed": [confirmed["return"], confirmed.ownerId == account],
        "not_confirmed": [not_confirmed["return"], not_confirmed.ownerId],
        "in_use": in_use,
        "ended": [ended[0].previousState.name, ended[0].shutdownState.name],
        "again": [again.previousState.code, again.shutdownState.code],
        "instance_refused": [
            refused(end, instancesSet=items(instanceId=["i-00000000"])),
            refused(end, instancesSet=items(instanceId=["instance"])),
            refused(ec2.GetConsoleOutput, instanceId="i-00000000"),
        ],
    }


def gone(ec2, first, second):
    ec2.DeleteKeyPair(keyName="mine")
    ec2.DeleteKeyPair(keyName="mine")
    ec2.DeleteSecurityGroup(groupName="web")
    for image in (first, second):
        ec2.DeregisterImage(imageId=image)
    empty = {"item": []}
    return {
        "left": [each.imageState for each in describe_images(ec2, [first, second])],
        "unavailable": refused(
            ec2.RunInstances, instancesSet={"item": [one(first, 1, 1)]}, groupSet=empty
        ),
    }


def main():
    port, folder, account = sys.argv[1:]
    client = ec2_signed.Client(port, folder, "first")
    ec2 = client.service
    result = {**keys(ec2), **groups(ec2, account)}
    first, second, told = images(ec2, account)
    result.update(told)
    names, told = launch(ec2, first, second)
    result.update(told)
    result.update(life(ec2, names, account))
    result.update(gone(ec2, first, second))
    result["operations"] = sorted(client.answered)
    result["invalid"] = client.invalid
    json.dump(result, sys.stdout)


main()
