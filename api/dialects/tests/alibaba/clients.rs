//! The cloud's own SDKs, unmodified (`python`), with what its best-practice scripts do: see `tests/clients/alibaba.py`.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::caller::{Caller, Host};
use super::fixture::{Fixture, version};
use super::python::{PATIENCE, Python, script, set_clock, told};
use super::table::entries;

static PYTHON: Python = Python::new("clients", "requirements.txt", &[]);

async fn tell(python: &Path, root: &Caller, host: &Host, story: &str) -> Value {
    let mut command = script(python, "alibaba.py");
    command.arg(story).arg(root.address.port().to_string());
    command.args(["local", &root.id, &root.secret, &host.image()]);
    told(&mut command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn unmodified_sdks_do_what_the_clouds_scripts_do() {
    let Some(python) = PYTHON.get().await else { return };
    let host = Host::start().await;
    set_clock(&host.node);
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
    let Some(python) = PYTHON.get().await else { return };
    let host = Host::start().await;
    set_clock(&host.node);
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
