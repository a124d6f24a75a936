//! A stock Debian with an unmodified cloud-init in each cloud's clothes: launched through the real daemon, in a VPC, it has to
//! find its datasource, its name, its keys and its user data, and everything that its metadata service lists. Each reports on its
//! console (`clouds/report.py`).

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use native_api::{Credentials, Instance, InstanceId, Launched, Operation, Principal, UserData};
use node::{BOOT, Images, LOGIN, Network, Node, on_host};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Run in each guest by its user data.
const REPORT: &str = include_str!("clouds/report.py");
/// Where guests' public addresses are from.
const PUBLIC: &str = "[network]\npublic_addresses = ['203.0.113.0/28']\n";
/// A script that gives a guest a name server, a repository and a time server of its own, as Alibaba Cloud's manual does for
/// CentOS.
const OWN_SERVICES: &str = include_str!("clouds/own_services.sh");
/// How often a guest is tried to be logged in to.
const LOOK: Duration = Duration::from_secs(1);

/// A guest, and what it has to find.
struct Case {
    /// What the launch asks for besides what all do; its host name is the case's name.
    launch: Value,
    name: &'static str,
    /// Cloud-init's own name of where it found what.
    datasource: &'static str,
    /// Whether the user data is a shell script, else it is a `#cloud-config` that makes a user.
    is_script: bool,
    address: &'static str,
    token: [&'static str; 3],
    /// What it walks, and what it asks for. The first is asked without a token and with a wrong one, too.
    walk: &'static [&'static str],
    ask: &'static [&'static str],
    /// Which of the cloud's own clients get credentials of it (`clients.py`), and where they have the id of the key, its secret
    /// and its token.
    clients: &'static [(&'static str, [&'static str; 3])],
    /// The packages that these clients load. All that are there would take a guest a minute to receive.
    packages: &'static [&'static str],
    /// The answers to a request for a token, to one without a token and to one with a wrong token.
    statuses: [u16; 3],
}

const EC2_TOKEN: [&str; 3] =
    ["/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token"];
const ALIBABA_TOKEN: [&str; 3] =
    ["/latest/api/token", "X-aliyun-ecs-metadata-token-ttl-seconds", "X-aliyun-ecs-metadata-token"];
const HUAWEI_TOKEN: [&str; 3] =
    ["/meta-data/latest/api/token", "X-Metadata-Token-Ttl-Seconds", "X-Metadata-Token"];

const PLAIN: [&str; 3] = ["/id", "/secret", "/token"];

fn cases() -> [Case; 4] {
    [
        Case {
            launch: json!({"cloud": "ec2", "instance_type": "small", "metadata_options": {"tokens": "required"}}),
            name: "amazon",
            datasource: "DataSourceEc2Local",
            is_script: true,
            address: "http://169.254.169.254",
            token: EC2_TOKEN,
            walk: &["/latest/meta-data/", "/latest/dynamic/", "/2009-04-04/meta-data/", "/1.0/meta-data/"],
            ask: &[
                "/",
                "/latest",
                "/latest/user-data",
                "/2007-03-01//meta-data/public-keys/0/openssh-key",
                "/latest/meta-data/public-ipv4",
                "/latest/meta-data/placement/availability-zone",
                "/latest/meta-data/iam/info",
                "/latest/meta-data/iam/security-credentials/guest",
                "/latest/meta-data/block-device-mapping/root",
                "/latest/dynamic/instance-identity/document",
            ],
            clients: &[(
                "botocore",
                ["/credentials/access_key", "/credentials/secret_key", "/credentials/token"],
            )],
            packages: &["botocore", "certifi", "dateutil", "jmespath", "six.py", "urllib3"],
            statuses: [200, 401, 401],
        },
        Case {
            launch: json!({"cloud": "alibaba", "instance_type": "ecs.t1.small"}),
            name: "alibaba",
            datasource: "DataSourceAliYun",
            is_script: true,
            address: "http://100.100.100.200",
            token: ALIBABA_TOKEN,
            walk: &["/latest/meta-data/", "/2016-01-01/meta-data/", "/latest/dynamic/"],
            ask: &[
                "/",
                "/2016-01-01/user-data",
                "/2016-01-01/meta-data/all",
                "/latest/meta-data/eipv4",
                "/latest/meta-data/ram/security-credentials/guest",
                "/latest/meta-data/Ram/security-credentials/guest",
                "/latest/dynamic/instance-identity/document",
            ],
            clients: &[("alibaba", PLAIN), ("alibaba with tokens only", PLAIN)],
            packages: &[
                "Tea",
                "aiofiles",
                "aiohappyeyeballs",
                "aiohttp",
                "aiosignal",
                "alibabacloud_credentials",
                "alibabacloud_credentials_api",
                "apscheduler",
                "attr",
                "certifi",
                "charset_normalizer",
                "frozenlist",
                "idna",
                "multidict",
                "propcache",
                "requests",
                "simplejson",
                "typing_extensions.py",
                "tzlocal",
                "urllib3",
                "yarl",
            ],
            statuses: [200, 200, 401],
        },
        Case {
            launch: json!({"cloud": "huawei", "instance_type": "s6.small.1"}),
            name: "huawei",
            datasource: "DataSourceOpenStackLocal",
            is_script: false,
            address: "http://169.254.169.254",
            token: HUAWEI_TOKEN,
            walk: &[
                "/openstack/latest/",
                "/openstack/2012-08-10/",
                "/openstack/2018-08-27/",
                "/latest/meta-data/",
            ],
            ask: &[
                "/openstack",
                "/openstack/latest/meta_data.json",
                "/openstack/latest/user_data",
                "/openstack/latest/network_data.json",
                "/openstack/latest/securitykey",
                "/latest/user-data",
                "/latest/meta-data/public-ipv4",
                "/latest/meta-data/public-keys/0/openssh-key",
            ],
            clients: &[("huawei", PLAIN)],
            packages: &[
                "certifi",
                "charset_normalizer",
                "huaweicloudsdkcore",
                "idna",
                "requests",
                "simplejson",
                "six.py",
                "urllib3",
            ],
            statuses: [200, 200, 401],
        },
        Case {
            launch: json!({"cloud": "huawei", "instance_type": "s6.small.1", "config_drive": true,
                "metadata_options": {"enabled": false}}),
            name: "drive",
            datasource: "DataSourceConfigDrive",
            is_script: true,
            address: "http://169.254.169.254",
            token: HUAWEI_TOKEN,
            walk: &[],
            ask: &["/openstack", "/openstack/latest/meta_data.json", "/latest/user-data"],
            clients: &[],
            packages: &[],
            statuses: [403, 403, 403],
        },
    ]
}

#[test]
fn debian_believes_to_be_in_each_cloud() {
    let Some(images) = Images::find() else { return };
    let network = Network::new("clouds");
    on_host(&network, images, PUBLIC, async move |images, node| story(images, node).await);
}

async fn story(images: &Images, node: &mut Node) {
    node.start().await;
    let import = json!({"name": "debian", "source": {"disk": {"path": images.debian}}});
    let image = node.import(&import, LOGIN).await;

    let [pair, ops] = ["pair", "ops"].map(|name| key(&node.folder, name));
    let key_pair = json!({"name": "pair", "public_key": pair});
    let _: Value = node.ask(Operation::ImportKeyPair, &[], &key_pair).await;
    let trust = json!({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": ["ec2.amazonaws.com", "ecs.aliyuncs.com", "op_svc_ecs"]}}]});
    let role = json!({"name": "guest", "trust_policy": trust.to_string()});
    let _: Value = node.ask(Operation::CreateRole, &[], &role).await;
    let (subnet, group) = own_network(node).await;

    let began = Instant::now();
    let step =
        |case: &Case, what: &str| println!("{:6.0} s  {}: {what}", began.elapsed().as_secs_f64(), case.name);
    // One after the other: services of guests that share an emulated CPU run out of time.
    for case in &cases() {
        step(case, "is launched");
        let mut launch = json!({
            "image": image, "subnet": subnet, "security_groups": [group], "public_address": true,
            "name": case.name, "host_name": case.name, "key_pair": "pair", "role": "guest",
            "user_data": UserData::of(user_data(case, &ops).as_bytes()).expect("it is short"),
        });
        let object = launch.as_object_mut().expect("it is one");
        object.extend(case.launch.as_object().expect("it is one").clone());
        let launched: Launched = node.ask(Operation::LaunchInstances, &[], &launch).await;
        let id = launched.instances[0].id.clone();

        let said = |console: &str| {
            let lines = console.lines().filter_map(|line| line.strip_prefix("REPORT "));
            lines.filter_map(|line| serde_json::from_str::<Value>(line).ok()).next_back()
        };
        let report = node.printed("the report", LOGIN, &id, said).await;
        step(case, &format!("reports {report}"));
        let instance: Instance = node.ask(Operation::GetInstance, &[id.as_str()], &Value::Null).await;
        check(case, &instance, &pair, &ops, &report);
        let public = instance.public_address.expect("it was asked for").to_string();
        let (user, key) = if case.is_script { ("debian", "pair") } else { ("ops", "ops") };
        let guest = Guest { folder: &node.folder, key, who: format!("{user}@{public}") };
        let said = guest.run("sudo -n id -u; hostname", None);
        assert_eq!(said, format!("0\n{}\n", case.name));
        step(case, "lets its own clients ask");
        own_clients(node, images, case, &guest, &id).await;
        step(case, "is terminated");
        node.bothy(&["terminate", id.as_str(), "--wait", "--timeout", &BOOT.as_secs().to_string()]);
    }
    node.end();
}

/// A VPC, whose guests can be logged in to: its subnet and its group.
async fn own_network(node: &Node) -> (String, String) {
    let made = async |operation, body| {
        let made: Value = node.ask(operation, &[], &body).await;
        made["id"].as_str().expect("it has an id").to_owned()
    };
    let vpc = made(Operation::CreateVpc, json!({"cidr": "10.9.0.0/16"})).await;
    let subnet = made(Operation::CreateSubnet, json!({"vpc": vpc, "cidr": "10.9.1.0/24"})).await;
    let group = made(Operation::CreateSecurityGroup, json!({"vpc": vpc, "name": "ssh"})).await;
    let rule = json!({"direction": "ingress", "protocol": "tcp", "ports": {"from": 22, "to": 22},
        "peer": {"cidr": "0.0.0.0/0"}});
    let _: Value = node.ask(Operation::UpdateSecurityGroupRules, &[&group], &json!({"add": [rule]})).await;
    (subnet, group)
}

/// What a guest gets to run.
fn user_data(case: &Case, ops: &str) -> String {
    let asked =
        json!({"address": case.address, "token": case.token, "walk": case.walk, "ask": case.ask}).to_string();
    // By systemd, since cloud-init is not done before its user data is.
    let command = ["systemd-run", "--no-block", "--unit", "report", "python3", "/root/report", &asked];
    if case.is_script {
        let [words @ .., asked] = &command;
        let words = words.join(" ");
        return format!("{OWN_SERVICES}cat >/root/report <<'END'\n{REPORT}END\n{words} '{asked}'\n");
    }
    let user = json!({"name": "ops", "sudo": "ALL=(ALL) NOPASSWD:ALL", "shell": "/bin/bash", "ssh_authorized_keys": [ops]});
    let config = json!({
        "users": ["default", user],
        "write_files": [{"path": "/root/report", "content": REPORT}],
        "runcmd": [command],
    });
    // JSON is YAML.
    format!("#cloud-config\n{config}\n")
}

fn check(case: &Case, instance: &Instance, pair: &str, ops: &str, report: &Value) {
    let name = case.name;
    assert_eq!(report["status"], "status: done", "{name}");
    let datasource = report["result"]["datasource"].as_str().unwrap_or_default();
    assert_eq!(datasource.split(' ').next(), Some(case.datasource), "{name}");
    assert_eq!(report["result"]["errors"], json!([]), "{name}");
    assert_eq!(report["complaints"], json!([]), "{name}");
    assert_eq!(report["host_name"], name);
    let address = instance.private_address.expect("it has one").to_string();
    assert_eq!(report["addresses"], address, "{name}");

    if case.is_script {
        let services = [
            "nameserver 10.9.1.1",
            "deb http://mirror.example/debian bookworm main",
            "[Time]\nNTP=ntp1.example",
        ];
        assert_eq!(report["configured"], json!(services), "{name}");
    }

    let known = |user: &str, key: &str| {
        let words = |line: &str| line.split(' ').take(2).map(str::to_owned).collect::<Vec<_>>();
        let keys = report["keys"][user].as_str().unwrap_or_default();
        keys.lines().any(|line| words(line) == words(key))
    };
    assert!(known("debian", pair), "{name}: the key pair's key is the first user's");
    assert_eq!(known("ops", ops), !case.is_script, "{name}: the user data's user has its key");

    let dmi = |name: &str| report["dmi"][name].as_str().unwrap_or_default().to_ascii_lowercase();
    let id = report["instance_id"].as_str().unwrap_or_default();
    match case.datasource {
        // By the instance's UUID, it sees at the next boot that it is still the same.
        "DataSourceOpenStackLocal" | "DataSourceConfigDrive" => assert_eq!(id, dmi("product_uuid"), "{name}"),
        _ => assert_eq!(id, instance.id.as_str(), "{name}"),
    }

    let metadata = &report["metadata"];
    let statuses = ["token", "without_token", "with_a_wrong_token"].map(|of| metadata[of].clone());
    assert_eq!(json!(statuses), json!(case.statuses), "{name}");
    let found = metadata["found"].as_object().expect("it walked");
    let expected = if instance.metadata_options.enabled { 200 } else { 403 };
    let others: Vec<_> = found.iter().filter(|(_, status)| **status != expected).collect();
    assert!(others.is_empty(), "{name}: not {expected}: {others:?}");
    assert!(found.len() > case.walk.len() * 3, "{name}: its folders have something in them: {found:?}");

    if instance.config_drive {
        let drive = report["config_drive"].as_object().expect("there is one");
        for document in
            ["meta_data.json", "network_data.json", "user_data", "vendor_data.json", "vendor_data2.json"]
        {
            for version in ["latest", "2018-08-27"] {
                assert!(
                    drive.contains_key(&format!("openstack/{version}/{document}")),
                    "{version} {document}"
                );
            }
        }
        let sent =
            Sha256::digest(user_data(case, ops)).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(drive["openstack/latest/user_data"], sent, "{name}: user data byte for byte");
    } else {
        assert_eq!(report["config_drive"], Value::Null, "{name}");
    }
}

/// Lets the cloud's own clients ask in the guest, once where it is as it was launched and once where tokens are required, and
/// asks the daemon who has the credentials that they get.
async fn own_clients(node: &Node, images: &Images, case: &Case, guest: &Guest<'_>, id: &InstanceId) {
    if case.clients.is_empty() {
        return;
    }
    let archive = node.folder.join("clients.tar");
    // Nobody here asks what the services have to offer, of which most of botocore is.
    let mut tar = Command::new("tar");
    tar.arg("-cf")
        .arg(&archive)
        .args(["--exclude=botocore/data/*/*", "-C"])
        .arg(&images.clients)
        .arg("clients.py")
        .args(case.packages);
    let status = tar.status();
    assert!(status.expect("tar is there").success());
    guest.run("mkdir clients && tar -x -C clients", Some(&archive));
    for is_required in [false, true] {
        if is_required {
            let change = json!({"metadata_options": {"tokens": "required"}});
            let _: Instance = node.ask(Operation::UpdateInstance, &[id.as_str()], &change).await;
        }
        for (client, places) in case.clients {
            let said = guest.run(&format!("python3 clients/clients.py '{client}'"), None);
            let got: Value =
                serde_json::from_str(&said).unwrap_or_else(|error| panic!("{client}: {error}: {said}"));
            let [access_key, secret, token] = places.map(|place| got.pointer(place).and_then(Value::as_str));
            let credentials = Credentials {
                access_key: access_key
                    .and_then(|id| id.parse().ok())
                    .unwrap_or_else(|| panic!("{client}: {said}")),
                secret: secret.unwrap_or_default().to_owned(),
                security_token: token.map(str::to_owned),
            };
            let caller = node
                .caller(credentials)
                .get_caller()
                .await
                .unwrap_or_else(|error| panic!("{client}: {error}"));
            let Principal::Role(session) = &caller.principal else { panic!("{client}: {caller:?}") };
            assert_eq!(session.role.as_str(), "guest", "{client}");
        }
    }
}

/// Makes a key, and gives its public half.
fn key(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
        .arg(&path)
        .status();
    assert!(status.expect("ssh-keygen is there: package openssh-client").success());
    fs::read_to_string(path.with_extension("pub")).expect("it was made").trim().to_owned()
}

/// A guest that can be logged in to.
struct Guest<'a> {
    /// Where keys are.
    folder: &'a Path,
    /// The key's name.
    key: &'static str,
    /// Who logs in where.
    who: String,
}

impl Guest<'_> {
    /// Runs a command there, with this file as what it reads, and says what it printed.
    fn run(&self, command: &str, input: Option<&Path>) -> String {
        let (key, deadline) = (self.folder.join(self.key), Instant::now() + BOOT);
        loop {
            let mut ssh = Command::new("ssh");
            for option in [
                "StrictHostKeyChecking=no",
                "UserKnownHostsFile=/dev/null",
                "BatchMode=yes",
                "ConnectTimeout=60",
            ] {
                ssh.args(["-o", option]);
            }
            let input = input.map(|path| File::open(path).expect("it was made"));
            ssh.stdin(input.map_or_else(Stdio::null, Stdio::from));
            let output = ssh.arg("-i").arg(&key).args([&self.who, command]).output();
            let output = output.expect("ssh is there: package openssh-client");
            if output.status.success() {
                return String::from_utf8_lossy(&output.stdout).into_owned();
            }
            let said = String::from_utf8_lossy(&output.stderr);
            // Only what ssh itself could not do is tried again.
            let is_final = output.status.code() != Some(255) || Instant::now() > deadline;
            assert!(!is_final, "{command} as {}: {}: {said}", self.who, output.status);
            std::thread::sleep(LOOK);
        }
    }
}
