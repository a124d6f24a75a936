//! Every action of every version, as it should be asked and as it should not, and as another account asks it. An action
//! without an entry here fails the tests, and so does an entry that is of no action. What is said is recorded: see
//! `api/contracts/ec2`.

mod disks;
mod instances;
mod networks;
mod y2007;

use std::collections::BTreeSet;

use super::caller::{Answered, Caller, Pairs};
use super::fixture::Fixture;
use super::recorded::{DONE, Exchanges, keep_all};

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
];

struct Asking<'a> {
    entry: &'a Entry,
    exchanges: Exchanges,
    wrong: Vec<String>,
}

impl Asking<'_> {
    async fn ask(&mut self, title: &str, caller: &Caller, asked: &[(String, String)]) -> Answered {
        let pairs: Vec<(&str, &str)> =
            asked.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let request = caller.request(self.entry.version, self.entry.action, &pairs);
        let answer = super::caller::send(caller.address, &request).await;
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
async fn ask(entry: &'static Entry) -> (Exchanges, Vec<String>) {
    let fixture = Fixture::start().await;
    let known =
        [(fixture.root.account.to_string(), "Account"), (fixture.stranger.account.to_string(), "Other")];
    // The two versions share names of actions.
    let file = match entry.version {
        OLD => format!("{}.{OLD}", entry.action),
        _ => entry.action.to_owned(),
    };
    let exchanges = Exchanges::of(&file, NAMED, &known);
    let mut asking = Asking { entry, exchanges, wrong: Vec::new() };
    for Refused(more, code) in entry.refused {
        let kept = entry.good.iter().filter(|(name, _)| more.iter().all(|(other, _)| name != other));
        let asked: Vec<(&str, &str)> =
            kept.chain(more.iter().filter(|(_, value)| !value.is_empty())).copied().collect();
        let names: Vec<&str> = more.iter().map(|(name, _)| *name).collect();
        let is_without = more.iter().all(|(_, value)| value.is_empty());
        let title =
            format!("{} {}", if is_without { "without" } else { "refused for its" }, names.join(" and "));
        let answer = asking.ask(&title, &fixture.root, &fixture.fill(&asked)).await;
        let is_so = answer.status >= 400 && answer.code().as_deref() == Some(code);
        asking.expect(&title, is_so, &answer);
    }
    let good = fixture.fill(entry.good);
    let answer = asking.ask("by another account", &fixture.stranger, &good).await;
    let is_so = match entry.stranger {
        Stranger::No(code) => answer.status >= 400 && answer.code().as_deref() == Some(code),
        Stranger::SeesNothing => answer.status == 200 && !is_item(&answer),
        Stranger::DoesIt => answer.status == 200,
    };
    asking.expect("by another account", is_so, &answer);
    let answer = asking.ask(DONE, &fixture.root, &good).await;
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
    keep_all("ec2", entries().map(ask)).await;
}
