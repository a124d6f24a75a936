"""zeep signing as EC2's tools of 2007 did: the body and a timestamp, by an X.509 certificate. And a look at each answer."""

import time
from datetime import datetime, timedelta, timezone

import requests
import zeep
from lxml import etree
from zeep import ns
from zeep.plugins import HistoryPlugin
from zeep.transports import Transport
from zeep.wsse import utils
from zeep.wsse.signature import BinarySignature

SCHEMA = "{http://www.w3.org/2001/XMLSchema}schema"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"


def until(condition, what):
    """Waits until something is so."""
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.05)


class Signed(BinarySignature):
    """A request with a timestamp; `age` is how old it says that it is."""

    def __init__(self, folder, name, *, certificate=None, age=0, life=300, sign_time=True, **algorithms):
        super().__init__(f"{folder}/{name}.key", f"{folder}/{certificate or name}.pem", **algorithms)
        self.age, self.life, self.sign_time = age, life, sign_time

    def apply(self, envelope, headers):
        created = datetime.now(timezone.utc) - timedelta(seconds=self.age)
        moments = {"Created": created, "Expires": created + timedelta(seconds=self.life)}
        stamp = utils.WSU("Timestamp")
        for name, moment in moments.items():
            stamp.append(utils.WSU(name, moment.strftime("%Y-%m-%dT%H:%M:%SZ")))
        if not self.sign_time:
            envelope, headers = super().apply(envelope, headers)
            utils.get_security_header(envelope).append(stamp)
            return envelope, headers
        utils.get_security_header(envelope).append(stamp)
        return super().apply(envelope, headers)

    def verify(self, envelope):
        """Answers are not signed."""
        return envelope


class Validating(HistoryPlugin):
    """Holds each answer against the schema of the WSDL."""

    def __init__(self):
        super().__init__(maxlen=1)
        self.schema, self.answered, self.invalid = None, set(), []

    def ingress(self, envelope, http_headers, operation):
        body = envelope.find(f"{{{ENVELOPE}}}Body")
        answer = etree.fromstring(etree.tostring(body[0]))
        if answer.tag != f"{{{ENVELOPE}}}Fault":
            self.answered.add(operation.name)
            if not self.schema.validate(answer):
                self.invalid.append([operation.name, str(self.schema.error_log)])
        return super().ingress(envelope, http_headers, operation)


class Client:
    """A client of the service at a port, by the WSDL that it tells."""

    def __init__(self, port, folder, name, wsdl="doc/2007-03-01/AmazonEC2.wsdl", **signed):
        self.address = f"http://127.0.0.1:{port}/"
        self.session = requests.Session()
        # What the machine has of its own is not for this client.
        self.session.trust_env = False
        self.plugin = Validating()
        wsdl = self.address + wsdl
        document = etree.fromstring(self.session.get(wsdl).content)
        self.plugin.schema = etree.XMLSchema(next(document.iter(SCHEMA)))
        transport = Transport(session=self.session)
        wsse = Signed(folder, name, **signed)
        self.zeep = zeep.Client(wsdl, transport=transport, wsse=wsse, plugins=[self.plugin])
        self.service = self.zeep.service

    @property
    def answered(self):
        return self.plugin.answered

    @property
    def invalid(self):
        return self.plugin.invalid

    def message(self, operation, **parameters):
        """A signed request, to be sent by hand."""
        return self.zeep.create_message(self.service, operation, **parameters)

    def send(self, message):
        """What is answered to a text or an element: the status and the fault's code, or none."""
        if not isinstance(message, (bytes, str)):
            message = etree.tostring(message)
        headers = {"content-type": "text/xml; charset=utf-8", "soapaction": '""'}
        answer = self.session.post(self.address, data=message, headers=headers)
        code = etree.fromstring(answer.content).find(".//faultcode")
        return [answer.status_code, None if code is None else code.text]


WSU_ID = f"{{{ns.WSU}}}Id"
