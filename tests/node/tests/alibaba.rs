//! Alibaba Cloud's API in front of real guests, asked by the vendor's own SDK: what its best-practice scripts do (create, start,
//! stop, release, renew, release at a time), and an instance whose role's credentials are what the policies say.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_STANDARD, Engine};
use native_api::{Instance, InstanceId, InstanceState, Operation};
use node::{BOOT, Images, LOGIN, Network, Node, Python, on_host};
use serde_json::{Value, json};

/// What is run in the guest.
const CREDENTIALS: &str = include_str!("alibaba/credentials.py");
/// How often it is looked whether an instance is as it should be.
const LOOK: Duration = Duration::from_millis(500);
const ROLE: &str = "EcsRamRoleTest";

/// A guest gets this long to shut down, where its CPU is emulated and shared. It is one of the limits.
const STOP: &str = "stop = 900\n";

#[test]
fn the_vendors_scripts_and_roles_work_on_real_guests() {
    let Some(images) = Images::find() else { return };
    let Some(python) = Python::find("BOTHY_ALIBABA_PYTHON") else { return };
    let network = Network::new("alibaba");
    on_host(&network, images, STOP, async move |images, node| story(images, node, &python).await);
}

async fn story(images: &Images, node: &mut Node, python: &Python) {
    node.start().await;
    let import = json!({"name": "debian", "source": {"disk": {"path": images.debian}}});
    // It is read as a whole, by a daemon that is built for tests.
    node.import(&import, 2 * LOGIN).await;
    let made: Value = node.ask(Operation::CreateAccessKey, &[], &json!({})).await;
    let mut sdk = Sdk::start(python, Key::of(&made["access_key"]["id"], &made["secret"], &Value::Null));
    let root = sdk.key.clone();

    let id = launched_with_its_role(&mut sdk, &root);
    let [plain, by_token] = credentials(&mut sdk, node, &id).await;
    what_the_role_may(&mut sdk, &root, &id, &plain, &by_token);
    stopped_and_released(&mut sdk, node, &id).await;
    renewed(&mut sdk);
    let id = to_be_released(&mut sdk);
    drop(sdk);
    released_at_its_time(node, &id).await;
    node.end();
}

/// A user may launch an instance with a role only once it may pass that.
fn launched_with_its_role(sdk: &mut Sdk, root: &Key) -> String {
    let trust = json!({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": ["ecs.aliyuncs.com"]}}]});
    let role = json!({"RoleName": ROLE, "AssumeRolePolicyDocument": trust.to_string()});
    let arn = sdk.ok("ram", "CreateRole", role)["Role"]["Arn"].clone();
    sdk.ok("ram", "CreateUser", json!({"UserName": "scripts"}));
    let made = sdk.ok("ram", "CreateAccessKey", json!({"UserName": "scripts"}))["AccessKey"].clone();
    let full = json!({"PolicyType": "System", "PolicyName": "AliyunECSFullAccess", "UserName": "scripts"});
    sdk.ok("ram", "AttachPolicyToUser", full);

    sdk.key = Key::of(&made["AccessKeyId"], &made["AccessKeySecret"], &Value::Null);
    let launch = json!({"ImageId": "debian", "InstanceType": "ecs.t1.small", "RamRoleName": ROLE,
        "UserData": BASE64_STANDARD.encode(CREDENTIALS)});
    sdk.refused("ecs", "CreateInstance", launch.clone(), 403, "Forbidden.RAM");
    let may = json!({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "ram:PassRole", "Resource": arn}]});
    sdk.by(root, |sdk| {
        sdk.ok("ram", "CreatePolicy", json!({"PolicyName": "Pass", "PolicyDocument": may.to_string()}));
        let attach = json!({"PolicyType": "Custom", "PolicyName": "Pass", "UserName": "scripts"});
        sdk.ok("ram", "AttachPolicyToUser", attach);
    });
    let id = text(&sdk.ok("ecs", "CreateInstance", launch)["InstanceId"]);
    sdk.until(&id, "Stopped", BOOT);
    sdk.ok("ecs", "StartInstance", json!({"InstanceId": id}));
    sdk.until(&id, "Running", BOOT);
    sdk.key = root.clone();
    id
}

/// What the guest was given, without and with a token of the metadata service.
async fn credentials(sdk: &mut Sdk, node: &Node, id: &str) -> [Key; 2] {
    let found = |console: &str| {
        let lines = console.lines().filter_map(|line| line.trim().strip_prefix("CREDENTIALS "));
        lines.filter_map(|line| serde_json::from_str::<Value>(line).ok()).next_back()
    };
    let instance: InstanceId = id.parse().expect("this cloud's ids of instances are the host's");
    let found = node.printed("credentials", LOGIN, &instance, found).await;
    assert_eq!(found["role"], ROLE);
    sdk.until(id, "Running", BOOT);
    ["plain", "by_token"].map(|mode| {
        let given = &found[mode];
        assert_eq!(given["Code"], "Success", "{mode}");
        Key::of(&given["AccessKeyId"], &given["AccessKeySecret"], &given["SecurityToken"])
    })
}

/// With what the guest was given, one is its role, and may what the role's policies say at that time.
fn what_the_role_may(sdk: &mut Sdk, root: &Key, id: &str, plain: &Key, by_token: &Key) {
    for key in [plain, by_token] {
        let told = sdk.by(key, |sdk| sdk.ok("sts", "GetCallerIdentity", json!({})));
        assert_eq!(told["IdentityType"], "AssumedRoleUser");
        let arn = text(&told["Arn"]);
        assert!(arn.ends_with(&format!(":assumed-role/{ROLE}/{id}")), "{arn}");
    }
    let policy = json!({"PolicyType": "System", "PolicyName": "AliyunECSReadOnlyAccess", "RoleName": ROLE});
    sdk.key = plain.clone();
    for _ in 0..2 {
        sdk.refused("ecs", "DescribeInstances", json!({}), 403, "Forbidden.RAM");
        sdk.by(root, |sdk| sdk.ok("ram", "AttachPolicyToRole", policy.clone()));
        let listed = sdk.ok("ecs", "DescribeInstances", json!({}));
        assert_eq!(listed["TotalCount"], 1);
        sdk.refused("ecs", "StopInstance", json!({"InstanceId": id}), 403, "Forbidden.RAM");
        sdk.by(root, |sdk| sdk.ok("ram", "DetachPolicyFromRole", policy.clone()));
    }
    sdk.key = root.clone();
}

/// Asked by its power button, the guest ends by itself; by force, at once. Then it is released.
async fn stopped_and_released(sdk: &mut Sdk, node: &Node, id: &str) {
    let named = json!({"InstanceId": id});
    sdk.refused("ecs", "StartInstance", named.clone(), 403, "IncorrectInstanceStatus");
    sdk.refused(
        "ecs",
        "DeleteInstance",
        json!({"InstanceId": id, "Force": false}),
        403,
        "IncorrectInstanceStatus",
    );
    sdk.ok("ecs", "StopInstance", json!({"InstanceId": id, "ForceStop": false}));
    sdk.until(id, "Stopped", LOGIN);
    let instance: InstanceId = id.parse().expect("read before");
    let ended = |console: &str| console.contains("reboot: Power down").then_some(());
    node.printed("the end of the guest", BOOT, &instance, ended).await;

    sdk.ok("ecs", "StartInstance", named.clone());
    sdk.until(id, "Running", BOOT);
    sdk.ok("ecs", "StopInstance", json!({"InstanceId": id, "ForceStop": true}));
    sdk.until(id, "Stopped", BOOT);
    sdk.refused("ecs", "StopInstance", named, 403, "IncorrectInstanceStatus");
    sdk.ok("ecs", "DeleteInstance", json!({"InstanceId": id, "Force": false}));
    let left = sdk.ok("ecs", "DescribeInstances", json!({}));
    assert_eq!(left["TotalCount"], 0, "{left}");
    sdk.refused("ecs", "StartInstance", json!({"InstanceId": id}), 404, "InvalidInstanceId.NotFound");
}

/// A renewal moves the date, and what is paid for is not released.
fn renewed(sdk: &mut Sdk) {
    let launch = json!({"ImageId": "debian", "InstanceType": "ecs.t1.small", "InstanceChargeType": "PrePaid", "Period": 1});
    let id = text(&sdk.ok("ecs", "CreateInstance", launch)["InstanceId"]);
    let before = text(&sdk.until(&id, "Stopped", BOOT)["ExpiredTime"]);
    sdk.ok("ecs", "RenewInstance", json!({"InstanceId": id, "Period": 1}));
    let after = text(&sdk.until(&id, "Stopped", BOOT)["ExpiredTime"]);
    // Both are of the form in which text is ordered as time is.
    assert!(after > before, "{before} {after}");
    let named = json!({"InstanceId": id});
    let renew = json!({"InstanceId": id, "AutoRenew": true, "Duration": 1});
    sdk.ok("ecs", "ModifyInstanceAutoRenewAttribute", renew);
    let told = sdk.ok("ecs", "DescribeInstanceAutoRenewAttribute", named.clone());
    assert_eq!(told["InstanceRenewAttributes"]["InstanceRenewAttribute"][0]["Duration"], 1);
    sdk.refused("ecs", "DeleteInstance", named, 403, "ChargeTypeViolation");
    sdk.ok("ecs", "DeleteInstance", json!({"InstanceId": id, "TerminateSubscription": true}));
}

/// Minutes until the release: a little more than the cloud asks for at least.
const MINUTES: u64 = 31;

fn to_be_released(sdk: &mut Sdk) -> String {
    let launch = json!({"ImageId": "debian", "InstanceType": "ecs.t1.small"});
    let id = text(&sdk.ok("ecs", "CreateInstance", launch)["InstanceId"]);
    sdk.until(&id, "Stopped", BOOT);
    let output = Command::new("date")
        .args(["--utc", &format!("--date=@{}", now().as_secs() + MINUTES * 60), "+%Y-%m-%dT%H:%M:%SZ"])
        .output();
    let at = String::from_utf8(output.expect("date is there").stdout).expect("it prints text");
    sdk.ok("ecs", "ModifyInstanceAutoReleaseTime", json!({"InstanceId": id, "AutoReleaseTime": at.trim()}));
    let seen = text(&sdk.until(&id, "Stopped", BOOT)["AutoReleaseTime"]);
    assert_eq!(seen, format!("{}Z", &at[..16]));
    id
}

/// A daemon whose clock is before that time leaves it alone, and one whose clock is past it releases it.
async fn released_at_its_time(node: &mut Node, id: &str) {
    let state = async |node: &Node| -> Option<InstanceState> {
        let found: Result<Instance, _> = node.call(Operation::GetInstance, &[id], &Value::Null).await;
        found.ok().map(|instance| instance.state)
    };
    node.kill();
    node.start_ahead(Duration::from_secs((MINUTES - 10) * 60)).await;
    // The terms of all are looked at each second.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(state(node).await, Some(InstanceState::Created));
    node.kill();
    node.start_ahead(Duration::from_secs((MINUTES + 1) * 60)).await;
    let deadline = Instant::now() + BOOT;
    while state(node).await.is_some_and(|state| state != InstanceState::Terminated) {
        assert!(Instant::now() < deadline, "{id} is not released within {BOOT:?}\n{}", node.log());
        tokio::time::sleep(LOOK).await;
    }
    node.kill();
    node.start().await;
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// Who asks: an access key, with the token of a temporary one.
#[derive(Clone)]
struct Key([Value; 3]);

impl Key {
    fn of(id: &Value, secret: &Value, token: &Value) -> Self {
        Self([id.clone(), secret.clone(), token.clone()])
    }
}

/// The vendor's SDK, in a process that asks what it is told to.
struct Sdk {
    key: Key,
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Sdk {
    fn start(python: &Python, key: Key) -> Self {
        let mut command = python.script("alibaba/ask.py");
        command.args([node::ALIBABA.port().to_string().as_str(), "local"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python starts");
        let asks = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { key, child, asks, answers }
    }

    fn ask(&mut self, product: &str, action: &str, set: &Value) -> (u64, Value) {
        let asked = json!({"key": self.key.0, "product": product, "action": action, "set": set});
        writeln!(self.asks, "{asked}").expect("the SDK's process is there");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers in text");
        let answer: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{action} {set}: {error}: {line:?}"));
        (answer[0].as_u64().expect("a status"), answer[1].clone())
    }

    fn ok(&mut self, product: &str, action: &str, set: Value) -> Value {
        let (status, answer) = self.ask(product, action, &set);
        assert_eq!(status, 200, "{action} {set}: {answer}");
        answer
    }

    fn refused(&mut self, product: &str, action: &str, set: Value, status: u64, code: &str) {
        assert_eq!(self.ask(product, action, &set), (status, code.into()), "{action} {set}");
    }

    /// Asks as somebody else.
    fn by<T>(&mut self, key: &Key, asks: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.key, key.clone());
        let answer = asks(self);
        self.key = before;
        answer
    }

    /// Waits until an instance has this status.
    fn until(&mut self, id: &str, status: &str, limit: Duration) -> Value {
        let deadline = Instant::now() + limit;
        loop {
            let ids = json!([id]).to_string();
            let listed = self.ok("ecs", "DescribeInstances", json!({"InstanceIds": ids}));
            let found = &listed["Instances"]["Instance"][0];
            if found["Status"] == status {
                return found.clone();
            }
            assert!(Instant::now() < deadline, "{id} is not {status} within {limit:?}: {listed}");
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Sdk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
