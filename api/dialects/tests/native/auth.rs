//! Who gets in, by which way and with what, and that nobody sees what is another's: for every operation of the contract.

use std::sync::Arc;

use native_api::{self as api, Access, ErrorCode, Method, Operation, ROUTES};
use serde_json::{Value, json};
use tokio::sync::watch;

use dialects::native::Peer;

use super::client::Client;
use super::world::Node;

/// An account with a key, and a client that shows it.
pub async fn account(node: &Node, name: &str, way: &Client) -> (String, Client) {
    let operator = node.operator();
    let account: api::Account = operator.post("/v1/accounts", &json!({ "name": name })).await.read();
    let id = account.id.to_string();
    let named = operator.with(api::ACCOUNT_HEADER, id.clone());
    let key: api::NewAccessKey = named.post("/v1/access-keys", &json!({})).await.read();
    (id, way.clone().key(key.access_key.id.as_str(), &key.secret))
}

#[tokio::test]
async fn credentials_are_looked_at() {
    let node = Node::start().await;
    let tcp = Client::tcp(node.serve_tcp(None).await);
    let (id, client) = account(&node, "acme", &tcp).await;
    let named = node.operator().with(api::ACCOUNT_HEADER, id.clone());
    let caller: api::Caller = client.get("/v1/caller").await.read();
    assert_eq!((caller.account.as_str(), caller.principal), (id.as_str(), api::Principal::Account));
    assert_eq!(caller.account_name.as_str(), "acme");

    let nobody = tcp.get("/v1/caller").await;
    assert!(nobody.headers["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    nobody.refused(ErrorCode::Unauthenticated);
    for header in ["Basic", "Basic ???", "Bearer x", "Basic Og=="] {
        tcp.clone().with("authorization", header).get("/v1/caller").await.refused(ErrorCode::Unauthenticated);
    }
    let key: api::NewAccessKey = named.post("/v1/access-keys", &json!({})).await.read();
    let (key_id, secret) = (key.access_key.id.as_str(), key.secret.as_str());
    let unknown = tcp.clone().key("AKIAIOSFODNN7EXAMPLE", secret).get("/v1/caller").await;
    let unknown = unknown.refused(ErrorCode::Unauthenticated);
    let wrong = tcp.clone().key(key_id, "wrong").get("/v1/caller").await.refused(ErrorCode::Unauthenticated);
    assert_eq!(wrong, unknown, "whether there is such a key is not told");
    let right = tcp.clone().key(key_id, secret);
    right.get("/v1/caller").await.status(200);
    right
        .clone()
        .with(api::SECURITY_TOKEN_HEADER, "x")
        .get("/v1/caller")
        .await
        .refused(ErrorCode::Unauthenticated);
    right.clone().with(api::ACCOUNT_HEADER, id.clone()).get("/v1/caller").await.status(200);
    right
        .clone()
        .with(api::ACCOUNT_HEADER, "000000000001")
        .get("/v1/caller")
        .await
        .refused(ErrorCode::AccessDenied);
    let path = format!("/v1/access-keys/{key_id}");
    named.json("PATCH", &path, &json!({ "active": false })).await.status(200);
    right.get("/v1/caller").await.refused(ErrorCode::Unauthenticated);
    named.json("PATCH", &path, &json!({ "active": true })).await.status(200);
    right.get("/v1/caller").await.status(200);
    let account = format!("/v1/accounts/{id}");
    node.operator().json("PATCH", &account, &json!({ "enabled": false })).await.status(200);
    right.get("/v1/caller").await.refused(ErrorCode::Unauthenticated);
    named.get("/v1/caller").await.status(200);
    node.operator()
        .with(api::ACCOUNT_HEADER, "nobody")
        .get("/v1/caller")
        .await
        .refused(ErrorCode::AccessDenied);
    // On the unix socket a key is taken too, for whoever wants to know what it may.
    node.operator().key(key_id, "wrong").get("/v1/caller").await.refused(ErrorCode::Unauthenticated);
}

#[tokio::test]
async fn sessions_and_policies_narrow() {
    let node = Node::start().await;
    let tcp = Client::tcp(node.serve_tcp(None).await);
    let (id, root) = account(&node, "acme", &tcp).await;
    root.post("/v1/users", &json!({ "name": "ann" })).await.status(201);
    let key: api::NewAccessKey = root.post("/v1/access-keys", &json!({ "user": "ann" })).await.read();
    let ann = tcp.clone().key(key.access_key.id.as_str(), &key.secret);
    let caller: api::Caller = ann.get("/v1/caller").await.read();
    assert_eq!(caller.principal, api::Principal::User("ann".parse().unwrap()));
    let denied = ann.get("/v1/volumes").await.refused(ErrorCode::AccessDenied);
    assert!(
        denied.message.contains(&format!("bothy:ListVolumes is not allowed for bothy:local:{id}:volume/*"))
    );
    let volume = root.post("/v1/volumes", &json!({ "size_gib": 1 })).await.status(201);
    let volume = volume["id"].as_str().unwrap();
    let allow = |resource: &str| {
        json!({ "Version": "1", "Statement": [{ "Effect": "Allow", "Action": ["bothy:*Volume*", "sts:AssumeRole"],
            "Resource": resource }] })
        .to_string()
    };
    let one = format!("bothy:*:{id}:volume/{volume}");
    root.post("/v1/policies", &json!({ "name": "one", "document": allow(&one) })).await.status(201);
    root.bare("PUT", "/v1/users/ann/policies/one").await.status(200);
    ann.get(&format!("/v1/volumes/{volume}")).await.status(200);
    ann.get("/v1/volumes/vol-00000000").await.refused(ErrorCode::AccessDenied);
    ann.get("/v1/volumes").await.refused(ErrorCode::AccessDenied);

    let trust = json!({ "Version": "1", "Statement": [{ "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": { "RAM": [format!("acs:ram::{id}:root")] } }] });
    root.post("/v1/roles", &json!({ "name": "boss", "trust_policy": trust.to_string() })).await.status(201);
    root.bare("PUT", "/v1/roles/boss/policies/AdministratorAccess").await.status(200);
    let assume = json!({ "role": "boss", "session_name": "s1", "policy": allow("*") });
    ann.post("/v1/sessions", &assume).await.refused(ErrorCode::AccessDenied);
    let elsewhere = json!({ "role": "boss", "session_name": "s1", "account": "1234567890123456" });
    root.post("/v1/sessions", &elsewhere).await.refused(ErrorCode::AccessDenied);
    let session: api::Session = root.post("/v1/sessions", &assume).await.read();
    let temporary = tcp.clone().key(session.access_key.as_str(), &session.secret);
    temporary.get("/v1/caller").await.refused(ErrorCode::Unauthenticated);
    let with = |token: &str| temporary.clone().with(api::SECURITY_TOKEN_HEADER, token.to_owned());
    with("wrong").get("/v1/caller").await.refused(ErrorCode::Unauthenticated);
    let temporary = with(&session.security_token);
    let caller: api::Caller = temporary.get("/v1/caller").await.read();
    assert_eq!(
        serde_json::to_value(caller.principal).unwrap(),
        json!({ "role": { "role": "boss", "session_name": "s1" } })
    );
    temporary.get("/v1/volumes").await.status(200);
    temporary.get("/v1/users").await.refused(ErrorCode::AccessDenied);
    node.clock.advance(std::time::Duration::from_secs(3601));
    temporary.get("/v1/caller").await.refused(ErrorCode::Unauthenticated);

    // Who may launch may not give roles away by that.
    root.bare("PUT", "/v1/users/ann/policies/AdministratorAccess").await.status(200);
    let no_passing = json!({ "Version": "1", "Statement": [{ "Effect": "Deny", "Action": "bothy:PassRole", "Resource": "*" }] });
    root.post("/v1/policies", &json!({ "name": "no", "document": no_passing.to_string() })).await.status(201);
    root.bare("PUT", "/v1/users/ann/policies/no").await.status(200);
    let launch = json!({ "image": "ami-00000000", "instance_type": "tiny", "role": "boss" });
    ann.post("/v1/instances", &launch).await.refused(ErrorCode::AccessDenied);
    // The role trusts no service that runs instances.
    root.post("/v1/instances", &launch).await.refused(ErrorCode::InvalidParameter);
}

/// What every operation with an id is asked with: something of the other account, of each kind.
fn words(ids: &Value, path: &str) -> Vec<String> {
    let parameters = path.split('/').filter_map(|word| word.strip_prefix('{')?.strip_suffix('}'));
    parameters.map(|name| ids[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned()).collect()
}

fn body(operation: Operation, ids: &Value) -> Value {
    match operation {
        Operation::RenewInstance => json!({ "period": { "weeks": 1 } }),
        Operation::AttachVolume => json!({ "instance": ids["instance_id"] }),
        Operation::AttachNetworkInterface => json!({ "instance": ids["instance_id"] }),
        Operation::AssociateAddress => json!({ "target": { "instance": ids["instance_id"] } }),
        Operation::UpdateAccessKey => json!({ "active": false }),
        _ if operation.as_str().ends_with("Tags") => json!({ "tags": {} }),
        _ => json!({}),
    }
}

#[tokio::test]
async fn nobody_touches_what_is_anothers() {
    let node = Node::start().await;
    let tcp = Client::tcp(node.serve_tcp(None).await);
    let (owner_id, owner) = account(&node, "owner", &tcp).await;
    let (_, other) = account(&node, "other", &tcp).await;
    let image = node.image(&node.operator().with(api::ACCOUNT_HEADER, owner_id.clone()), "one").await;
    let job = node.operator().with(api::ACCOUNT_HEADER, owner_id.clone()).all("/v1/jobs").await.remove(0);
    let instance = super::life::launch(&owner, &image, json!({})).await;
    let launched = owner.get(&format!("/v1/instances/{instance}")).await.status(200);
    let volume = owner.post("/v1/volumes", &json!({ "size_gib": 1 })).await.status(201)["id"].clone();
    owner.until(&format!("/v1/volumes/{}", volume.as_str().unwrap()), "/state", "available").await;
    let snapshot = owner.post("/v1/snapshots", &json!({ "volume": volume })).await.status(201)["id"].clone();
    let key_pair =
        owner.post("/v1/key-pairs", &json!({ "name": "k" })).await.status(201)["key_pair"]["id"].clone();
    let subnet = owner.all("/v1/subnets").await.remove(0);
    let group = owner.all("/v1/security-groups").await.remove(0)["id"].clone();
    let address = owner.post("/v1/addresses", &json!({})).await.status(201)["id"].clone();
    owner.post("/v1/users", &json!({ "name": "ann" })).await.status(201);
    let key = owner.post("/v1/access-keys", &json!({ "user": "ann" })).await.status(201);
    let pem = super::certificates::certificate();
    let certificate = owner.post("/v1/certificates", &json!({ "pem": pem })).await.status(201);
    let trust = json!({ "Version": "1", "Statement": [{ "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": { "Service": ["bothy"] } }] });
    owner.post("/v1/roles", &json!({ "name": "boss", "trust_policy": trust.to_string() })).await.status(201);
    let document =
        json!({ "Version": "1", "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] });
    owner.post("/v1/policies", &json!({ "name": "all", "document": document.to_string() })).await.status(201);
    let ids = json!({
        "instance_id": instance, "reservation_id": launched["reservation"], "instance_type": "tiny", "image_id": image,
        "volume_id": volume, "snapshot_id": snapshot, "key_pair_id": key_pair, "vpc_id": subnet["vpc"],
        "subnet_id": subnet["id"], "network_interface_id": launched["network_interfaces"][0]["id"],
        "security_group_id": group, "address_id": address, "job_id": job["id"], "account_id": owner_id, "user_name": "ann",
        "access_key_id": key["access_key"]["id"], "fingerprint": certificate["fingerprint"], "role_name": "boss", "policy_name": "all",
    });
    let before = everything(&owner).await;
    let (mut asked, mut with_ids) = (0, 0);
    for route in ROUTES.iter().flat_map(|rows| rows.iter()) {
        let words = words(&ids, route.path);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let path = route.path_with(&words);
        let send = |client: Client| {
            let path = path.clone();
            let body = route.body.map(|_| body(route.operation, &ids));
            async move {
                match body {
                    Some(body) => client.json(route.method.as_str(), &path, &body).await,
                    None => client.bare(route.method.as_str(), &path).await,
                }
            }
        };
        // Without credentials nothing is told, whatever it is.
        if route.access != Access::Open {
            send(tcp.clone()).await.refused(ErrorCode::Unauthenticated);
            send(tcp.clone().key("AKIAIOSFODNN7EXAMPLE", "x")).await.refused(ErrorCode::Unauthenticated);
            asked += 1;
        }
        // What is another's is not there, and what is the operator's is not allowed.
        if route.access == Access::Operator {
            send(other.clone()).await.refused(ErrorCode::AccessDenied);
        } else if route.path.contains('{') && route.operation != Operation::GetInstanceType {
            let refused = send(other.clone()).await.refused(ErrorCode::NotFound);
            let absent = absent(&words);
            let path = route.path_with(&absent.iter().map(String::as_str).collect::<Vec<_>>());
            let body = route.body.map(|_| body(route.operation, &ids));
            let nothing = match body {
                Some(body) => other.json(route.method.as_str(), &path, &body).await,
                None => other.bare(route.method.as_str(), &path).await,
            };
            let nothing = nothing.refused(ErrorCode::NotFound);
            let alike = |text: &str, words: &[&str]| {
                words.iter().fold(text.to_owned(), |text, word| text.replace(word, "ID"))
            };
            let absent: Vec<&str> = absent.iter().map(String::as_str).collect();
            assert_eq!(alike(&refused.message, &words), alike(&nothing.message, &absent), "{path}");
            with_ids += 1;
        }
    }
    assert_eq!(everything(&owner).await, before, "nothing has changed");
    assert!(asked > 90 && with_ids > 50, "{asked} {with_ids}");
    assert!(ROUTES.iter().flat_map(|rows| rows.iter()).any(|route| route.method == Method::Delete));
}

/// Ids of the same kinds that nothing has.
fn absent(words: &[&str]) -> Vec<String> {
    let other = |word: &&str| match word.split_once('-') {
        Some((prefix, _)) => format!("{prefix}-00000000"),
        None if word.len() == 64 => "0".repeat(64),
        None if word.starts_with("AKIA") => "AKIAIOSFODNN7EXAMPLE".to_owned(),
        None => format!("{word}x"),
    };
    words.iter().map(other).collect()
}

async fn everything(client: &Client) -> Vec<Value> {
    let mut all = Vec::new();
    for list in [
        "instances",
        "images",
        "volumes",
        "snapshots",
        "key-pairs",
        "vpcs",
        "subnets",
        "network-interfaces",
        "security-groups",
        "addresses",
        "users",
        "access-keys",
        "certificates",
        "roles",
        "policies",
    ] {
        all.extend(client.all(&format!("/v1/{list}")).await);
    }
    all
}

#[tokio::test]
async fn what_is_shared_is_seen_and_not_changed() {
    let node = Node::start().await;
    let tcp = Client::tcp(node.serve_tcp(None).await);
    let (owner_id, owner) = account(&node, "owner", &tcp).await;
    let (other_id, other) = account(&node, "other", &tcp).await;
    let image = node.image(&node.operator().with(api::ACCOUNT_HEADER, owner_id), "one").await;
    let path = format!("/v1/images/{image}");
    owner.json("PUT", &format!("{path}/tags"), &json!({ "tags": { "k": "v" } })).await.status(200);
    owner.json("PATCH", &path, &json!({ "launch_permissions": [other_id] })).await.status(200);
    let seen: api::Image = other.get(&path).await.read();
    assert_eq!((seen.launch_permissions, seen.job, seen.tags.is_empty()), (None, None, true));
    assert_eq!(other.all("/v1/images").await.len(), 1);
    assert_eq!(other.all("/v1/images?tag=k").await.len(), 0);
    super::life::launch(&other, &image, json!({})).await;
    other.json("PATCH", &path, &json!({ "public": true })).await.refused(ErrorCode::NotFound);
    other.json("PUT", &format!("{path}/tags"), &json!({ "tags": {} })).await.refused(ErrorCode::NotFound);
    other.delete(&path).await.refused(ErrorCode::NotFound);
}

#[tokio::test]
async fn secrets_do_not_come_in_the_clear_over_a_network() {
    let node = Node::start().await;
    let folder = tempfile::tempdir().unwrap();
    // A connection as if it came from elsewhere, or from somebody else on this host.
    for (index, peer, code) in [
        (
            0,
            Peer::Network { address: "192.0.2.7:4711".parse().unwrap(), encrypted: false },
            ErrorCode::AccessDenied,
        ),
        (
            1,
            Peer::Network { address: "192.0.2.7:4711".parse().unwrap(), encrypted: true },
            ErrorCode::Unauthenticated,
        ),
        (
            2,
            Peer::Network { address: "[::ffff:127.0.0.1]:1".parse().unwrap(), encrypted: false },
            ErrorCode::Unauthenticated,
        ),
        (3, Peer::Stranger { uid: 1000 }, ErrorCode::AccessDenied),
    ] {
        let path = folder.path().join(index.to_string());
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let service = node.service.clone();
        let (_keep, ending) = watch::channel(false);
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            service.serve_connection(stream, peer, ending, None).await;
        });
        let client = Client::unix(&path).key("AKIAIOSFODNN7EXAMPLE", "secret");
        let error = client.get("/v1/caller").await.refused(code);
        assert!(
            !error.to_string().contains("secret ")
                || error.message.contains("unencrypted")
                || error.code == ErrorCode::Unauthenticated
        );
    }
}

/// A way to the node over TLS, with a certificate for the occasion.
pub async fn over_tls(node: &Node) -> Client {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let (certificate, key) = (certified.cert.der().clone(), certified.signing_key.serialize_der());
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.try_into().unwrap())
        .unwrap();
    let address = node.serve_tcp(Some(Arc::new(server).into())).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::tls(address, Arc::new(config))
}

#[tokio::test]
async fn tls() {
    let node = Node::start().await;
    let way = over_tls(&node).await;
    let (_, client) = account(&node, "acme", &way).await;
    way.get("/v1/health").await.status(200);
    way.get("/v1/caller").await.refused(ErrorCode::Unauthenticated);
    client.get("/v1/caller").await.status(200);
    client.get("/v1/host").await.refused(ErrorCode::AccessDenied);
}
