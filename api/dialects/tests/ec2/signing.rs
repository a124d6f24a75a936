//! Who may ask: signatures of each version as clients make them, and what is refused of them, in the codes of either API.

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use compute::identity::{AccountId, KeyOwner};
use jiff::{SignedDuration, Timestamp};

use super::caller::{Answered, Caller, Host, Pairs, encoded, send};

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

/// A request with a signature of version 4, and what may be wrong with it.
#[derive(Clone)]
pub struct V4 {
    pub path: &'static str,
    pub body: String,
    pub scope: &'static str,
    pub signed: &'static str,
    pub blank: &'static str,
    pub day: Option<&'static str>,
    pub token: Option<String>,
}

impl V4 {
    pub fn of(body: &str) -> Self {
        Self {
            path: "/",
            body: body.to_owned(),
            scope: "us-east-1/ec2/aws4_request",
            signed: "content-type;host;x-amz-date",
            blank: " ",
            day: None,
            token: None,
        }
    }

    pub async fn send(&self, caller: &Caller) -> Answered {
        let at: Timestamp = caller.time.parse().unwrap();
        let date = at.strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = self.day.map_or_else(|| date[..8].to_owned(), str::to_owned);
        let scope = format!("{day}/{}", self.scope);
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        let token = self.token.clone().unwrap_or_default();
        let value = |name: &str| match name {
            "content-type" => form.to_owned(),
            "host" => "ec2.local".to_owned(),
            "x-amz-date" => date.clone(),
            "x-amz-security-token" => token.clone(),
            _ => String::new(),
        };
        let lines: String = self.signed.split(';').map(|name| format!("{name}:{}\n", value(name))).collect();
        let canonical = format!("POST\n{}\n\n{lines}\n{}\n{}", self.path, self.signed, sha256(&self.body));
        let string = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(&canonical));
        let first = format!("AWS4{}", caller.secret).into_bytes();
        let key = scope.split('/').fold(first, |key, part| mac(&key, part));
        let signature = hex(&mac(&key, &string));
        let blank = self.blank;
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope},{blank}SignedHeaders={},{blank}Signature={signature}",
            caller.id, self.signed
        );
        let more = match &self.token {
            Some(token) => format!("x-amz-security-token: {token}\r\n"),
            None => String::new(),
        };
        let request = format!(
            "POST {} HTTP/1.1\r\nhost: ec2.local\r\nconnection: close\r\ncontent-type: {form}\r\nx-amz-date: \
             {date}\r\n{more}authorization: {authorization}\r\ncontent-length: {}\r\n\r\n{}",
            self.path,
            self.body.len(),
            self.body
        );
        send(caller.address, &request).await
    }
}

const REGIONS: &str = "Action=DescribeRegions&Version=2016-11-15";

#[tokio::test]
async fn version_4_is_taken_as_clients_make_it_and_from_nobody_else() {
    let host = Host::start().await;
    let root = host.root().await;
    V4::of(REGIONS).send(&root).await.ok();
    // boto guesses the scope from the host's name, and writes no blanks; libcloud's path is none.
    let old = V4 { scope: "0/127/aws4_request", signed: "host;x-amz-date", blank: "", ..V4::of(REGIONS) };
    old.send(&root).await.ok();
    V4 { path: "//", ..V4::of(REGIONS) }.send(&root).await.ok();
    V4 { path: "/services/Cloud/", ..V4::of(REGIONS) }.send(&root).await.ok();

    let cases = [
        (V4 { scope: "us-east-1/ec2/aws3_request", ..V4::of(REGIONS) }, 400, "IncompleteSignature"),
        (V4 { signed: "content-type;x-amz-date", ..V4::of(REGIONS) }, 400, "IncompleteSignature"),
        (V4 { signed: "content-type;host", ..V4::of(REGIONS) }, 400, "IncompleteSignature"),
        (V4 { day: Some("20010101"), ..V4::of(REGIONS) }, 400, "IncompleteSignature"),
        (V4 { token: Some("x".to_owned()), ..V4::of(REGIONS) }, 400, "IncompleteSignature"),
    ];
    for (request, status, code) in cases {
        request.send(&root).await.refused(status, code);
    }
    let token = V4 {
        token: Some("x".to_owned()),
        signed: "content-type;host;x-amz-date;x-amz-security-token",
        ..V4::of(REGIONS)
    };
    token.send(&root).await.refused(401, "AuthFailure");
    let wrong = Caller { secret: "wrong".to_owned(), ..root.clone() };
    V4::of(REGIONS).send(&wrong).await.refused(403, "SignatureDoesNotMatch");
    let unknown = Caller { id: "AKIA0000000000000000".to_owned(), ..root.clone() };
    V4::of(REGIONS).send(&unknown).await.refused(401, "AuthFailure");
    for minutes in [-16, 16] {
        let at: Timestamp = root.time.parse().unwrap();
        let time = (at + SignedDuration::from_mins(minutes)).to_string();
        V4::of(REGIONS).send(&Caller { time, ..root.clone() }).await.refused(400, "RequestExpired");
    }
}

/// A GET whose parameters are signed by an old version.
async fn old(caller: &Caller, version: &str, more: Pairs<'_>) -> Answered {
    let mut pairs =
        vec![("Action", "DescribeRegions"), ("Version", "2016-11-15"), ("AWSAccessKeyId", &*caller.id)];
    pairs.push(("SignatureVersion", version));
    pairs.extend_from_slice(more);
    let mut sorted = pairs.clone();
    sorted.sort_by_key(|(name, _)| name.to_lowercase());
    let string: String = match version {
        "0" => {
            let at = pairs.iter().find(|(name, _)| ["Timestamp", "Expires"].contains(name));
            format!("DescribeRegions{}", at.map(|(_, at)| *at).unwrap_or_default())
        }
        _ => sorted.iter().map(|(name, value)| format!("{name}{value}")).collect(),
    };
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, caller.secret.as_bytes());
    let signature = BASE64_STANDARD.encode(hmac::sign(&key, string.as_bytes()));
    pairs.push(("Signature", &signature));
    let query: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    let query = query.join("&");
    let head = "host: ec2.local\r\nconnection: close";
    send(caller.address, &format!("GET /x/?{query} HTTP/1.1\r\n{head}\r\n\r\n")).await
}

#[tokio::test]
async fn old_versions_sign_parameters_until_they_expire() {
    let host = Host::start().await;
    let root = host.root().await;
    let now: Timestamp = root.time.parse().unwrap();
    let at = |minutes: i64| (now + SignedDuration::from_mins(minutes)).to_string();
    for version in ["0", "1"] {
        old(&root, version, &[("Timestamp", &at(0))]).await.ok();
        old(&root, version, &[("Timestamp", &at(-14)), ("Region.1", "")]).await.ok();
        old(&root, version, &[("Expires", &at(600))]).await.ok();
        old(&root, version, &[("Timestamp", &at(-16))]).await.refused(400, "RequestExpired");
        old(&root, version, &[("Timestamp", &at(16))]).await.refused(400, "RequestExpired");
        old(&root, version, &[("Expires", &at(-1))]).await.refused(400, "RequestExpired");
        old(&root, version, &[]).await.refused(400, "MissingParameter");
        let both = [("Timestamp", &*at(0)), ("Expires", &*at(1))];
        old(&root, version, &both).await.refused(400, "InvalidParameterCombination");
        old(&root, version, &[("Timestamp", "yesterday")]).await.refused(400, "InvalidParameterValue");
        let wrong = Caller { secret: "wrong".to_owned(), ..root.clone() };
        old(&wrong, version, &[("Timestamp", &at(0))]).await.refused(403, "SignatureDoesNotMatch");
    }
    old(&root, "3", &[("Timestamp", &at(0))]).await.refused(400, "InvalidParameterValue");
    let fraction = format!("{}.000Z", at(0).trim_end_matches('Z'));
    old(&root, "1", &[("Timestamp", &fraction)]).await.ok();
}

#[tokio::test]
async fn what_is_not_signed_or_asks_for_nothing_is_refused_in_its_apis_form() {
    let host = Host::start().await;
    let root = host.root().await;
    let head = "host: ec2.local\r\nconnection: close";
    let cases = [
        ("GET", "", 400, "MissingAction"),
        ("PUT", "?Action=DescribeRegions&Version=2016-11-15", 405, "InvalidHTTPMethod"),
        ("GET", "?Action=DescribeRegions", 400, "MissingParameter"),
        ("GET", "?Action=DescribeRegions&Version=soon", 400, "InvalidParameterValue"),
        ("GET", "?Action=DescribeRegions&Version=2016-11-15", 400, "MissingParameter"),
        ("GET", "?Action=DescribeNothing&Version=2016-11-15", 400, "InvalidAction"),
        ("GET", "?Action=GetCallerIdentity&Version=2011-06-15", 403, "MissingAuthenticationToken"),
        ("GET", "?Action=DescribeRegions&Version=2011-06-15", 400, "InvalidAction"),
    ];
    for (method, query, status, code) in cases {
        let answer = send(root.address, &format!("{method} /{query} HTTP/1.1\r\n{head}\r\n\r\n")).await;
        answer.refused(status, code);
        let root = if query.contains("2011-06-15") { "<ErrorResponse " } else { "<Response>" };
        assert!(answer.text.contains(root), "{}", answer.text);
    }
}

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
    "Principal":{"AWS":"arn:aws:iam::ACCOUNT:root"}}]}"#;

/// Makes the role `deployer`, which trusts its account.
pub async fn make_deployer(host: &Host, account: AccountId, now: Timestamp) {
    let trust = TRUST.replace("ACCOUNT", &account.to_string());
    host.identity.create_role(account, "deployer", "", &trust, 3600, now).await.unwrap();
}

#[tokio::test]
async fn a_role_is_assumed_and_its_credentials_are_good_with_their_token() {
    let host = Host::start().await;
    let root = host.root().await;
    let (identity, account) = (&host.identity, root.account);
    let now = host.node.compute.clock().now();
    make_deployer(&host, account, now).await;
    identity.create_user(account, "ann", "", now).await.unwrap();
    let ann = host.key(account, &KeyOwner::User("ann".to_owned())).await;
    let who = "Action=GetCallerIdentity&Version=2011-06-15";
    let seen = V4::of(who).send(&ann).await.ok();
    assert_eq!(seen.all("Arn"), [format!("arn:aws:iam::{account}:user/ann")]);
    assert_eq!(seen.all("Account"), [account.to_string()]);
    assert!(seen.text.contains("<GetCallerIdentityResult>") && seen.text.contains("<ResponseMetadata>"));

    let arn = format!("arn:aws:iam::{account}:role/deployer");
    let assume = format!(
        "Action=AssumeRole&Version=2011-06-15&RoleArn={}&RoleSessionName=build&DurationSeconds=900",
        encoded(&arn)
    );
    V4::of(&assume).send(&ann).await.refused(403, "AccessDenied");
    let made = V4::of(&assume).send(&root).await.ok();
    let one = |name: &str| made.all(name).pop().unwrap();
    assert!(one("AccessKeyId").starts_with("ASIA"), "{}", made.text);
    assert_eq!(one("Arn"), format!("arn:aws:sts::{account}:assumed-role/deployer/build"));
    let role = Caller { id: one("AccessKeyId"), secret: one("SecretAccessKey"), ..root.clone() };
    let signed = "content-type;host;x-amz-date;x-amz-security-token";
    let with = |body: &str| V4 { token: Some(one("SessionToken")), signed, ..V4::of(body) };
    let seen = with(who).send(&role).await.ok();
    assert_eq!(seen.all("Arn"), [one("Arn")]);
    // It may do nothing yet, and nothing without its token.
    with(REGIONS).send(&role).await.refused(403, "UnauthorizedOperation");
    V4::of(REGIONS).send(&role).await.refused(401, "AuthFailure");
    V4::of(who).send(&role).await.refused(403, "InvalidClientTokenId");
    host.node.clock.advance(std::time::Duration::from_secs(901));
    let later = Caller { time: host.node.compute.clock().now().to_string(), ..role };
    with(REGIONS).send(&later).await.refused(400, "RequestExpired");
    with(who).send(&later).await.refused(403, "ExpiredToken");

    let bad = [
        ("RoleArn=x&RoleSessionName=build", 400, "ValidationError"),
        ("RoleSessionName=build", 400, "ValidationError"),
        ("RoleArn=ARN&RoleSessionName=%20", 400, "ValidationError"),
        ("RoleArn=ARN&RoleSessionName=b1&DurationSeconds=1", 400, "ValidationError"),
        ("RoleArn=ARN&RoleSessionName=b1&Policy=x", 400, "MalformedPolicyDocument"),
        ("RoleArn=NONE&RoleSessionName=b1", 403, "AccessDenied"),
    ];
    let root = Caller { time: host.node.compute.clock().now().to_string(), ..root };
    for (more, status, code) in bad {
        let none = encoded(&format!("arn:aws:iam::{account}:role/nobody"));
        let more = more.replace("ARN&", &format!("{}&", encoded(&arn))).replace("NONE", &none);
        let body = format!("Action=AssumeRole&Version=2011-06-15&{more}");
        V4::of(&body).send(&root).await.refused(status, code);
    }
}
