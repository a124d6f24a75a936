//! The cloud's own SDKs, unmodified, with what its best-practice scripts do: see `tests/clients/alibaba.py`. They are fetched
//! from PyPI into a folder of cargo's, so this runs only where `BOTHY_REQUIRE_CLIENTS` promises that it can, with a `python3`
//! that has `venv`. There it fails if it cannot.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::caller::{Caller, Host};
use super::fixture::{Fixture, version};
use super::table::entries;

pub const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
/// Longest time for fetching them, and for what one does.
const PATIENCE: Duration = Duration::from_secs(300);

pub async fn run(command: &mut Command) -> Vec<u8> {
    let output = timeout(PATIENCE, command.kill_on_drop(true).output());
    let output = output.await.unwrap_or_else(|_| panic!("{command:?} takes too long"));
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A Python that has the clients; `None` where they are not promised. Fetched once for all tests.
async fn python() -> Option<PathBuf> {
    static PYTHON: OnceCell<Option<PathBuf>> = OnceCell::const_new();
    PYTHON.get_or_init(fetched).await.clone()
}

async fn fetched() -> Option<PathBuf> {
    if std::env::var_os("BOTHY_REQUIRE_CLIENTS").is_none() {
        eprintln!("skipped: BOTHY_REQUIRE_CLIENTS is not set: the cloud's own SDKs are fetched from PyPI");
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    let python = folder.join("bin/python");
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder)).await;
    // What is there from an earlier run is looked at by pip, and mostly left as it is.
    let requirements = Path::new(CLIENTS).join("requirements.txt");
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run(Command::new(&python).args(quiet).arg(requirements)).await;
    Some(python)
}

fn script(python: &Path, name: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(format!("{CLIENTS}/{name}"));
    // What the machine has of its own is not for these clients.
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command
}

/// Clients sign with their own clock, in whole seconds.
fn set_clock(host: &Host) {
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let behind = now.duration_since(host.node.compute.clock().now());
    host.node.clock.advance(behind.try_into().expect("the test's clock begins in the past"));
}

async fn tell(python: &Path, root: &Caller, host: &Host, story: &str) -> Value {
    let mut command = script(python, "alibaba.py");
    command.arg(story).arg(root.address.port().to_string());
    command.args(["local", &root.id, &root.secret, &host.image()]);
    serde_json::from_slice(&run(&mut command).await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn unmodified_sdks_do_what_the_clouds_scripts_do() {
    let Some(python) = python().await else { return };
    let host = Host::start().await;
    set_clock(&host);
    let root = host.root().await;
    let told = tell(&python, &root, &host, "scripts").await;
    let expected = json!({
        "regions": ["local"],
        "refused": ["IncorrectInstanceStatus", "127.0.0.1"],
        "release": true,
        "cancelled": "",
        "expiring": true,
        "renewed": true,
        "again": 0,
        "renewal": 1,
    });
    assert_eq!(told, expected);
    let told = tell(&python, &root, &host, "tea").await;
    let expected = json!({
        "cpu": 2,
        "tag": ["made by", "Tea"],
        "refused": [403, "IncorrectInstanceStatus"],
        "disks": ["data", "system"],
        "left": 1, // what the scripts paid for in advance
    });
    assert_eq!(told, expected);
    let told = tell(&python, &root, &host, "roles").await;
    let expected = json!({
        "arn": format!("acs:ram::{}:role/EcsRamRoleTest", root.account),
        "before": [403, "Forbidden.RAM"],
        "passing": [403, "Forbidden.RAM"],
        "attached": 0,
        "who": "RAMUser",
        "secret": [400, "InvalidAccessKeySecret"],
        "unknown": [404, "InvalidAction.NotFound"],
    });
    assert_eq!(told, expected);
}

/// All that the table says is refused, in one host: it changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_the_exceptions_that_an_sdk_expects() {
    let Some(python) = python().await else { return };
    let host = Host::start().await;
    set_clock(&host);
    let fixture = Fixture::of(host).await;
    let (mut cases, mut expected) = (Vec::new(), Vec::new());
    for entry in entries() {
        let product = match version(entry.action) {
            super::caller::RAM => "ram",
            super::caller::STS => "sts",
            _ => "ecs",
        };
        for wrongly in entry.wrongly(&fixture) {
            let caller = if wrongly.by_stranger { &fixture.stranger } else { &fixture.root };
            cases.push(json!({
                "key": [caller.id, caller.secret],
                "product": product,
                "action": entry.action,
                "asked": wrongly.asked,
                "title": wrongly.title,
            }));
            expected.push(json!([wrongly.status, wrongly.code]));
        }
    }
    assert!(cases.len() > 250, "{} are refused", cases.len());
    let mut command = script(&python, "refusals.py");
    command.args([&fixture.root.address.port().to_string(), "local"]).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = command.spawn().unwrap();
    let mut asks = client.stdin.take().unwrap();
    asks.write_all(json!(cases).to_string().as_bytes()).await.unwrap();
    drop(asks);
    let output = timeout(PATIENCE, client.wait_with_output()).await.expect("it ends").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told.len(), expected.len());
    for ((case, told), expected) in cases.iter().zip(told).zip(expected) {
        assert_eq!(told, expected, "{} {}", case["action"], case["title"]);
    }
}
