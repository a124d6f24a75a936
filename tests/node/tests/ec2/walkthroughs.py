"""The walkthroughs of EC2's guides of 2007, as a customer goes through them: the getting-started guide with today's SDK, and the
developer guide's examples of security groups with an SDK of then, which speaks version 2007-03-01.

    PYTHON walkthroughs.py PORT FOLDER WORKSTATION

PORT is where EC2's API is on this host, FOLDER has room for keys, and WORKSTATION is a network namespace outside of the host,
from where the customer reaches public addresses. Ends with a status other than zero where a step does not do what the guide says.
"""

import os
import re
import socket
import subprocess
import sys
import time

import boto3
from boto.ec2.connection import EC2Connection
from boto.ec2.regioninfo import RegionInfo
from boto.exception import EC2ResponseError
from botocore.config import Config
from botocore.exceptions import ClientError

PORT, FOLDER, WORKSTATION = int(sys.argv[1]), sys.argv[2], sys.argv[3]
KEY, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]

# The addresses of the customer's workstation, and of somebody else beside it.
OWN, OTHER = "198.51.100.2", "198.51.100.3"
ANYWHERE = "0.0.0.0/0"
PORTS = range(1, 101)

# Seconds: for a guest of a few programs, and for a whole Debian, where the CPU is emulated and shared.
SOON, LATER = 180, 600
# For one answer of the API, and between two looks.
ANSWER, LOOK = 120, 2

KEY_FILE, KNOWN_HOSTS = f"{FOLDER}/gsg-keypair", f"{FOLDER}/known-hosts"
STARTED = time.monotonic()


def step(text):
    print(f"{time.monotonic() - STARTED:6.0f} s  {text}", flush=True)


def until(what, limit, look):
    """What `look` finds, once it finds something."""
    end = time.monotonic() + limit
    while not (found := look()):
        assert time.monotonic() < end, f"{what}: not within {limit} s"
        time.sleep(LOOK)
    return found


def equal(found, wanted, what):
    assert found == wanted, f"{what}: {found!r}, not {wanted!r}"


def from_workstation(*command):
    return subprocess.run(["ip", "netns", "exec", WORKSTATION, *command], capture_output=True, text=True)


def scan(address, source=OWN):
    """Which of the first hundred ports are open; of all others nothing must be heard."""
    ports = f"{PORTS.start}-{PORTS.stop - 1}"
    # All at once, three times, two seconds for each answer: most of them never come.
    pace = ("--min-parallelism", str(len(PORTS)), "--max-retries", "2", "--max-rtt-timeout", "2s")
    said = from_workstation("nmap", "-n", "-Pn", "-S", source, "-e", "eth0", "-p", ports, *pace, "-oG", "-", address)
    equal(said.returncode, 0, f"nmap: {said.stderr}")
    is_open = [int(port) for port in re.findall(r"(\d+)/open/tcp", said.stdout)]
    rest = len(PORTS) - len(is_open)
    assert f"filtered ({rest})" in said.stdout, f"{address} is not silent on all other ports: {said.stdout}"
    return is_open


def page(address, source=OWN):
    """What the web server at an address shows."""
    # Who is not let in hears nothing; a guest's kernel answers at once, however slow the guest is.
    patience = ("--connect-timeout", "10", "--max-time", "30")
    said = from_workstation("curl", "--silent", "--noproxy", "*", *patience, "--interface", source, f"http://{address}/")
    return said.stdout if said.returncode == 0 else None


def ssh(address, command, limit=LATER):
    """What a command says on an instance, whose host key is one that its console has shown."""
    options = ["UserKnownHostsFile=" + KNOWN_HOSTS, "StrictHostKeyChecking=yes", "BatchMode=yes", "ConnectTimeout=30"]
    words = ["ssh", *(word for option in options for word in ("-o", option)), "-i", KEY_FILE, f"debian@{address}", command]

    def tried():
        said = from_workstation(*words)
        # Only what ssh itself could not do is tried again.
        if said.returncode == 255:
            assert "verification failed" not in said.stderr, said.stderr
            return None
        equal(said.returncode, 0, f"{command}: {said.stderr}")
        return [said.stdout.strip()]

    return until(f"ssh to {address}", limit, tried)[0]


def know_host(address, console):
    """Notes the host keys that a guest shows on its console, as who does not trust the network would."""
    shown = re.search(r"BEGIN SSH HOST KEY KEYS-+\s(.*?)-+END SSH HOST KEY KEYS", console, re.DOTALL)
    if shown is None:
        return None
    keys = re.findall(r"^\s*((?:ssh|ecdsa)-\S+ \S+)", shown[1], re.MULTILINE)
    with open(KNOWN_HOSTS, "w") as file:
        file.writelines(f"{address} {key}\n" for key in keys)
    return keys


def today():
    """Today's SDK. No answer is asked for twice: who is slow here is the emulator."""
    config = Config(retries={"total_max_attempts": 1}, read_timeout=ANSWER)
    return boto3.client(
        "ec2", endpoint_url=f"http://127.0.0.1:{PORT}", region_name="local", aws_access_key_id=KEY, aws_secret_access_key=SECRET, config=config
    )


def wait(ec2, name, **what):
    ec2.get_waiter(name).wait(**what, WaiterConfig={"Delay": LOOK, "MaxAttempts": LATER // LOOK})


def getting_started(ec2):
    """A key pair, an instance, its web page, and an image of it: gives the image's id."""
    step("a key pair, of which only the customer has the private half")
    pair = ec2.create_key_pair(KeyName="gsg-keypair")
    with open(os.open(KEY_FILE, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        file.write(pair["KeyMaterial"])

    step("an instance of a public image")
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian"]}])["Images"][0]["ImageId"]
    data = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}}]
    kind = {"ImageId": image, "InstanceType": "m1.small", "KeyName": "gsg-keypair", "BlockDeviceMappings": data}
    launched = ec2.run_instances(**kind, MinCount=1, MaxCount=1)
    instance = launched["Instances"][0]["InstanceId"]
    wait(ec2, "instance_running", InstanceIds=[instance])
    shown = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    address = shown["PublicIpAddress"]
    equal([group["GroupName"] for group in shown["SecurityGroups"]], ["default"], "its groups")

    step(f"{instance} at {address} shows its host keys on its console")
    until("host keys on the console", LATER, lambda: know_host(address, console(ec2, instance)))

    # The developer guide's first example: nothing is let in until it is asked for, and then only for whom it was asked.
    step("its group lets nobody in")
    equal(scan(address), [], "open before anything is granted")
    rule = {"GroupName": "default", "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": f"{OWN}/32"}]}]}
    ec2.authorize_security_group_ingress(**rule)
    step("ssh from the workstation, with the key pair's private half")
    equal(ssh(address, "id -un"), "debian", "who one is there")
    equal(scan(address), [22], "open to the workstation")
    equal(scan(address, OTHER), [], "open to somebody else")

    step("a web page for all")
    ssh(address, WEB_SERVER)
    equal(page(address), None, "the page before it is granted")
    ec2.authorize_security_group_ingress(GroupName="default", IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp=ANYWHERE)
    for source in (OWN, OTHER):
        equal(page(address, source), "Congratulations!\n", f"the page as {source} sees it")
    equal(scan(address, OTHER), [80], "open to somebody else")
    ec2.revoke_security_group_ingress(**rule)
    equal(scan(address), [80], "open once ssh is revoked")

    step("an image of both its disks, for more of its kind")
    ec2.stop_instances(InstanceIds=[instance])
    wait(ec2, "instance_stopped", InstanceIds=[instance])
    made = ec2.create_image(InstanceId=instance, Name="web server")["ImageId"]
    wait(ec2, "image_available", ImageIds=[made])
    ec2.terminate_instances(InstanceIds=[instance])
    wait(ec2, "instance_terminated", InstanceIds=[instance])
    equal(page(address), None, "the page of a terminated instance")
    try:
        ec2.start_instances(InstanceIds=[instance])
        raise AssertionError("a terminated instance starts")
    except ClientError as error:
        equal(error.response["Error"]["Code"], "IncorrectInstanceState", "starting it")
    return made


# A page on a disk of its own, shown from now on and after each boot.
WEB_SERVER = """set -e
sudo mkfs.ext4 -q -L pages /dev/vdb
sudo mkdir -p /srv/www && echo 'LABEL=pages /srv/www ext4 nofail 0 2' | sudo tee -a /etc/fstab >/dev/null
sudo mount /srv/www && echo 'Congratulations!' | sudo tee /srv/www/index.html >/dev/null
sudo tee /etc/systemd/system/web.service >/dev/null <<END
[Unit]
Wants=network-online.target
After=network-online.target
[Service]
ExecStart=/usr/bin/python3 -m http.server --directory /srv/www 80
Restart=always
[Install]
WantedBy=multi-user.target
END
sudo systemctl enable --quiet --now web.service
until python3 -c 'import urllib.request as it; it.urlopen("http://127.0.0.1/")' 2>/dev/null; do sleep 1; done
sync"""


def console(ec2, instance):
    return ec2.get_console_output(InstanceId=instance).get("Output", "").replace("\r", "")


class Then(EC2Connection):
    """An SDK of 2007, with the signatures of its day."""

    APIVersion = "2007-03-01"

    def _required_auth_capability(self):
        return ["sign-v1"]


def then():
    region = RegionInfo(name="local", endpoint="127.0.0.1")
    return Then(KEY, SECRET, is_secure=False, port=PORT, region=region)


# What instances of the two inner tiers are told to do: each says something to whom reaches it.
DATABASE = "nc -ll -p 3306 -e echo subscribers"
APPLICATION = """index=$(wget -q -O - http://169.254.169.254/2007-03-01/meta-data/ami-launch-index)
printf 'echo "application %s of $(nc -w 5 {database} 3306 </dev/null)"\\n' $index >/tmp/answer
nc -ll -p 8080 -e sh /tmp/answer"""
# What a web server hears of another instance; nothing, if it does not get there.
HEARD = "import socket; print(socket.create_connection(({0!r}, {1}), {2}).makefile().read())"


def three_tiers(ec2, web_image, small_image):
    """Mary's web service: each tier is reached by the one before it, and by nobody else."""
    step("three groups, each let in by the next")
    for name in ("apache", "appserver", "database"):
        ec2.create_security_group(name, f"Mary's {name} group")
    allow, forbid = ec2.authorize_security_group_deprecated, ec2.revoke_security_group_deprecated
    owner = ec2.get_all_security_groups(["apache"])[0].owner_id
    allow("apache", ip_protocol="tcp", from_port=80, to_port=80, cidr_ip=ANYWHERE)
    for group, source in (("appserver", "apache"), ("database", "appserver")):
        allow(group, src_security_group_name=source, src_security_group_owner_id=owner)

    step("a database and two application servers")
    [database] = run(ec2, small_image, 1, "database", DATABASE)
    applications = run(ec2, small_image, 2, "appserver", APPLICATION.format(database=database.private_dns_name))
    step("a web server, of the image that was made")
    [web] = run(ec2, web_image, 1, "apache", None)
    addresses = [public(instance) for instance in (web, *applications, database)]
    until("the web server's page", LATER, lambda: page(addresses[0]))
    equal(page(addresses[0], OTHER), "Congratulations!\n", "the page")
    for instance in (database, *applications):
        until(f"the console of {instance.id}", SOON, lambda: b"BOTHY-TOLD" in (ec2.get_console_output(instance.id).output or b""))

    step("nothing but the page is reached from outside")
    equal([scan(address) for address in addresses], [[80], [], [], []], "open ports")

    step("for a while she lets herself in, to see how far it is from there")
    own = {"ip_protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_ip": f"{OWN}/32"}
    allow("apache", **own)
    until("host keys on the console", LATER, lambda: know_host(addresses[0], text(ec2.get_console_output(web.id).output)))
    reach = lambda name, port, limit: ssh(addresses[0], f"python3 -c \"{HEARD.format(name, port, limit)}\" 2>/dev/null || echo nothing")
    heard = [reach(instance.private_dns_name, 8080, 60) for instance in applications]
    equal(heard, [f"application {index} of subscribers" for index in (0, 1)], "what the application servers say")
    equal(reach(database.private_dns_name, 3306, 5), "nothing", "what the database says to a web server")
    equal(reach(applications[0].private_dns_name, 8080, 60), heard[0], "what an application server says again")
    forbid("apache", **own)
    equal(scan(addresses[0]), [80], "open once she is out again")

    step("all of it is ended")
    equal(refused(ec2.delete_security_group, "apache"), "InvalidGroup.InUse", "deleting a group that has members")
    ids = [instance.id for instance in (web, *applications, database)]
    ec2.terminate_instances(ids)
    until("the end of all", LATER, lambda: {instance.state for instance in instances(ec2, ids)} == {"terminated"})
    equal([page(addresses[0]), scan(addresses[0])], [None, []], "what is left of it")
    for name in ("database", "appserver", "apache"):
        ec2.delete_security_group(name)


def run(ec2, image, count, group, user_data):
    """Instances, once they run."""
    more = {"key_name": "gsg-keypair", "security_groups": [group], "instance_type": None, "user_data": user_data}
    made = ec2.run_instances(image, count, count, **more)
    ids = [instance.id for instance in made.instances]
    until(f"{ids} to run", SOON, lambda: {instance.state for instance in instances(ec2, ids)} == {"running"})
    return sorted(instances(ec2, ids), key=lambda instance: int(instance.ami_launch_index))


def instances(ec2, ids):
    return [instance for reservation in ec2.get_all_instances(ids) for instance in reservation.instances]


def public(instance):
    """The address that a public name is made of: nobody serves this zone to the workstation."""
    return ".".join(re.match(r"ec2-(\d+)-(\d+)-(\d+)-(\d+)\.", instance.public_dns_name).groups())


def text(output):
    return (output or b"").decode(errors="replace").replace("\r", "")


def refused(call, *values):
    try:
        call(*values)
    except EC2ResponseError as error:
        return error.error_code
    return None


def main():
    socket.setdefaulttimeout(ANSWER)
    ec2 = today()
    web_image = getting_started(ec2)
    small_image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["small"]}])["Images"][0]["ImageId"]
    three_tiers(then(), web_image, small_image)
    step("done")


main()
