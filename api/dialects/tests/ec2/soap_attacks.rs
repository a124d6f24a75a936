//! Messages that somebody made who may not: each is refused, with a fault, and nothing was done. Beside each stands one that
//! is right, so that it is the attack that is refused.

use jiff::{SignedDuration, Timestamp};

use super::caller::{Answered, Caller, Host};
use super::soap_client::{Message, SIGNATURE, Signer, UTILITY, body, body_in, post, timestamp};

const MAKE: &str = "<groupName>web</groupName><groupDescription>a</groupDescription>";

fn refused(answer: &Answered, code: &str, what: &str) {
    assert_eq!((answer.status, answer.code().as_deref()), (500, Some(code)), "{what}: {}", answer.text);
    let [word] = <[String; 1]>::try_from(answer.all("faultcode")).unwrap();
    assert!(word.starts_with("SOAP-ENV:Client."), "{what}: {word}");
    assert_eq!(answer.all("aws:RequestId").len(), 1, "{what}");
}

async fn groups(root: &Caller) -> Vec<String> {
    root.y2007("DescribeSecurityGroups", &[]).await.ok().within("securityGroupInfo", "groupName")
}

#[tokio::test]
async fn what_nobody_signed_is_refused() {
    let host = Host::start().await;
    let root = host.root().await;
    let signer = Signer::of(&host, root.account).await;
    let good = Message::new(&host, "CreateSecurityGroup", MAKE);
    let other = body("body", "CreateSecurityGroup", &MAKE.replace("web", "db"));
    let (body_part, time_part) = (good.signed[0].clone(), good.signed[1].clone());
    let only = |part: &(String, String)| Message { signed: vec![part.clone()], ..good.clone() };
    let post = async |text: String| post(host.address, &text).await;
    let unlike = [
        ("another body", signer.signed(&Message { body: other.clone(), ..good.clone() })),
        ("changed on its way", signer.signed(&good).replace("<groupName>web", "<groupName>wob")),
        ("later than it was made", signer.signed(&good).replace("<u:Created>2026", "<u:Created> 2026")),
        ("another's under this name", signer.forged().signed(&good)),
    ];
    let cases = [
        ("unsigned", signer.unsigned(&good, "")),
        ("an empty signature", signer.unsigned(&good, &format!("<d:Signature xmlns:d=\"{SIGNATURE}\"/>"))),
        ("only the body", signer.signed(&only(&body_part))),
        ("only the timestamp", signer.signed(&only(&time_part))),
        ("nothing", signer.signed(&Message { signed: Vec::new(), ..good.clone() })),
        ("a stranger's", Signer::new().signed(&good)),
        (
            "moved into the header",
            signer.signed(&Message {
                body: other.replace("\"body\"", "\"other\""),
                besides: format!("<wrapper>{}</wrapper>", body_part.1),
                ..good.clone()
            }),
        ),
        (
            "one id for two",
            signer.signed(&Message { body: other, besides: body_part.1.clone(), ..good.clone() }),
        ),
        (
            "another timestamp",
            signer.signed(&Message {
                timestamp: good.timestamp.replace("\"time\"", "\"other\""),
                besides: format!("<wrapper>{}</wrapper>", time_part.1),
                ..good.clone()
            }),
        ),
        (
            "two moments",
            signer.signed(&{
                let twice = good.timestamp.replace("<u:Expires>", "<u:Expires></u:Expires><u:Expires>");
                let signed = vec![body_part.clone(), (time_part.0.clone(), twice.clone())];
                Message { timestamp: twice, signed, ..good.clone() }
            }),
        ),
        (
            "two timestamps",
            signer.signed(&Message { besides: good.timestamp.replace("\"time\"", "\"x\""), ..good.clone() }),
        ),
        ("an id of two kinds", signer.signed(&good).replace("u:Id=\"token\"", "u:Id=\"token\" Id=\"body\"")),
        ("another key", signer.signed(&good).replace("URI=\"#token\"", "URI=\"#body\"")),
        ("what to fetch", signer.signed(&good).replace("URI=\"#body\"", "URI=\"file:///etc/passwd\"")),
        ("all of it", signer.signed(&good).replace("URI=\"#body\"", "URI=\"\"")),
        ("an attachment", signer.signed(&good).replace("URI=\"#body\"", "URI=\"cid:body\"")),
        ("a path", signer.signed(&good).replace("URI=\"#body\"", "URI=\"#xpointer(/)\"")),
        (
            "by a secret",
            signer.signed(&good).replace("2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#hmac-sha1"),
        ),
    ];
    let cases = cases.into_iter().map(|(what, text)| (what, text, "AuthFailure"));
    let unlike = unlike.into_iter().map(|(what, text)| (what, text, "SignatureDoesNotMatch"));
    for (what, text, code) in cases.chain(unlike) {
        refused(&post(text).await, code, what);
        assert_eq!(groups(&root).await, ["default"], "{what}");
    }
    let text = signer.signed(&good);
    post(text.clone()).await.ok();
    assert!(groups(&root).await.contains(&"web".to_owned()));
    refused(&post(text).await, "AuthFailure", "once more");
}

#[tokio::test]
async fn a_request_is_good_for_five_minutes_and_once() {
    let host = Host::start().await;
    let root = host.root().await;
    let signer = Signer::of(&host, root.account).await;
    let now = host.node.compute.clock().now();
    let ask = || body("body", "DescribeKeyPairs", "<keySet></keySet>");
    let minutes = SignedDuration::from_mins;
    for (what, created, code) in [
        ("old", now - minutes(6), Some("RequestExpired")),
        ("still good", now - minutes(4), None),
        ("a bit early", now + minutes(4), None),
        ("of tomorrow", now + minutes(6), Some("RequestExpired")),
    ] {
        let message = Message::at(created, ask());
        let answer = post(host.address, &signer.signed(&message)).await;
        match code {
            Some(code) => refused(&answer, code, what),
            None => drop(answer.ok()),
        }
    }
    // Its own end may come before.
    let time = timestamp("time", now - minutes(2), now - minutes(1));
    let signed = vec![("body".to_owned(), ask()), ("time".to_owned(), time.clone())];
    let message = Message { body: ask(), timestamp: time, signed, besides: String::new() };
    refused(&post(host.address, &signer.signed(&message)).await, "RequestExpired", "over by its own word");
    let text = signer.signed(&Message::new(&host, "DescribeKeyPairs", "<keySet></keySet>"));
    post(host.address, &text).await.ok();
    let (next, _ending) = host.again().await;
    refused(&post(next, &text).await, "AuthFailure", "to the next daemon");
}

#[tokio::test]
async fn whoever_lost_the_certificate_is_refused() {
    let host = Host::start().await;
    let root = host.root().await;
    let signer = Signer::of(&host, root.account).await;
    signer.asks(&host, "DescribeKeyPairs", "<keySet></keySet>").await.ok();
    let operator = host.node.operator().with(native_api::ACCOUNT_HEADER, root.account.to_string());
    let [certificate] = <[_; 1]>::try_from(operator.all("/v1/certificates").await).unwrap();
    let path = format!("/v1/certificates/{}", certificate["fingerprint"].as_str().unwrap());
    operator.delete(&path).await.status(204);
    let answer = signer.asks(&host, "DescribeKeyPairs", "<keySet></keySet>").await;
    refused(&answer, "AuthFailure", "without a certificate");
    host.identity.upload_certificate(root.account, &signer.pem, Timestamp::UNIX_EPOCH).await.unwrap();
    host.identity.enable_account(root.account, false).await.unwrap();
    let answer = signer.asks(&host, "DescribeKeyPairs", "<keySet></keySet>").await;
    refused(&answer, "AuthFailure", "of a disabled account");
}

#[tokio::test]
async fn what_is_no_message_is_told_so() {
    let host = Host::start().await;
    let root = host.root().await;
    let signer = Signer::of(&host, root.account).await;
    let good = signer.signed(&Message::new(&host, "DescribeKeyPairs", "<keySet></keySet>"));
    let deep = format!("{}{}", "<a>".repeat(100), "</a>".repeat(100));
    for text in [
        "",
        "no XML",
        "<a/>",
        &good.replacen("<e:Envelope", "<!DOCTYPE e [<!ENTITY x \"y\">]><e:Envelope", 1),
        &good.replace("<keySet></keySet>", "&x;"),
        &good.replace("<keySet></keySet>", &deep),
        &good[..good.len() - 20],
        &good.replace("e:Body", "e:Other"),
    ] {
        let answer = post(host.address, text).await;
        refused(&answer, "MalformedSOAPMessage", &text.chars().take(60).collect::<String>());
    }
    let other = Message::at(
        host.node.compute.clock().now(),
        body_in("http://ec2.amazonaws.com/doc/2016-11-15/", "body", "DescribeKeyPairs", ""),
    );
    refused(&post(host.address, &signer.signed(&other)).await, "UnsupportedProtocol", "today's version");
    let answer = signer.asks(&host, "StartInstances", "").await;
    refused(&answer, "InvalidAction", "an action of later");
    // The name space comes back as it was sent.
    let plain =
        body_in("http://ec2.amazonaws.com/doc/2007-03-01", "body", "DescribeKeyPairs", "<keySet></keySet>");
    let plain = Message::at(host.node.compute.clock().now(), plain);
    let answer = post(host.address, &signer.signed(&plain)).await.ok();
    assert!(answer.text.contains("xmlns=\"http://ec2.amazonaws.com/doc/2007-03-01\""), "{}", answer.text);
    assert!(!answer.text.contains(UTILITY), "{}", answer.text);
}
