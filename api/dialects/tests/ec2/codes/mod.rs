//! Each error code of version 2007-03-01, provoked by Query and by SOAP from the same entry of a table: with its HTTP status, its
//! side in faults, and its request's id. A code without an entry fails the tests, and so does an entry of no code.
//!
//! `InvalidReservationID.Malformed` and `InvalidReservationID.NotFound` stay out: the guide has them in its table of codes, and
//! none of its actions takes a reservation's id, so that nobody can be told them.

mod place;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use super::caller::{Answered, Pairs};
use super::world::store::INNER_DETAIL;
use place::{Place, Setting};

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// A code, its status by Query, and its side.
struct Code(&'static str, u16, Side);

use Side::{Client, Server};

/// The guide's two tables of codes, and those that the service told besides them.
const CODES: &[Code] = &[
    Code("AuthFailure", 401, Client),
    Code("InvalidManifest", 400, Client),
    Code("InvalidAMIID.Malformed", 400, Client),
    Code("InvalidAMIID.NotFound", 400, Client),
    Code("InvalidAMIID.Unavailable", 400, Client),
    Code("InvalidInstanceID.Malformed", 400, Client),
    Code("InvalidInstanceID.NotFound", 400, Client),
    Code("InvalidKeyPair.NotFound", 400, Client),
    Code("InvalidKeyPair.Duplicate", 400, Client),
    Code("InvalidGroup.NotFound", 400, Client),
    Code("InvalidGroup.Duplicate", 400, Client),
    Code("InvalidGroup.InUse", 400, Client),
    Code("InvalidGroup.Reserved", 400, Client),
    Code("InvalidParameterValue", 400, Client),
    Code("InvalidPermission.Duplicate", 400, Client),
    Code("InvalidPermission.Malformed", 400, Client),
    Code("InstanceLimitExceeded", 400, Client),
    Code("InvalidParameterCombination", 400, Client),
    Code("InvalidUserID.Malformed", 400, Client),
    Code("InvalidAMIAttributeItemValue", 400, Client),
    Code("UnknownParameter", 400, Client),
    Code("InvalidAction", 400, Client),
    Code("InvalidPermission.NotFound", 400, Client),
    Code("MissingParameter", 400, Client),
    Code("RequestExpired", 400, Client),
    Code("SignatureDoesNotMatch", 403, Client),
    Code("InternalError", 500, Server),
    Code("InsufficientInstanceCapacity", 500, Server),
    Code("Unavailable", 503, Server),
];

/// How a code is provoked: where, by whom, and what is asked.
struct Provocation {
    code: &'static str,
    setting: Setting,
    sent: Sent,
    action: &'static str,
    asked: Pairs<'static>,
}

/// Who sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// The account.
    Rightly,
    /// The account, too long ago.
    Late,
    /// Somebody with another key, under the name of the account's.
    Forged,
    /// Somebody whose key is no account's.
    Unknown,
}

/// What is wrong with an answer by Query.
fn by_query(code: &Code, answer: &Answered) -> Option<String> {
    let Code(code, status, _) = *code;
    let id = answer.header("x-amzn-requestid");
    let is_so = answer.status == status
        && answer.all("Code") == [code]
        && answer.all("RequestID") == [id]
        && answer.all("Message").iter().all(|text| text.len() > 5);
    (!is_so || tells_too_much(answer)).then(|| format!("by Query {} {}", answer.status, answer.text))
}

/// What is wrong with a fault.
fn by_soap(code: &Code, answer: &Answered) -> Option<String> {
    let Code(code, _, side) = *code;
    let id = answer.header("x-amzn-requestid");
    let is_so = answer.status == 500
        && answer.all("faultcode") == [format!("SOAP-ENV:{side:?}.{code}")]
        && answer.all("aws:RequestId") == [id]
        && answer.all("faultstring").iter().all(|text| text.len() > 5);
    (!is_so || tells_too_much(answer)).then(|| format!("by SOAP {} {}", answer.status, answer.text))
}

/// Whether an answer tells what is the host's own business: paths, names of files.
fn tells_too_much(answer: &Answered) -> bool {
    [INNER_DETAIL, "/var/", ".rs:", "SQLite"].iter().any(|detail| answer.text.contains(detail))
}

#[test]
fn every_code_has_an_entry() {
    let codes: BTreeSet<&str> = CODES.iter().map(|Code(code, ..)| *code).collect();
    let provoked: BTreeSet<&str> = table::PROVOCATIONS.iter().map(|entry| entry.code).collect();
    assert_eq!(codes, provoked);
    assert_eq!(codes.len(), CODES.len(), "none is there twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_code_is_told_by_query_and_by_soap() {
    let mut settings: BTreeMap<Setting, Vec<&Provocation>> = BTreeMap::new();
    for entry in table::PROVOCATIONS {
        settings.entry(entry.setting).or_default().push(entry);
    }
    let mut wrong = Vec::new();
    for (setting, entries) in settings {
        let place = Place::of(setting).await;
        for entry in entries {
            let code = CODES.iter().find(|Code(code, ..)| *code == entry.code).unwrap();
            let (query, soap) = place.ask(entry).await;
            for wrongly in [by_query(code, &query), by_soap(code, &soap)].into_iter().flatten() {
                let Provocation { code, action, asked, .. } = entry;
                wrong.push(format!("{code}, {setting:?}, {action} {asked:?}: {wrongly}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// What can be said in one way only, or means another thing in the other.
#[tokio::test]
async fn some_can_be_told_by_one_face_only() {
    let place = Place::of(Setting::Usual).await;
    // By SOAP an attribute is an element, and which there are the WSDL says.
    let kernel = &[("ImageId", "{image}"), ("Attribute", "kernel")];
    let (query, soap) = place.ask(&table::usual("", "DescribeImageAttribute", kernel)).await;
    query.refused(400, "InvalidParameterValue");
    soap.refused(500, "UnknownParameter");
    // A permission of SOAP's may have groups and networks.
    let both = &[("GroupName", "web"), ("IpProtocol", "tcp"), ("SourceSecurityGroupName", "web")];
    let (query, _) = place.ask(&table::usual("", "AuthorizeSecurityGroupIngress", both)).await;
    query.refused(400, "InvalidParameterCombination");
    // Only SOAP says how data is encoded.
    let item = "<imageId>{image}</imageId><minCount>1</minCount><maxCount>1</maxCount>";
    for data in ["encoding=\"base64\" version=\"2.0\"", "encoding=\"hex\" version=\"1.0\"", "version=\"1.0\""]
    {
        let launch = format!(
            "<instancesSet><item>{item}</item></instancesSet><userData {data}><data>aa==</data></userData>"
        );
        place.soap("RunInstances", &place.fill(&launch)).await.refused(500, "InvalidParameterValue");
    }
}
