//! Secrets are in no file but those that are made for them: all files of a host are searched for them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use native_api::{Client, Credentials, Endpoint, NewAccessKey, NewKeyPair, Operation, Options, Session};
use serde_json::{Value, json};

use crate::node::in_namespace;
use crate::story::Story;

/// Where the API is on the network, in a namespace of its own.
const ADDRESS: &str = "127.0.0.1:7443";

#[test]
fn secrets_are_in_no_file() {
    in_namespace(|| async {
        let mut story = Story::new([]);
        let config = fs::read_to_string(story.node.config()).unwrap();
        fs::write(story.node.config(), config.replace("[api]", &format!("[api]\nlisten = ['{ADDRESS}']")))
            .unwrap();
        story.start().await;
        let mut secrets: Vec<(&str, String)> = Vec::new();

        for algorithm in ["ed25519", "rsa"] {
            let body = json!({"name": algorithm, "algorithm": algorithm});
            let made: NewKeyPair = story.call(Operation::CreateKeyPair, &[], body).await.unwrap();
            let lines = made.private_key.lines().filter(|line| line.len() > 30 && !line.starts_with("-----"));
            // What an OpenSSH key begins with is public: format, algorithm, the public half.
            let skip = if made.private_key.contains("OPENSSH") { 2 } else { 0 };
            secrets.extend(lines.skip(skip).map(|line| ("private key", line.to_owned())));
        }
        let made: NewAccessKey = story.call(Operation::CreateAccessKey, &[], json!({})).await.unwrap();
        let key = Credentials {
            access_key: made.access_key.id.clone(),
            secret: made.secret.clone(),
            security_token: None,
        };
        let trust = json!({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"RAM": [format!("acs:ram::{}:root", made.access_key.account)]}}]});
        let role = json!({"name": "boss", "trust_policy": trust.to_string()});
        story.call::<Value>(Operation::CreateRole, &[], role).await.unwrap();
        let attach = ["boss", "AdministratorAccess"];
        story.call::<Value>(Operation::AttachRolePolicy, &attach, Value::Null).await.unwrap();

        // Used on the network: well, and wrongly.
        let client = over_tcp(key.clone());
        let assume = json!({"role": "boss", "session_name": "test"});
        let session: Session =
            client.call(Operation::CreateSession, &[], none(), Some(&assume)).await.unwrap();
        let temporary = Credentials {
            access_key: session.access_key.clone(),
            secret: session.secret.clone(),
            security_token: Some(session.security_token.clone()),
        };
        over_tcp(temporary).get_caller().await.unwrap();
        let wrong = "almost-the-right-secret".to_owned();
        over_tcp(Credentials { secret: wrong.clone(), ..key.clone() }).get_caller().await.unwrap_err();
        for secret in [&made.secret, &session.secret, &wrong] {
            secrets.push(("secret", secret.clone()));
        }
        let pair =
            |id: &native_api::AccessKeyId, secret: &str| BASE64_STANDARD.encode(format!("{id}:{secret}"));
        secrets.push(("header", pair(&made.access_key.id, &made.secret)));
        secrets.push(("header", pair(&session.access_key, &session.secret)));
        secrets.push(("token", session.security_token));

        let image = story.import_disk("disk").await;
        let user_data = "#cloud-config\npassword: correct-horse-battery-staple\n";
        let launch = json!({"image": image, "instance_type": "tiny", "key_pair": "rsa",
            "user_data": BASE64_STANDARD.encode(user_data)});
        let launched = story.launch(launch).await;
        story.runs(&launched[0]).await;
        story.stop().await;
        story.start().await;

        let host_key = fs::read_to_string(story.node.path().join("key/host-key")).unwrap();
        let (mut files, log) = (Vec::new(), story.node.path().join("log"));
        for folder in ["state", "run"] {
            collect(&story.node.path().join(folder), &mut files);
        }
        files.push(log.clone());
        assert!(files.len() > 10 && fs::metadata(&log).unwrap().len() > 1000, "{files:?}");
        secrets.push(("host key", host_key.trim().to_owned()));
        assert!(secrets.len() > 20, "{}", secrets.len());
        for (what, secret) in &secrets {
            assert!(secret.len() > 15, "{what} {secret}");
            let found: Vec<_> = files.iter().filter(|file| has(file, secret.as_bytes())).collect();
            assert!(found.is_empty(), "a {what} is in {found:?}");
        }

        // User data is for the guest, and is given back to whoever may see the instance: it is in the records and on the disk
        // that the guest reads it from, which are root's alone, and nowhere else.
        let (plain, encoded) = ("correct-horse", BASE64_STANDARD.encode(user_data));
        let found: Vec<_> = files
            .iter()
            .filter(|file| has(file, plain.as_bytes()) || has(file, &encoded.as_bytes()[..encoded.len() - 4]))
            .collect();
        assert!(!found.is_empty(), "the guest gets its user data");
        for file in found {
            let name = file.strip_prefix(story.node.path()).unwrap().display().to_string();
            assert!(name.starts_with("state/records.sqlite") || name.starts_with("run/seeds/i-"), "{name}");
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
        story.end().await;
    });
}

fn over_tcp(credentials: Credentials) -> Client {
    let endpoint: Endpoint = format!("http://{ADDRESS}").parse().unwrap();
    Client::new(endpoint, Options { credentials: Some(credentials), ..Options::default() }).unwrap()
}

fn none() -> Option<&'static ()> {
    None
}

fn has(file: &Path, text: &[u8]) -> bool {
    // A socket has no content.
    let Ok(content) = fs::read(file) else { return false };
    content.windows(text.len()).any(|window| window == text)
}

/// Files below a folder; not the great empty disks.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if path.ends_with("volumes") => {}
            true => collect(&path, files),
            false => files.push(path),
        }
    }
}
