//! Policy documents: JSON text as RAM, IAM and Huawei's IAM have it. A document is refused unless every word of it is
//! understood, so that none means something else than its author thinks. Its text is kept as it came, since the clouds show
//! it so. Dialects read documents here when users send them; what one leads to is decided in `access`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Request;
use super::condition::Condition;
use super::json::Json;
use super::members::{Members, values};
use super::pattern;

/// Most characters of a document, as RAM and IAM have it.
pub const MAX_DOCUMENT_CHARS: usize = 6144;

/// Versions of the language: RAM's, IAM's two, Huawei's.
const VERSIONS: [&str; 4] = ["1", "2012-10-17", "2008-10-17", HUAWEI];
const HUAWEI: &str = "1.1";

/// Why a text is no policy document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is too long.
    #[error("the policy document has {chars} characters, and may have {MAX_DOCUMENT_CHARS}")]
    TooLong {
        /// How long it is.
        chars: usize,
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
        let read = |members: &mut Members, version: &str| {
            let is_right = |name: &str| is_resource(name, version);
            let expected = "*, acs:service:region:account:rest or an ARN";
            let resources = members.one_of("Resource", "NotResource", is_right, expected)?;
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

/// Reads a document's statements, each by `read`, which is told the document's version.
pub fn statements<T>(
    text: &str,
    read: impl Fn(&mut Members, &str) -> Result<T, DocumentError>,
) -> Result<Vec<T>, DocumentError> {
    let chars = text.chars().count();
    if chars > MAX_DOCUMENT_CHARS {
        return Err(DocumentError::TooLong { chars });
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
        statements.push(read(&mut members, &version)?);
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
    let actions = members.one_of("Action", "NotAction", is_action, "service:Operation or *")?;
    let conditions = conditions(members)?;
    Ok(Statement { effect, actions, resources, conditions })
}

fn conditions(members: &mut Members) -> Result<Vec<Condition>, DocumentError> {
    let Some(json) = members.take("Condition") else { return Ok(Vec::new()) };
    let place = members.place("Condition");
    let wrong = |why| DocumentError::Wrong { place: place.clone(), why };
    let mut conditions = Vec::new();
    for (operator, json) in Members::new(json, &place)?.rest() {
        let keys = Members::new(json, &format!("{place} {operator}"))?.rest();
        if keys.is_empty() {
            // Without a key nothing would be asked, and the statement would always apply.
            return Err(wrong(format!("has {operator} without a key")));
        }
        for (key, json) in keys {
            let values = values(json).map_err(|why| wrong(format!("has {operator} {key:?}, which {why}")))?;
            let condition = Condition::new(&operator, &key, &values);
            conditions.push(condition.map_err(|why| wrong(format!("is not understood: {why}")))?);
        }
    }
    Ok(conditions)
}

/// Whether a pattern can be meant for actions. Huawei's have a colon more: `ecs:cloudServers:create`.
fn is_action(pattern: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"*?:-_.".contains(&byte);
    match pattern.split_once(':') {
        None => pattern == "*",
        Some((service, operation)) => {
            !service.is_empty() && !operation.is_empty() && pattern.bytes().all(is_word)
        }
    }
}

/// Whether a pattern can be meant for resources: it has all parts of a name, or a `*` for the last of them. One that has not
/// would match nothing, and what it should deny would go unnoticed.
fn is_resource(pattern: &str, version: &str) -> bool {
    let parts = pattern.split(':').count();
    let rest_is_open = pattern.ends_with('*');
    match pattern.split_once(':') {
        None => pattern == "*",
        Some(("acs", _)) => parts >= 5 || rest_is_open,
        Some(("arn", _)) => parts >= 6 || rest_is_open,
        // Ours: region, account and the rest.
        Some(("bothy", _)) => parts >= 4 || rest_is_open,
        Some(_) => version == HUAWEI && parts >= 5,
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
            (r#"{"Effect": "Allow", "Action": [], "Resource": "*"}"#, "Action, is an empty list"),
            (r#"{"Effect": "Allow", "Action": "Start", "Resource": "*"}"#, "Action, has \"Start\": expected"),
            (r#"{"Effect": "Deny", "NotAction": "x", "Resource": "*"}"#, "NotAction, has \"x\": expected"),
            (
                r#"{"Effect": "Deny", "Action": "*", "NotResource": "i-1"}"#,
                "NotResource, has \"i-1\": expected",
            ),
            (r#"{"Effect": "Allow", "Action": "*", "Resource": true}"#, "Resource, is not a text"),
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
            (r#"{"Effect": "Allow", "Action": "*", "Resource": "${x}"}"#, "has a variable"),
            (r#"{"Effect": "Allow", "Effect": "Deny"}"#, "\"Effect\" is there twice"),
            (
                r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Is": {"a:k": "v"}}}"#,
                "no operator \"Is\"",
            ),
            (
                r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {"a:k": []}}}"#,
                "has Bool \"a:k\", which is an empty list",
            ),
            (
                r#"{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringEquals": {}}}"#,
                "StringEquals without a key",
            ),
            (
                r#"{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": true}}"#,
                "Condition, Bool is not an object",
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
        let long = "雲".repeat(MAX_DOCUMENT_CHARS + 1);
        assert_eq!(long.parse::<PermissionPolicy>(), Err(DocumentError::TooLong { chars: 6145 }));
    }

    #[test]
    fn patterns_that_could_match_nothing_are_refused() {
        for pattern in ["*", "*:*", "ecs:*", "ecs:Start?nstance", "log:Get-It", "ecs:cloudServers:create"] {
            assert!(is_action(pattern), "{pattern}");
        }
        for pattern in ["", "ecs", "ecs*", ":", "ecs:", ":Start", "ecs:Start Instance", "ecs:Étoile"] {
            assert!(!is_action(pattern), "{pattern}");
        }
        let resources = [
            "*",
            "acs:*",
            "acs:ecs:*:1:instance/i-1",
            "acs:ram::1:role/x",
            "arn:aws:s3:::bucket/*",
            "arn:aws:iam::1:role/x",
            "arn:aws:sqs:*",
        ];
        for pattern in resources {
            assert!(is_resource(pattern, "1") && is_resource(pattern, HUAWEI), "{pattern}");
        }
        let refused =
            ["", "i-1", "i-*", "**", "acs:ecs", "acs:ecs:cn:1", "arn:aws:sqs", "arn:aws:iam:1:role/x"];
        for pattern in refused {
            assert!(!is_resource(pattern, "1") && !is_resource(pattern, HUAWEI), "{pattern}");
        }
        assert!(is_resource("OBS:*:*:bucket:x", HUAWEI));
        assert!(!is_resource("OBS:*:*:bucket:x", "1"), "neither RAM nor IAM has such names");
    }

    #[test]
    fn not_action_and_not_resource_are_all_others() {
        let text = r#"{"Version": "2012-10-17", "Statement": {"Sid": "s", "Effect": "Allow",
            "NotAction": "ram:*", "NotResource": ["acs:ecs:*:*:instance/i-1", "acs:ecs:*:*:instance/i-2"]}}"#;
        let policy: PermissionPolicy = text.parse().unwrap();
        let context = super::super::Context::default();
        let applies = |action, resource| {
            policy.statements()[0].applies(&Request { action, resource, context: &context })
        };
        assert!(applies("ecs:StopInstance", "acs:ecs:cn:1:instance/i-3"));
        assert!(!applies("ecs:StopInstance", "acs:ecs:cn:1:instance/i-2"));
        assert!(!applies("RAM:createRole", "acs:ram::1:role/x"));
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
            "RAM",
            "acs:ram::1:root",
            "ecs:Key",
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
            let text = String::from_utf8_lossy(&bytes);
            let _ = text.parse::<PermissionPolicy>();
            let _ = text.parse::<super::super::TrustPolicy>();
            let _ = serde_json::from_slice::<PermissionPolicy>(&bytes);
        }
    }
}
