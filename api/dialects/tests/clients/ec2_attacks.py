"""Requests of SOAP that nobody should have an answer to: changed, moved, sent again, signed in part or by others.

Started by a test as `PYTHON ec2_attacks.py PORT FOLDER ACCOUNT`; in the folder are a certificate of the account's, `first`, and one
of nobody's, `stranger`. Writes what was answered as JSON.
"""

import copy
import json
import sys

import xmlsec
from ec2_signed import ENVELOPE, WSU_ID, Client
from lxml import etree
from zeep import ns

BODY = f"{{{ENVELOPE}}}Body"
HEADER = f"{{{ENVELOPE}}}Header"
SECURITY = f"{{{ns.WSSE}}}Security"
STAMP = f"{{{ns.WSU}}}Timestamp"
SIGNATURE = f"{{{ns.DS}}}Signature"
SPACE = "http://ec2.amazonaws.com/doc/2007-03-01/"


def part(envelope, name):
    return next(envelope.iter(name))


def other_body(envelope, id_=None):
    """The body that an attacker would have answered."""
    body = etree.Element(BODY)
    if id_:
        body.set(WSU_ID, id_)
    etree.SubElement(etree.SubElement(body, f"{{{SPACE}}}CreateKeyPair"), f"{{{SPACE}}}keyName").text = "theirs"
    return body


def wrapped(envelope, id_=None, place=HEADER):
    """The signed body is kept, where nobody reads it, and another is where it was."""
    body = part(envelope, BODY)
    parent = body.getparent()
    parent.replace(body, other_body(envelope, id_))
    etree.SubElement(part(envelope, place), "wrapper").append(body)
    return envelope


def old_stamp(envelope):
    """The signed timestamp is kept, and a newer one is read."""
    stamp = part(envelope, STAMP)
    newer = copy.deepcopy(stamp)
    del newer.attrib[WSU_ID]
    stamp.getparent().replace(stamp, newer)
    etree.SubElement(part(envelope, SECURITY), "wrapper").append(stamp)
    return envelope


def changed(envelope):
    part(envelope, f"{{{SPACE}}}keyName").text = "theirs"
    return envelope


def without(envelope, name):
    found = part(envelope, name)
    found.getparent().remove(found)
    return envelope


def twice(envelope, name):
    found = part(envelope, name)
    found.getparent().append(copy.deepcopy(found))
    return envelope


def two_bodies(envelope):
    body = part(envelope, BODY)
    body.addprevious(other_body(envelope))
    return envelope


def set_attribute(envelope, name, attribute, value):
    part(envelope, name).set(attribute, value)
    return envelope


def text(envelope, before="", old=b"", new=b""):
    return before.encode() + etree.tostring(envelope).replace(old, new)


def main():
    port, folder, _account = sys.argv[1:]

    def client(name="first", **signed):
        return Client(port, folder, name, **signed)

    usual = client()

    def made(by=usual, name="attacked"):
        return by.message("CreateKeyPair", keyName=name)

    sent = made(name="answered")
    again = etree.tostring(sent)
    entity = '<!DOCTYPE e [<!ENTITY x "theirs">]>'
    told = {
        "answered": usual.send(sent),
        "sent again": usual.send(again),
        "sha256": usual.send(
            made(
                client(
                    signature_method=xmlsec.Transform.RSA_SHA256, digest_method=xmlsec.Transform.SHA256
                ),
                "sha256",
            )
        ),
        "changed": usual.send(changed(made())),
        "unsigned": usual.send(without(made(), HEADER)),
        "no signature": usual.send(without(made(), SIGNATURE)),
        "no timestamp": usual.send(without(made(), STAMP)),
        "timestamp not signed": usual.send(made(client(sign_time=False))),
        "too old": usual.send(made(client(age=310))),
        "too early": usual.send(made(client(age=-310))),
        "has expired": usual.send(made(client(age=20, life=10))),
        "stranger's": usual.send(made(client("stranger"))),
        "stranger's key": usual.send(made(client("stranger", certificate="first"))),
        "body wrapped": usual.send(wrapped(made())),
        "body wrapped in security": usual.send(wrapped(made(), place=SECURITY)),
        "timestamp wrapped": usual.send(old_stamp(made(client(age=310)))),
        "two timestamps": usual.send(twice(made(), STAMP)),
        "two signatures": usual.send(twice(made(), SIGNATURE)),
        "two headers": usual.send(twice(made(), SECURITY)),
        "two bodies": usual.send(two_bodies(made())),
        "other algorithm": usual.send(
            set_attribute(
                made(),
                f"{{{ns.DS}}}Transform",
                "Algorithm",
                "http://www.w3.org/TR/1999/REC-xslt-19991116",
            )
        ),
        "outside": usual.send(
            set_attribute(made(), f"{{{ns.DS}}}Reference", "URI", "http://127.0.0.1:1/body")
        ),
        "document type": usual.send(text(made(), entity)),
        "entity": usual.send(text(made(), entity, b">attacked<", b">&x;<")),
        "deep": usual.send("<a>" * 5000 + "</a>" * 5000),
        "wide": usual.send("<a>" + "<b/>" * 30000 + "</a>"),
        "no xml": usual.send("Action=DescribeImages"),
        "not utf-8": usual.send(b"<a>\xff</a>"),
        "large": usual.send("<a>" + "x" * (600 << 10) + "</a>"),
    }
    envelope = made()
    body = part(envelope, BODY)
    told["same id"] = usual.send(wrapped(envelope, body.get(WSU_ID)))
    known = usual.service.DescribeKeyPairs(keySet={"item": []}).keySet
    told["known"] = sorted(one.keyName for one in known.item)
    json.dump(told, sys.stdout)


main()
