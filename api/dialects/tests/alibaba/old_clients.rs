//! The SDK of 2016, which the cloud's best-practice scripts were written for: see `tests/clients/alibaba_2016.py`. Fetched, and
//! run, as the newer ones are (`clients`).

use serde_json::json;

use super::caller::Host;
use super::python::{Python, script, set_clock, told};

/// As it is, it cannot be compiled.
static PYTHON: Python = Python::new("clients-2016", "alibaba-2016-requirements.txt", &["--no-compile"]);

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_of_the_scripts_time_does_what_they_do() {
    let Some(python) = PYTHON.get().await else { return };
    let host = Host::start().await;
    set_clock(&host.node);
    let root = host.root().await;
    let mut command = script(&python, "alibaba_2016.py");
    command.arg(root.address.port().to_string()).args(["local", &root.id, &root.secret, &host.image()]);
    let told = told(&mut command).await;
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
