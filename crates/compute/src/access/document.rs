//! Policy documents: JSON text as RAM, IAM and Huawei's IAM have it. A document is refused unless every word of it is
//! understood, so that none means something else than its author thinks. Its text is kept as it came, since the clouds show
//! it so.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Request;
use super::condition::Condition;
use super::json::Json;
use super::pattern;

/// Most bytes of a document, as RAM and IAM have it.
pub const MAX_DOCUMENT_BYTES: usize = 6144;

/// Versions of the language: RAM's, IAM's two, Huawei's.
const VERSIONS: [&str; 4] = ["1", "2012-10-17", "2008-10-17", "1.1"];

/// Why a text is no policy document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is too long.
    #[error("the policy document has {bytes} bytes, and may have {MAX_DOCUMENT_BYTES}")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// It is no JSON, or has a name twice in an object.
    #[error("the policy document is not valid JSON: {why}")]
    NoJson {
        /// What is wrong, and where.
        why: String,
    },
    /// Something in it is missing, wrong or unknown.
    #[error("the policy document's {place} {why}")]
    Wrong {
        /// Where: an element, and the statement it is in, counted from 1.
        place: String,
        /// What is wrong.
        why: String,
    },
}

/// A document that says what its owner may do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PermissionPolicy {
    text: String,
    statements: Vec<Statement>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Allow,
    Deny,
}

/// A list of patterns that must match, or must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patterns {
    Any(Vec<String>),
    None(Vec<String>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    pub effect: Effect,
    pub actions: Patterns,
    /// All of them, for a statement that has none: those of trust policies.
    pub resources: Patterns,
    pub conditions: Vec<Condition>,
}

impl Patterns {
    fn admit(&self, matches: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Any(patterns) => patterns.iter().any(|pattern| matches(pattern)),
            Self::None(patterns) => !patterns.iter().any(|pattern| matches(pattern)),
        }
    }
}

impl Statement {
    /// Whether it speaks of this request.
    pub fn applies(&self, request: &Request<'_>) -> bool {
        self.actions.admit(|pattern| pattern::matches_ignoring_case(pattern, request.action))
            && self.resources.admit(|pattern| pattern::matches(pattern, request.resource))
            && self.conditions.iter().all(|condition| condition.holds(request.context))
    }
}

impl PermissionPolicy {
    /// The document as it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn statements(&self) -> &[Statement] {
        &self.statements
    }
}

impl FromStr for PermissionPolicy {
    type Err = DocumentError;

    fn from_str(text: &str) -> Result<Self, DocumentError> {
        let read = |members: &mut Members| {
            let resources = members.one_of("Resource", "NotResource")?;
            statement(members, resources)
        };
        Ok(Self { text: text.to_owned(), statements: statements(text, read)? })
    }
}

impl TryFrom<String> for PermissionPolicy {
    type Error = DocumentError;

    fn try_from(text: String) -> Result<Self, DocumentError> {
        text.parse()
    }
}

impl From<PermissionPolicy> for String {
    fn from(policy: PermissionPolicy) -> Self {
        policy.text
    }
}

/// Reads a document's statements, each by `read`.
pub fn statements<T>(
    text: &str,
    read: impl Fn(&mut Members) -> Result<T, DocumentError>,
) -> Result<Vec<T>, DocumentError> {
    if text.len() > MAX_DOCUMENT_BYTES {
        return Err(DocumentError::TooLong { bytes: text.len() });
    }
    let json =
        serde_json::from_str(text).map_err(|error| DocumentError::NoJson { why: error.to_string() })?;
    let mut document = Members::new(json, "")?;
    let version = document.text("Version")?.ok_or_else(|| document.wrong("Version", "is missing"))?;
    if !VERSIONS.contains(&version.as_str()) {
        return Err(document.wrong("Version", "is none of 1, 2012-10-17, 2008-10-17 and 1.1"));
    }
    document.text("Id")?;
    let list = match document.take("Statement") {
        None => return Err(document.wrong("Statement", "is missing")),
        Some(Json::List(list)) if list.is_empty() => return Err(document.wrong("Statement", "is empty")),
        Some(Json::List(list)) => list,
        Some(one) => vec![one],
    };
    document.end()?;
    let mut statements = Vec::new();
    for (index, json) in list.into_iter().enumerate() {
        let mut members = Members::new(json, &format!("statement {}", index + 1))?;
        statements.push(read(&mut members)?);
        members.end()?;
    }
    Ok(statements)
}

/// Reads what all statements have.
pub fn statement(members: &mut Members, resources: Patterns) -> Result<Statement, DocumentError> {
    members.text("Sid")?;
    let effect = match members.text("Effect")?.as_deref() {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        Some(_) | None => return Err(members.wrong("Effect", "is neither Allow nor Deny")),
    };
    let actions = members.one_of("Action", "NotAction")?;
    let (Patterns::Any(patterns) | Patterns::None(patterns)) = &actions;
    if let Some(bad) = patterns.iter().find(|pattern| *pattern != "*" && !pattern.contains(':')) {
        return Err(
            members.wrong("Action", &format!("{bad:?} is no action: expected service:Operation or *"))
        );
    }
    let mut conditions = Vec::new();
    if let Some(json) = members.take("Condition") {
        let place = members.place("Condition");
        for (operator, json) in Members::new(json, &place)?.all() {
            for (key, json) in Members::new(json, &place)?.all() {
                let wrong = |why| DocumentError::Wrong { place: place.clone(), why };
                let values =
                    texts(json).ok_or_else(|| wrong(format!("has no list of values for {key:?}")))?;
                let condition = Condition::new(&operator, &key, &values);
                conditions.push(condition.map_err(|why| wrong(format!("is not understood: {why}")))?);
            }
        }
    }
    Ok(Statement { effect, actions, resources, conditions })
}

/// A value or a list of values, as texts; none is no list.
pub fn texts(json: Json) -> Option<Vec<String>> {
    let one = |json| match json {
        // A variable would have to be filled in; taken by the letter it would mean something else.
        Json::Text(text) if text.contains("${") => None,
        Json::Text(text) | Json::Number(text) => Some(text),
        Json::Bool(value) => Some(value.to_string()),
        Json::Null | Json::List(_) | Json::Object(_) => None,
    };
    match json {
        Json::List(list) => list.into_iter().map(one).collect::<Option<Vec<_>>>(),
        json => one(json).map(|text| vec![text]),
    }
    .filter(|texts| !texts.is_empty())
}

/// The members of an object, taken one by one; what is left in the end was not understood.
pub struct Members {
    members: Vec<(String, Json)>,
    within: String,
}

impl Members {
    fn new(json: Json, within: &str) -> Result<Self, DocumentError> {
        let within = within.to_owned();
        match json {
            Json::Object(members) => Ok(Self { members, within }),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_) => {
                let place = if within.is_empty() { "top".to_owned() } else { within };
                Err(DocumentError::Wrong { place, why: "is not an object".to_owned() })
            }
        }
    }

    /// Takes a member, if it is there.
    pub fn take(&mut self, name: &str) -> Option<Json> {
        let index = self.members.iter().position(|(known, _)| known == name)?;
        Some(self.members.remove(index).1)
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, DocumentError> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "is not a text")),
        }
    }

    /// Takes patterns from whichever of two members is there.
    pub fn one_of(&mut self, name: &str, not_name: &str) -> Result<Patterns, DocumentError> {
        let (yes, no) = (self.take(name), self.take(not_name));
        let (json, make): (_, fn(_) -> _) = match (yes, no) {
            (Some(json), None) => (json, Patterns::Any),
            (None, Some(json)) => (json, Patterns::None),
            (None, None) => return Err(self.wrong(name, "is missing")),
            (Some(_), Some(_)) => return Err(self.wrong(name, &format!("and {not_name} exclude each other"))),
        };
        let patterns = texts(json)
            .ok_or_else(|| self.wrong(name, "is not a text or a list of texts without variables"))?;
        Ok(make(patterns))
    }

    fn all(self) -> Vec<(String, Json)> {
        self.members
    }

    fn end(&self) -> Result<(), DocumentError> {
        match self.members.first() {
            None => Ok(()),
            Some((name, _)) => Err(self.wrong(name, "is not known here")),
        }
    }

    fn place(&self, name: &str) -> String {
        let within = &self.within;
        if within.is_empty() { name.to_owned() } else { format!("{within}, {name},") }
    }

    /// The error that something is wrong with a member.
    pub fn wrong(&self, name: &str, why: &str) -> DocumentError {
        DocumentError::Wrong { place: self.place(name), why: why.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(statement: &str) -> String {
        let text = format!(r#"{{"Version": "1", "Statement": [{statement}]}}"#);
        text.parse::<PermissionPolicy>().expect_err(statement).to_string()
    }

    #[test]
    fn a_document_is_kept_as_it_came() {
        let text = r#" {"Statement":[{"Action":["oss:Get*","oss:List*"],"Effect":"Allow","Resource":"*"}],"Version":"1"}"#;
        let policy: PermissionPolicy = text.parse().unwrap();
        assert_eq!(policy.text(), text);
        let stored = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<PermissionPolicy>(&stored).unwrap(), policy);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let cases = [
            (r#"{"Effect": "allow", "Action": "*", "Resource": "*"}"#, "statement 1, Effect, is neither"),
            (r#"{"Effect": "Allow", "Resource": "*"}"#, "statement 1, Action, is missing"),
            (r#"{"Effect": "Allow", "Action": "*"}"#, "statement 1, Resource, is missing"),
            (r#"{"Effect": "Allow", "Action": [], "Resource": "*"}"#, "Action, is not a text or a list"),
            (r#"{"Effect": "Allow", "Action": "Start", "Resource": "*"}"#, "\"Start\" is no action"),
            (
                r#"{"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"}"#,
                "exclude each other",
            ),
            (
                r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}"#,
                "Principal, is not known",
            ),
            (
                r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "resource": "*"}"#,
                "resource, is not known",
            ),
            (r#"{"Effect": "Allow", "Action": "*", "Resource": "${x}"}"#, "without variables"),
            (r#"{"Effect": "Allow", "Effect": "Deny"}"#, "\"Effect\" is there twice"),
            (
                r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Is": {"k": "v"}}}"#,
                "no operator \"Is\"",
            ),
            (
                r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {"k": []}}}"#,
                "no list of values",
            ),
            (
                r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": []}"#,
                "Condition, is not an object",
            ),
            ("1", "statement 1 is not an object"),
        ];
        for (statement, expected) in cases {
            let error = error(statement);
            assert!(error.contains(expected), "{statement}: {error}");
        }
    }

    #[test]
    fn the_frame_of_a_document_is_checked() {
        let cases = [
            ("", "not valid JSON"),
            ("[]", "top is not an object"),
            (r#"{"Statement": []}"#, "Version is missing"),
            (r#"{"Version": "3", "Statement": []}"#, "Version is none of"),
            (r#"{"Version": 1, "Statement": []}"#, "Version is not a text"),
            (r#"{"Version": "1"}"#, "Statement is missing"),
            (r#"{"Version": "1", "Statement": []}"#, "Statement is empty"),
        ];
        for (text, expected) in cases {
            let error = text.parse::<PermissionPolicy>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let long = " ".repeat(MAX_DOCUMENT_BYTES + 1);
        assert_eq!(long.parse::<PermissionPolicy>(), Err(DocumentError::TooLong { bytes: 6145 }));
    }

    #[test]
    fn not_action_and_not_resource_are_all_others() {
        let text = r#"{"Version": "2012-10-17", "Statement": {"Sid": "s", "Effect": "Allow",
            "NotAction": "ram:*", "NotResource": ["*/i-1", "*/i-2"]}}"#;
        let policy: PermissionPolicy = text.parse().unwrap();
        let context = super::super::Context::default();
        let applies = |action, resource| {
            policy.statements()[0].applies(&Request { action, resource, context: &context })
        };
        assert!(applies("ecs:StopInstance", "instance/i-3"));
        assert!(!applies("ecs:StopInstance", "instance/i-2"));
        assert!(!applies("RAM:createRole", "role/x"));
    }

    fn jsons() -> impl Strategy<Value = serde_json::Value> {
        let word = prop::sample::select(vec![
            "Version",
            "1",
            "Statement",
            "Effect",
            "Allow",
            "Deny",
            "Action",
            "ecs:*",
            "*",
            "Resource",
            "Condition",
            "StringEquals",
            "Null",
            "true",
            "Principal",
            "Service",
        ]);
        let leaf = prop_oneof![
            word.clone().prop_map(|word| serde_json::json!(word)),
            any::<Option<bool>>().prop_map(|value| serde_json::json!(value)),
            any::<i32>().prop_map(|value| serde_json::json!(value)),
        ];
        leaf.prop_recursive(5, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|list| serde_json::json!(list)),
                prop::collection::hash_map(word.clone(), inner, 0..5).prop_map(|map| serde_json::json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(json in jsons(), bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = json.to_string().parse::<PermissionPolicy>();
            let _ = json.to_string().parse::<super::super::TrustPolicy>();
            let _ = String::from_utf8_lossy(&bytes).parse::<PermissionPolicy>();
        }
    }
}
