//! Every action, as it should be asked and as it should not: what is missing, what makes no sense, what the state of things does
//! not allow, and what is another account's. An action without an entry here fails the tests, and so does an entry that is of
//! no action. What is said is recorded: see `api/contracts/alibaba`.

mod disks;
mod instances;
mod networks;
mod ram;

use std::collections::BTreeSet;

use serde_json::Value;

use super::caller::{Answered, Caller, Pairs};
use super::fixture::{Fixture, version};
use super::recorded::{DONE, Exchanges, keep_all};

/// An action.
pub struct Entry {
    pub action: &'static str,
    /// What it is asked with, and done.
    good: Pairs<'static>,
    /// Each of these is asked for if it is not there.
    needed: &'static [&'static str],
    /// What is refused of everybody and at all times.
    invalid: &'static [Refused],
    /// What is refused as things are.
    wrong: &'static [Refused],
    /// What another account is told that asks the same.
    stranger: Stranger,
}

/// What is asked for instead or besides, and how that is refused.
pub struct Refused(Pairs<'static>, u16, &'static str);

/// What an account is told of another's.
pub enum Stranger {
    /// It is not there.
    Refused(u16, &'static str),
    /// A list has nothing of it, at this place, as `Instances.Instance`.
    SeesNothing(&'static str),
    /// Each of these is told to have failed, at this place, with this code.
    Fails(&'static str, &'static str),
    /// It is about nothing that an account has, or about the caller itself.
    DoesIt,
}

/// How an entry is asked wrongly: what is asked, by whom, and what the answer must be.
pub struct Wrongly {
    pub title: String,
    pub by_stranger: bool,
    pub asked: Vec<(String, String)>,
    pub status: u16,
    pub code: &'static str,
}

const fn entry(
    action: &'static str,
    good: Pairs<'static>,
    needed: &'static [&'static str],
    invalid: &'static [Refused],
    wrong: &'static [Refused],
    stranger: Stranger,
) -> Entry {
    Entry { action, good, needed, invalid, wrong, stranger }
}

/// A parameter that makes no sense.
const fn invalid(pairs: Pairs<'static>) -> Refused {
    Refused(pairs, 400, "InvalidParameter")
}

const NO_INSTANCE: Stranger = Stranger::Refused(404, "InvalidInstanceId.NotFound");

/// All entries.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    [instances::ENTRIES, disks::ENTRIES, networks::ENTRIES, ram::ENTRIES].into_iter().flatten()
}

impl Entry {
    /// All ways in which it is refused.
    pub fn wrongly(&self, fixture: &Fixture) -> Vec<Wrongly> {
        let with = |more: Pairs<'static>| {
            let kept = self.good.iter().filter(|(name, _)| more.iter().all(|(other, _)| name != other));
            let all: Vec<(&str, &str)> = kept.chain(more).copied().collect();
            fixture.fill(&all)
        };
        let mut all = Vec::new();
        for name in self.needed {
            let asked: Vec<_> = self.good.iter().filter(|(other, _)| other != name).copied().collect();
            assert!(asked.len() < self.good.len(), "{} is not asked with {name}", self.action);
            all.push(Wrongly {
                title: format!("without {name}"),
                by_stranger: false,
                asked: fixture.fill(&asked),
                status: 400,
                code: "MissingParameter",
            });
        }
        for (why, refused) in
            [("refused for its", self.invalid), ("refused as things are, for its", self.wrong)]
        {
            for Refused(more, status, code) in refused {
                let names: Vec<&str> = more.iter().map(|(name, _)| *name).collect();
                let title = format!("{why} {}", names.join(" and "));
                all.push(Wrongly { title, by_stranger: false, asked: with(more), status: *status, code });
            }
        }
        if let Stranger::Refused(status, code) = self.stranger {
            let title = "by another account".to_owned();
            all.push(Wrongly { title, by_stranger: true, asked: fixture.fill(self.good), status, code });
        }
        all
    }
}

/// What cannot be the same in two runs.
const NAMED: &[&str] = &[
    "Signature",
    "SignatureNonce",
    "AccessKeyId",
    "UserAccessKeyId",
    "AccessKeySecret",
    "SecurityToken",
    "PrivateKeyBody",
    "KeyPairFingerPrint",
    "MacAddress",
    "RoleId",
    "UserId",
    "AssumedRoleId",
];

struct Asking<'a> {
    entry: &'a Entry,
    exchanges: Exchanges,
    wrong: Vec<String>,
}

impl Asking<'_> {
    async fn ask(&mut self, title: &str, caller: &Caller, asked: &[(String, String)]) -> Answered {
        let action = self.entry.action;
        let pairs: Vec<(&str, &str)> =
            asked.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let request = caller.request(version(action), action, &pairs);
        let answer = super::caller::send(caller.address, &request).await;
        let text = format!("{}\r\n\r\n{}", answer.head, answer.text);
        self.exchanges.note(title, &request, &text);
        answer
    }

    fn expect(&mut self, title: &str, is_so: bool, answer: &Answered) {
        if !is_so {
            self.wrong.push(format!("{}, {title}: {} {}", self.entry.action, answer.status, answer.text));
        }
    }
}

/// What an answer has at a place.
fn at(answer: &Answered, place: &str) -> Value {
    answer.json().pointer(&format!("/{}", place.replace('.', "/"))).cloned().unwrap_or_default()
}

/// Asks it wrongly in all ways, which changes nothing, and then as it should be.
async fn ask(entry: &'static Entry) -> (Exchanges, Vec<String>) {
    let fixture = Fixture::start().await;
    let known =
        [(fixture.root.account.to_string(), "Account"), (fixture.stranger.account.to_string(), "Other")];
    let exchanges = Exchanges::of(entry.action, NAMED, &known);
    let mut asking = Asking { entry, exchanges, wrong: Vec::new() };
    for wrongly in entry.wrongly(&fixture) {
        let caller = if wrongly.by_stranger { &fixture.stranger } else { &fixture.root };
        let answer = asking.ask(&wrongly.title, caller, &wrongly.asked).await;
        let is_so = answer.status == wrongly.status && answer.json()["Code"] == wrongly.code;
        asking.expect(&wrongly.title, is_so, &answer);
    }
    let good = fixture.fill(entry.good);
    if !matches!(entry.stranger, Stranger::Refused(..)) {
        let answer = asking.ask("by another account", &fixture.stranger, &good).await;
        let at = |place| at(&answer, place);
        let is_so = answer.status == 200
            && match entry.stranger {
                Stranger::SeesNothing(place) => at(place) == Value::Array(Vec::new()),
                Stranger::Fails(place, code) => at(place) == code,
                Stranger::Refused(..) | Stranger::DoesIt => true,
            };
        asking.expect("by another account", is_so, &answer);
    }
    let answer = asking.ask(DONE, &fixture.root, &good).await;
    let is_so = answer.status == 200 && answer.json()["RequestId"].is_string();
    asking.expect(DONE, is_so, &answer);
    if let Stranger::SeesNothing(place) = entry.stranger {
        let seen = at(&answer, place).as_array().is_some_and(|list| !list.is_empty());
        asking.expect("shows its own", seen, &answer);
    }
    (asking.exchanges, asking.wrong)
}

#[test]
fn every_action_has_an_entry() {
    let entered: Vec<&str> = entries().map(|entry| entry.action).collect();
    let rows: BTreeSet<&str> = dialects::alibaba::coverage().iter().map(|row| row.action).collect();
    assert_eq!(entered.iter().copied().collect::<BTreeSet<_>>(), rows);
    assert_eq!(entered.len(), rows.len(), "none has two");
    for entry in entries() {
        assert!(!entry.invalid.is_empty(), "{} has nothing that makes no sense", entry.action);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_refusals_are_as_recorded() {
    keep_all("alibaba", &[], entries().map(ask)).await;
}
