//! The SDK of 2016, which the cloud's best-practice scripts were written for: see `tests/clients/alibaba_2016.py`. Fetched, and
//! run, as the newer ones are (`clients`).

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::process::Command;

use super::caller::Host;
use super::clients::{CLIENTS, run};

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_of_the_scripts_time_does_what_they_do() {
    if std::env::var_os("BOTHY_REQUIRE_CLIENTS").is_none() {
        eprintln!("skipped: BOTHY_REQUIRE_CLIENTS is not set: the cloud's own SDKs are fetched from PyPI");
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients-2016");
    let python = folder.join("bin/python");
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder)).await;
    let requirements = Path::new(CLIENTS).join("alibaba-2016-requirements.txt");
    // As it is, it cannot be compiled.
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "-r"];
    run(Command::new(&python).args(quiet).arg(requirements)).await;

    let host = Host::start().await;
    // Clients sign with their own clock.
    let behind = Timestamp::now().duration_since(host.node.compute.clock().now());
    host.node.clock.advance(behind.try_into().expect("the test's clock begins in the past"));
    let root = host.root().await;
    let mut command = Command::new(&python);
    command.arg(format!("{CLIENTS}/alibaba_2016.py")).arg(root.address.port().to_string());
    command.args(["local", &root.id, &root.secret, &host.image()]);
    // What the machine has of its own is not for these clients.
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    let told: Value = serde_json::from_slice(&run(&mut command).await).unwrap();
    let renewal = &told["renewal"][0];
    assert_eq!(
        (&renewal["InstanceId"], &renewal["AutoRenewEnabled"], &renewal["Duration"]),
        (&told["paid"], &true.into(), &1.into()),
        "{told}"
    );
    let expected = json!({
        "regions": ["local"],
        "hello": true,
        "refused": "IncorrectInstanceStatus",
        "keys": ["Code", "HostId", "Message", "Recommend", "RequestId"],
        "release": true,
        "cancelled": "",
        "expiring": true,
        "renewed": true,
        "again": [],
        "renewal": told["renewal"],
        "paid": told["paid"],
        "unformatted": "<?xml version='1.0' encoding='UTF-8'",
    });
    assert_eq!(told, expected);
}
