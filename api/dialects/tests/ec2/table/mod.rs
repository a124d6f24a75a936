//! Every action of every version, as it should be asked and as it should not, and as another account asks it; those of 2007 by
//! Query and by SOAP. An action without an entry here fails the tests, and so does an entry that is of no action. What is said is
//! recorded: see `api/contracts/ec2`.

mod disks;
mod instances;
mod networks;
mod y2007;

use std::collections::BTreeSet;

use super::caller::{Answered, Caller, Host, Pairs, send};
use super::fixture::Fixture;
use super::recorded::{DONE, Exchanges, keep_all};
use super::soap_bodies;
use super::soap_client::{self, Message, Signer};

/// An action.
pub struct Entry {
    version: &'static str,
    action: &'static str,
    /// What it is asked with, and done.
    good: Pairs<'static>,
    /// What is refused.
    refused: &'static [Refused],
    /// What another account is told that asks the same.
    stranger: Stranger,
}

/// What is asked for instead or besides, nothing of what is empty, and the code that refuses it.
pub struct Refused(Pairs<'static>, &'static str);

/// How it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Face {
    Query,
    Soap,
}

/// What an account is told of another's.
pub enum Stranger {
    /// It is not there, or not for them.
    No(&'static str),
    /// A list has nothing of it.
    SeesNothing,
    /// It is about nothing that an account has, or about the caller itself.
    DoesIt,
}

const NEW: &str = "2016-11-15";
const OLD: &str = "2007-03-01";
const STS: &str = "2011-06-15";

const fn entry(
    version: &'static str,
    action: &'static str,
    good: Pairs<'static>,
    refused: &'static [Refused],
    stranger: Stranger,
) -> Entry {
    Entry { version, action, good, refused, stranger }
}

/// An action of today's version.
const fn ec2(
    action: &'static str,
    good: Pairs<'static>,
    refused: &'static [Refused],
    stranger: Stranger,
) -> Entry {
    entry(NEW, action, good, refused, stranger)
}

/// Who one is, and who one can be.
const IDENTITY: &[Entry] = &[
    entry(
        STS,
        "AssumeRole",
        &[
            ("RoleArn", "arn:aws:iam::{account}:role/deployer"),
            ("RoleSessionName", "build"),
            ("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"),
        ],
        &[
            Refused(&[("RoleArn", "")], "ValidationError"),
            Refused(&[("RoleArn", "arn:aws:iam::{account}:role/nobody")], "AccessDenied"),
            Refused(&[("DurationSeconds", "1")], "ValidationError"),
            Refused(&[("Policy", "{")], "MalformedPolicyDocument"),
            Refused(&[("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/Nothing")], "ValidationError"),
            Refused(&[("PolicyArns.member.1.arn", "ReadOnly")], "ValidationError"),
        ],
        Stranger::No("AccessDenied"),
    ),
    entry(
        STS,
        "GetCallerIdentity",
        &[],
        &[Refused(&[("SignatureMethod", "rot13")], "ValidationError")],
        Stranger::DoesIt,
    ),
];

fn entries() -> impl Iterator<Item = &'static Entry> {
    [instances::ENTRIES, disks::ENTRIES, networks::ENTRIES, y2007::ENTRIES, IDENTITY].into_iter().flatten()
}

/// What cannot be the same in two runs.
const NAMED: &[&str] = &[
    "Signature",
    "AWSAccessKeyId",
    "AccessKeyId",
    "SecretAccessKey",
    "SessionToken",
    "AssumedRoleId",
    "keyMaterial",
    "keyFingerprint",
    "macAddress",
    "d:DigestValue",
    "d:SignatureValue",
];

/// Who asks: by Query, or by SOAP with a certificate.
struct Asker {
    caller: Caller,
    signer: Option<Signer>,
}

impl Asker {
    async fn of(host: &Host, caller: &Caller, face: Face) -> Self {
        let signer = match face {
            Face::Query => None,
            Face::Soap => Some(Signer::of(host, caller.account).await),
        };
        Self { caller: caller.clone(), signer }
    }

    /// What is sent to ask for this.
    fn request(&self, entry: &Entry, asked: &[(String, String)]) -> String {
        match &self.signer {
            None => {
                let pairs: Vec<(&str, &str)> =
                    asked.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                self.caller.request(entry.version, entry.action, &pairs)
            }
            Some(signer) => {
                let inside = soap_bodies::body(entry.action, asked);
                let body = soap_client::body("body", entry.action, &inside);
                soap_client::request(&signer.signed(&Message::made(self.caller.time.parse().unwrap(), body)))
            }
        }
    }
}

struct Asking<'a> {
    entry: &'a Entry,
    exchanges: Exchanges,
    wrong: Vec<String>,
}

impl Asking<'_> {
    async fn ask(&mut self, title: &str, asker: &Asker, asked: &[(String, String)]) -> Answered {
        let request = asker.request(self.entry, asked);
        let answer = send(asker.caller.address, &request).await;
        let text = format!("{}\r\n\r\n{}", answer.head, answer.text);
        self.exchanges.note(title, &request, &text);
        answer
    }

    fn expect(&mut self, title: &str, is_so: bool, answer: &Answered) {
        if !is_so {
            let Entry { version, action, .. } = self.entry;
            self.wrong.push(format!("{version} {action}, {title}: {} {}", answer.status, answer.text));
        }
    }
}

fn is_item(answer: &Answered) -> bool {
    answer.text.contains("<item>")
}

/// Asks it wrongly, which changes nothing, and then as it should be.
async fn ask((entry, face): (&'static Entry, Face)) -> (Exchanges, Vec<String>) {
    let fixture = Fixture::start().await;
    let root = Asker::of(&fixture.host, &fixture.root, face).await;
    let stranger = Asker::of(&fixture.host, &fixture.stranger, face).await;
    let mut known = Vec::new();
    for (asker, account, certificate) in
        [(&root, "Account", "Certificate"), (&stranger, "Other", "OtherCertificate")]
    {
        known.push((asker.caller.account.to_string(), account));
        known.extend(asker.signer.iter().map(|signer| (signer.certificate.clone(), certificate)));
    }
    // The two versions share names of actions.
    let file = match (entry.version, face) {
        (OLD, Face::Query) => format!("{}.{OLD}", entry.action),
        (OLD, Face::Soap) => format!("{}.{OLD}.soap", entry.action),
        _ => entry.action.to_owned(),
    };
    let exchanges = Exchanges::of(&file, NAMED, &known);
    let mut asking = Asking { entry, exchanges, wrong: Vec::new() };
    let by_query_only = |pairs: Pairs<'_>| {
        pairs.iter().any(|(name, _)| y2007::BY_QUERY_ONLY.contains(&(entry.action, *name)))
    };
    for Refused(more, code) in entry.refused.iter().filter(|one| face == Face::Query || !by_query_only(one.0))
    {
        let kept = entry.good.iter().filter(|(name, _)| more.iter().all(|(other, _)| name != other));
        let asked: Vec<(&str, &str)> =
            kept.chain(more.iter().filter(|(_, value)| !value.is_empty())).copied().collect();
        let names: Vec<&str> = more.iter().map(|(name, _)| *name).collect();
        let is_without = more.iter().all(|(_, value)| value.is_empty());
        let title =
            format!("{} {}", if is_without { "without" } else { "refused for its" }, names.join(" and "));
        let answer = asking.ask(&title, &root, &fixture.fill(&asked)).await;
        let is_so = answer.status >= 400 && answer.code().as_deref() == Some(code);
        asking.expect(&title, is_so, &answer);
    }
    let good = fixture.fill(entry.good);
    let answer = asking.ask("by another account", &stranger, &good).await;
    let is_so = match entry.stranger {
        Stranger::No(code) => answer.status >= 400 && answer.code().as_deref() == Some(code),
        Stranger::SeesNothing => answer.status == 200 && !is_item(&answer),
        Stranger::DoesIt => answer.status == 200,
    };
    asking.expect("by another account", is_so, &answer);
    let answer = asking.ask(DONE, &root, &good).await;
    asking.expect(DONE, answer.status == 200, &answer);
    if matches!(entry.stranger, Stranger::SeesNothing) {
        asking.expect("shows its own", is_item(&answer), &answer);
    }
    (asking.exchanges, asking.wrong)
}

#[test]
fn every_action_has_an_entry() {
    let entered: Vec<(&str, &str)> = entries().map(|entry| (entry.version, entry.action)).collect();
    let coverage = dialects::ec2::coverage();
    let rows: BTreeSet<(&str, &str)> =
        coverage.iter().map(|row| (row.product.split(' ').next_back().unwrap(), row.action)).collect();
    assert_eq!(entered.iter().copied().collect::<BTreeSet<_>>(), rows);
    assert_eq!(entered.len(), rows.len(), "none has two");
    for entry in entries() {
        assert!(!entry.refused.is_empty(), "nothing of {} is refused", entry.action);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_refusals_are_as_recorded() {
    let host = Host::start().await;
    let get = "GET /doc/2007-03-01/AmazonEC2.wsdl HTTP/1.1\r\nhost: ec2.local\r\nconnection: close\r\n\r\n";
    let wsdl = send(host.address, get).await.ok().text;
    let by_query = entries().map(|entry| (entry, Face::Query));
    let by_soap = y2007::ENTRIES.iter().map(|entry| (entry, Face::Soap));
    keep_all("ec2", &[("AmazonEC2.2007-03-01.wsdl", wsdl)], by_query.chain(by_soap).map(ask)).await;
}
