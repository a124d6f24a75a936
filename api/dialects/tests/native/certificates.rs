//! Certificates: registered, listed, deleted; what is none, and what is another's.

use compute::identity::Identity;
use compute::secrets::{SealingKey, SealingKeys};
use native_api::{self as api, ErrorCode, EventKind, Operation};
use serde_json::json;

use super::client::Client;
use super::streams::Events;
use super::world::Node;

/// A certificate that nobody has yet, in PEM.
pub fn certificate() -> String {
    rcgen::generate_simple_self_signed(["ec2.local".to_owned()]).unwrap().cert.pem()
}

/// The account that signs with a certificate, as EC2's API finds it.
async fn signer(node: &Node, pem: &str) -> Option<String> {
    use rustls::pki_types::pem::PemObject;
    let der = rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let identity =
        Identity::new(node.compute.store().clone(), SealingKeys::new(vec![], SealingKey::generate()));
    Some(identity.find_certificate(&der).await.unwrap()?.account.to_string())
}

async fn account(node: &Node, name: &str) -> (String, Client) {
    let made: api::Account = node.operator().post("/v1/accounts", &json!({ "name": name })).await.read();
    (made.id.to_string(), node.operator().with(api::ACCOUNT_HEADER, made.id.to_string()))
}

#[tokio::test]
async fn whoever_has_the_key_is_the_account_while_its_certificate_is_there() {
    let node = Node::start().await;
    let (id, client) = account(&node, "acme").await;
    let mut events = Events::open(&client, "").await;
    let pems = [certificate(), certificate()];
    let mut made: Vec<api::Certificate> = Vec::new();
    for pem in &pems {
        made.push(client.post("/v1/certificates", &json!({ "pem": pem })).await.read());
    }
    assert_eq!((made[0].account.as_str(), &made[0].pem), (id.as_str(), &pems[0]));
    assert_eq!(signer(&node, &pems[0]).await, Some(id.clone()));
    let first = made[0].fingerprint.to_string();
    assert_eq!(events.of(EventKind::Certificate, &first).await, (api::Change::Created, None));

    let more = json!({ "pem": certificate() });
    client.post("/v1/certificates", &more).await.refused(ErrorCode::LimitExceeded);
    made.sort_by(|one, other| one.fingerprint.cmp(&other.fingerprint));
    let expected = serde_json::to_value(&made).unwrap();
    for size in 1..=3 {
        let listed = client.all(&format!("/v1/certificates?page_size={size}")).await;
        assert_eq!(json!(listed), expected, "{size}");
    }

    let path = format!("/v1/certificates/{first}");
    client.delete(&path).await.status(204);
    assert_eq!(events.of(EventKind::Certificate, &first).await, (api::Change::Deleted, None));
    client.delete(&path).await.refused(ErrorCode::NotFound);
    client.delete("/v1/certificates/x").await.refused(ErrorCode::NotFound);
    assert_eq!(signer(&node, &pems[0]).await, None);
    assert_eq!(client.all("/v1/certificates").await.len(), 1);
    client.post("/v1/certificates", &more).await.status(201);
}

#[tokio::test]
async fn what_is_no_certificate_is_not_kept() {
    let node = Node::start().await;
    let client = node.operator();
    let made = rcgen::generate_simple_self_signed(["ec2.local".to_owned()]).unwrap();
    let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let refused =
        async |pem: &str, code| client.post("/v1/certificates", &json!({ "pem": pem })).await.refused(code);
    // A private key does not come back in the refusal, nor is it kept beside a certificate.
    let (before, after) = (format!("{key}{pem}"), format!("{pem}{key}"));
    for text in [key.as_str(), &before, &after] {
        let refusal = refused(text, ErrorCode::InvalidParameter).await;
        let secret = key.lines().nth(1).unwrap();
        assert!(!serde_json::to_string(&refusal).unwrap().contains(secret), "{refusal}");
    }
    for text in [&pem[..pem.len() / 2], &pem.replace("CERTIFICATE", "X509 CRL"), &pem.repeat(2)] {
        let refusal = refused(text, ErrorCode::InvalidParameter).await;
        assert!(refusal.message.contains("no X.509 certificate"), "{refusal}");
    }
    for text in ["", "-----BEGIN", "\u{e9}-----BEGIN CERTIFICATE-----", &" ".repeat(16385)] {
        refused(text, ErrorCode::MalformedRequest).await;
    }
    for body in [json!({}), json!({ "pem": 1 }), json!({ "pem": pem, "user": "ann" })] {
        client.post("/v1/certificates", &body).await.refused(ErrorCode::MalformedRequest);
    }
    assert_eq!(client.all("/v1/certificates").await.len(), 0);
}

#[tokio::test]
async fn a_certificate_is_of_one_account_and_goes_with_it() {
    let node = Node::start().await;
    let ((id, one), (_, other)) = (account(&node, "one").await, account(&node, "other").await);
    let pem = certificate();
    let body = json!({ "pem": pem });
    let made: api::Certificate = one.post("/v1/certificates", &body).await.read();
    for client in [&one, &other] {
        let refusal = client.post("/v1/certificates", &body).await.refused(ErrorCode::AlreadyExists);
        assert!(!refusal.to_string().contains("name,"), "it has none: {refusal}");
    }
    let path = format!("/v1/certificates/{}", made.fingerprint);
    other.delete(&path).await.refused(ErrorCode::NotFound);
    assert_eq!(signer(&node, &pem).await, Some(id.clone()));

    node.operator().delete(&format!("/v1/accounts/{id}")).await.status(204);
    assert_eq!(signer(&node, &pem).await, None);
    other.post("/v1/certificates", &body).await.status(201);
}

#[tokio::test]
async fn users_need_a_policy_for_it() {
    let node = Node::start().await;
    let tcp = Client::tcp(node.serve_tcp(None).await);
    let (id, root) = account(&node, "acme").await;
    root.post("/v1/users", &json!({ "name": "ann" })).await.status(201);
    let key: api::NewAccessKey = root.post("/v1/access-keys", &json!({ "user": "ann" })).await.read();
    let ann = tcp.key(key.access_key.id.as_str(), &key.secret);
    let body = json!({ "pem": certificate() });
    let denied = ann.post("/v1/certificates", &body).await.refused(ErrorCode::AccessDenied);
    let action = Operation::UploadCertificate.action();
    let told = format!("{action} is not allowed for bothy:local:{id}:certificate/*");
    assert!(denied.message.contains(&told), "{denied}");
    assert_eq!(root.all("/v1/certificates").await.len(), 0);

    let document = json!({ "Version": "1", "Statement": [{ "Effect": "Allow", "Action": "bothy:*Certificate*",
        "Resource": format!("bothy:local:{id}:certificate/*") }] });
    let policy = json!({ "name": "sign", "document": document.to_string() });
    root.post("/v1/policies", &policy).await.status(201);
    root.bare("PUT", "/v1/users/ann/policies/sign").await.status(200);
    let made: api::Certificate = ann.post("/v1/certificates", &body).await.read();
    assert_eq!(ann.all("/v1/certificates").await.len(), 1);
    ann.delete(&format!("/v1/certificates/{}", made.fingerprint)).await.status(204);
}
