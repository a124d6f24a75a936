//! Clouds' own clients, unmodified, with each of what they do: see `tests/clients/ask.py`. They are fetched from PyPI into a
//! folder of cargo's, so this runs only where `BOTHY_REQUIRE_CLIENTS` promises that it can: as root, with `ip`, `unshare`,
//! and a `python3` that has `venv`. There it fails if it cannot.

use std::path::{Path, PathBuf};
use std::time::Duration;

use compute::resource::{Cloud, MetadataTokens};
use jiff::Timestamp;
use metadata::Limits;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::http::Guest;
use super::world::{Host, TRUST};

const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
/// As the manual of 2007 has it.
const USER_DATA: &str = "store-size=123PB backup-every=5min | replicate-every=1min |";
/// Longest time for fetching them, and for what one does.
const PATIENCE: Duration = Duration::from_secs(300);

async fn run(command: &mut Command) -> std::process::Output {
    let output = timeout(PATIENCE, command.kill_on_drop(true).output());
    let output = output.await.unwrap_or_else(|_| panic!("{command:?} takes too long"));
    output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// A Python that has the clients; `None`, and a line that says so, where they are not promised.
async fn python() -> Option<PathBuf> {
    if std::env::var_os("BOTHY_REQUIRE_CLIENTS").is_none() {
        eprintln!(
            "skipped: BOTHY_REQUIRE_CLIENTS is not set: clouds' own clients are fetched from PyPI, and need root"
        );
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    let python = folder.join("bin/python");
    let requirements = Path::new(CLIENTS).join("requirements.txt");
    // What is there from an earlier run is looked at by pip, and mostly left as it is.
    for command in [
        Command::new("python3").args(["-m", "venv"]).arg(&folder),
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&requirements),
    ] {
        let output = run(command).await;
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Some(python)
}

/// What a client gets in a guest, or how it fails.
async fn ask(python: &Path, guest: &Guest, client: &str) -> Result<Value, String> {
    let mut command = Command::new("unshare");
    command.args(["-n", "--"]).arg(python).arg(format!("{CLIENTS}/ask.py")).arg(client).arg(guest.socket());
    // What the machine has of its own is not for these clients.
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    let output = run(&mut command).await;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(errors);
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {errors}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn unmodified_clients_get_what_they_ask_for() {
    let Some(python) = python().await else { return };
    // Clients compare with their own clock.
    let host = Host::start_at(Limits::default(), Timestamp::now()).await;
    host.role(TRUST).await;
    let mut guests = Vec::new();
    for cloud in [Cloud::Ec2, Cloud::Alibaba, Cloud::Huawei] {
        let mut request = host.bare_request(cloud);
        request.user_data = USER_DATA.into();
        (request.role, request.key_pair) = (Some("EcsRamRoleTest".to_owned()), Some("my key".to_owned()));
        guests.push(host.guest(request).await);
    }
    let [(ec2, of_ec2), (alibaba, of_alibaba), (_, of_huawei)] = &guests[..] else { panic!("three") };

    let got = ask(&python, of_ec2, "botocore").await.unwrap();
    assert_good(&host, &got["credentials"], ["access_key", "secret_key", "token"]).await;
    assert_eq!(
        (&got["region"], &got["credentials"]["role_name"]),
        (&"eu-west-1".into(), &"EcsRamRoleTest".into())
    );

    let got = ask(&python, of_ec2, "boto").await.unwrap();
    let metadata = &got["metadata"];
    assert_eq!(metadata["instance-id"], ec2.id.to_string());
    assert_eq!(metadata["placement"]["availability-zone"], "eu-west-1a");
    assert_eq!(
        metadata["public-keys"]["my key"].as_str().map(|key| key.starts_with("ssh-ed25519 ")),
        Some(true)
    );
    let role = &metadata["iam"]["security-credentials"]["EcsRamRoleTest"];
    assert_good(&host, role, ["AccessKeyId", "SecretAccessKey", "Token"]).await;
    assert_eq!(got["document"]["instanceId"], ec2.id.to_string());
    assert_eq!(got["user_data"], USER_DATA);

    for client in ["alibaba", "alibaba with tokens only", "aliyun core"] {
        let got = ask(&python, of_alibaba, client).await.unwrap();
        assert_good(&host, &got, ["id", "secret", "token"]).await;
    }
    let got = ask(&python, of_huawei, "huawei").await.unwrap();
    assert_good(&host, &got, ["id", "secret", "token"]).await;

    // Where tokens are required, those that know them go on, and those that do not are refused.
    for (instance, _) in &guests {
        let change = compute::resource::MetadataChange {
            tokens: Some(MetadataTokens::Required),
            ..Default::default()
        };
        host.compute.set_metadata_options(&instance.account, instance.id, change).await.unwrap();
    }
    for (guest, client, is_given) in [
        (of_ec2, "botocore", true),
        (of_ec2, "boto", false),
        (of_alibaba, "alibaba", true),
        (of_alibaba, "alibaba with tokens only", true),
        (of_alibaba, "aliyun core", false),
        (of_huawei, "huawei", true),
    ] {
        let got = ask(&python, guest, client).await;
        let is_empty =
            got.as_ref().is_ok_and(|got| got["metadata"].as_object().is_some_and(|all| all.is_empty()));
        assert_eq!(got.is_ok() && !is_empty, is_given, "{client}: {got:?}");
    }

    let change = compute::compute::InstanceChange { role: Some(None), ..Default::default() };
    host.compute.change_instance(&alibaba.account, alibaba.id, &change).await.unwrap();
    let refused = ask(&python, of_alibaba, "alibaba").await.unwrap_err();
    assert!(
        refused.contains("404") || refused.contains("Failed to get RAM session credentials"),
        "{refused}"
    );
}

async fn assert_good(host: &Host, got: &Value, [id, secret, token]: [&str; 3]) {
    let text = |name: &str| got[name].as_str().unwrap_or_else(|| panic!("{name} in {got}"));
    let now = host.compute.clock().now();
    let found = host.identity.find_key(text(id), Some(text(token)), now).await.unwrap();
    assert_eq!(found.secret.expose(), text(secret));
}
