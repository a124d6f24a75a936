//! The cloud's own SDKs, unmodified, with what its best-practice scripts do: see `tests/clients/alibaba.py`. They are fetched
//! from PyPI into a folder of cargo's, so this runs only where `BOTHY_REQUIRE_CLIENTS` promises that it can, with a `python3`
//! that has `venv`. There it fails if it cannot.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::caller::{Caller, Host};

const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
/// Longest time for fetching them, and for what one does.
const PATIENCE: Duration = Duration::from_secs(300);

async fn run(command: &mut Command) -> Vec<u8> {
    let output = timeout(PATIENCE, command.kill_on_drop(true).output());
    let output = output.await.unwrap_or_else(|_| panic!("{command:?} takes too long"));
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The SDK that the scripts were written for, and only Python 2 could use: `alibaba_old.py` brings it to Python 3.
const OLD: [&str; 2] = ["aliyun-python-sdk-core==2.1.2", "aliyun-python-sdk-ecs==2.1.2"];

/// A Python that has the clients, made once; `None`, and a line that says so, where they are not promised.
async fn python() -> Option<PathBuf> {
    static MADE: OnceCell<Option<PathBuf>> = OnceCell::const_new();
    MADE.get_or_init(fetch).await.clone()
}

async fn fetch() -> Option<PathBuf> {
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

/// The folder with the old SDK, as pip unpacks it.
async fn old_sdk(python: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let quiet =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"];
    run(Command::new(python).args(quiet).arg("--target").arg(folder.path()).args(OLD)).await;
    folder
}

/// What a script got; `first` is what it is told first.
async fn tell(python: &Path, root: &Caller, host: &Host, script: &str, first: &str) -> Value {
    let mut command = Command::new(python);
    command.arg(format!("{CLIENTS}/{script}")).arg(first).arg(root.address.port().to_string());
    command.args(["local", &root.id, &root.secret, &host.image()]);
    // What the machine has of its own is not for these clients.
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    serde_json::from_slice(&run(&mut command).await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn unmodified_sdks_do_what_the_clouds_scripts_do() {
    let Some(python) = python().await else { return };
    let host = Host::start().await;
    // Clients sign with their own clock.
    let behind = Timestamp::now().duration_since(host.node.compute.clock().now());
    host.node.clock.advance(behind.try_into().expect("the test's clock begins in the past"));
    let root = host.root().await;
    let told = tell(&python, &root, &host, "alibaba.py", "scripts").await;
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
    let told = tell(&python, &root, &host, "alibaba.py", "tea").await;
    let expected = json!({
        "cpu": 2,
        "tag": ["made by", "Tea"],
        "refused": [403, "IncorrectInstanceStatus"],
        "disks": ["data", "system"],
        "left": 1, // what the scripts paid for in advance
    });
    assert_eq!(told, expected);
    let told = tell(&python, &root, &host, "alibaba.py", "roles").await;
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

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_that_the_scripts_were_written_for_does_what_they_do() {
    let Some(python) = python().await else { return };
    let folder = old_sdk(&python).await;
    let host = Host::start().await;
    let behind = Timestamp::now().duration_since(host.node.compute.clock().now());
    host.node.clock.advance(behind.try_into().expect("the test's clock begins in the past"));
    let root = host.root().await;
    let place = folder.path().to_str().unwrap();
    let told = tell(&python, &root, &host, "alibaba_old.py", place).await;
    let expected = json!({
        "refused": "IncorrectInstanceStatus",
        "release": true,
        "cancelled": "",
        "expiring": true,
        "renewed": true,
        "again": 0,
        "renewal": true,
        "plain": true,
    });
    assert_eq!(told, expected);
}
