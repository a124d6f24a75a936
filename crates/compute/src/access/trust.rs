//! Trust policies: who may assume a role. A service of the cloud that acts for an instance, an account, one of its users or
//! roles. Whoever is trusted also needs the permission to assume, by its own policies; a service does not. Asked where roles
//! are assumed and where one is given to an instance; no credentials are made here.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::document::{DocumentError, Effect, Patterns, Statement, statement, statements};
use super::json::Json;
use super::members::{Members, texts};
use super::{Context, Request};

/// Who is trusted, or asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    /// A service by its name, as `ecs.aliyuncs.com` or `ec2.amazonaws.com`.
    Service(String),
    /// All of an account.
    Account(String),
    /// A user of an account.
    User {
        /// The account.
        account: String,
        /// The user's name.
        name: String,
    },
    /// A role of an account.
    Role {
        /// The account.
        account: String,
        /// The role's name.
        name: String,
    },
}

/// Whom a statement speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Trusted {
    /// `"*"`: accounts and services.
    Anybody,
    /// `{"RAM": "*"}`: all accounts. Services are named as such.
    AnyAccount,
    One(Party),
}

/// A document that says who may assume a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrustPolicy {
    text: String,
    statements: Vec<(Vec<Trusted>, Statement)>,
}

impl TrustPolicy {
    /// The document as it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether this party may assume the role.
    pub fn trusts(&self, party: &Party, context: &Context) -> bool {
        // There is no resource: the document belongs to the one role.
        let request = Request { action: "sts:AssumeRole", resource: "", context };
        let speaks = self
            .statements
            .iter()
            .filter(|(trusted, _)| trusted.iter().any(|trusted| trusted.includes(party)))
            .filter(|(_, statement)| statement.applies(&request));
        let effects: Vec<Effect> = speaks.map(|(_, statement)| statement.effect).collect();
        effects.contains(&Effect::Allow) && !effects.contains(&Effect::Deny)
    }
}

impl Trusted {
    fn includes(&self, party: &Party) -> bool {
        match self {
            Self::Anybody => true,
            Self::AnyAccount => party.account().is_some(),
            Self::One(Party::Account(account)) => party.account() == Some(account),
            Self::One(trusted) => trusted == party,
        }
    }
}

impl Party {
    fn account(&self) -> Option<&String> {
        match self {
            Self::Service(_) => None,
            Self::Account(account) | Self::User { account, .. } | Self::Role { account, .. } => Some(account),
        }
    }

    /// Reads `acs:ram::1234:role/name`, `arn:aws:iam::1234:user/name`, or an account's bare number.
    fn from_name(name: &str) -> Option<Self> {
        let is_account = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_account(name) {
            return Some(Self::Account(name.to_owned()));
        }
        let rest = name.strip_prefix("acs:ram::").or_else(|| name.strip_prefix("arn:aws:iam::"))?;
        let (account, who) = rest.split_once(':').filter(|(account, _)| is_account(account))?;
        let account = account.to_owned();
        match who.split_once('/') {
            None if who == "root" => Some(Self::Account(account)),
            Some(("user", name)) if is_name(name) => Some(Self::User { account, name: name.to_owned() }),
            Some(("role", name)) if is_name(name) => Some(Self::Role { account, name: name.to_owned() }),
            Some(_) | None => None,
        }
    }
}

/// A name without wildcards: to trust a pattern of names is what nobody means.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['*', '?'])
}

impl FromStr for TrustPolicy {
    type Err = DocumentError;

    fn from_str(text: &str) -> Result<Self, DocumentError> {
        let read = |members: &mut Members, _version: &str| {
            let trusted = principal(members)?;
            let statement = statement(members, Patterns::None(Vec::new()))?;
            Ok((trusted, statement))
        };
        Ok(Self { text: text.to_owned(), statements: statements(text, read)? })
    }
}

fn principal(members: &mut Members) -> Result<Vec<Trusted>, DocumentError> {
    let kinds = match members.take("Principal") {
        None => return Err(members.wrong("Principal", "is missing")),
        Some(Json::Text(text)) if text == "*" => return Ok(vec![Trusted::Anybody]),
        Some(Json::Object(kinds)) if !kinds.is_empty() => kinds,
        Some(_) => return Err(members.wrong("Principal", "is neither * nor an object that names somebody")),
    };
    let mut all = Vec::new();
    for (kind, json) in kinds {
        let names =
            texts(json).map_err(|why| members.wrong("Principal", &format!("has {kind}, which {why}")))?;
        for name in names {
            let why = format!("has {kind} {name:?}, which is no service, account, user or role");
            let trusted = match kind.as_str() {
                "Service" if is_name(&name) => Some(Trusted::One(Party::Service(name))),
                "RAM" | "AWS" if name == "*" => Some(Trusted::AnyAccount),
                "RAM" | "AWS" => Party::from_name(&name).map(Trusted::One),
                _ => None,
            };
            all.push(trusted.ok_or_else(|| members.wrong("Principal", &why))?);
        }
    }
    Ok(all)
}

impl TryFrom<String> for TrustPolicy {
    type Error = DocumentError;

    fn try_from(text: String) -> Result<Self, DocumentError> {
        text.parse()
    }
}

impl From<TrustPolicy> for String {
    fn from(policy: TrustPolicy) -> Self {
        policy.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECS: &str = r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":
        {"Service":["ecs.aliyuncs.com"]}}],"Version":"1"}"#;

    fn trusting(principal: &str) -> Result<TrustPolicy, DocumentError> {
        format!(
            r#"{{"Version": "2012-10-17", "Statement":
               {{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {principal}}}}}"#
        )
        .parse()
    }

    fn user(account: &str, name: &str) -> Party {
        Party::User { account: account.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn a_service_is_trusted_by_its_name() {
        let policy: TrustPolicy = ECS.parse().unwrap();
        let none = Context::default();
        assert!(policy.trusts(&Party::Service("ecs.aliyuncs.com".to_owned()), &none));
        assert!(!policy.trusts(&Party::Service("fc.aliyuncs.com".to_owned()), &none));
        assert!(!policy.trusts(&Party::Account("1".to_owned()), &none));
    }

    #[test]
    fn an_account_is_all_that_is_in_it() {
        let none = Context::default();
        for root in
            [r#"{"RAM": "acs:ram::12:root"}"#, r#"{"AWS": ["arn:aws:iam::12:root"]}"#, r#"{"AWS": "12"}"#]
        {
            let policy = trusting(root).unwrap();
            assert!(policy.trusts(&user("12", "ann"), &none), "{root}");
            assert!(policy.trusts(&Party::Account("12".to_owned()), &none), "{root}");
            assert!(!policy.trusts(&user("1", "ann"), &none), "{root}");
        }
        let policy = trusting(r#"{"RAM": ["acs:ram::12:user/ann", "acs:ram::12:role/x"]}"#).unwrap();
        assert!(policy.trusts(&user("12", "ann"), &none));
        assert!(!policy.trusts(&user("12", "bob"), &none));
        assert!(
            !policy.trusts(&Party::Account("12".to_owned()), &none),
            "the account is more than a user of it"
        );
    }

    #[test]
    fn a_star_among_accounts_is_no_service() {
        let (none, service) = (Context::default(), Party::Service("ecs.aliyuncs.com".to_owned()));
        for (principal, takes_services) in
            [(r#""*""#, true), (r#"{"RAM": "*"}"#, false), (r#"{"AWS": ["*"]}"#, false)]
        {
            let policy = trusting(principal).unwrap();
            assert!(policy.trusts(&user("5", "eve"), &none), "{principal}");
            assert_eq!(policy.trusts(&service, &none), takes_services, "{principal}");
        }
        let both = trusting(r#"{"RAM": "*", "Service": "ecs.aliyuncs.com"}"#).unwrap();
        assert!(both.trusts(&service, &none) && both.trusts(&user("5", "eve"), &none));
    }

    #[test]
    fn a_statement_that_denies_outweighs() {
        let text = r#"{"Version": "1", "Statement": [
            {"Effect": "Allow", "Action": "sts:*", "Principal": "*"},
            {"Effect": "Deny", "Action": "sts:AssumeRole", "Principal": {"RAM": "acs:ram::1:user/bob"}}]}"#;
        let policy: TrustPolicy = text.parse().unwrap();
        assert!(policy.trusts(&user("1", "ann"), &Context::default()));
        assert!(!policy.trusts(&user("1", "bob"), &Context::default()));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let principals = [
            "1",
            "[]",
            "\"ann\"",
            "{}",
            r#"{"RAM": "*", "Federated": "x"}"#,
            r#"{"RAM": ["*", "junk"]}"#,
            r#"{"Service": []}"#,
            r#"{"Service": "*"}"#,
            r#"{"Federated": "x"}"#,
            r#"{"RAM": "acs:ram::12:user/*"}"#,
            r#"{"RAM": "acs:ram::x:root"}"#,
            r#"{"RAM": "acs:oss::12:root"}"#,
        ];
        for principal in principals {
            assert!(trusting(principal).is_err(), "{principal}");
        }
        let misplaced = ECS.replace("}}],", "}],");
        assert!(misplaced.parse::<TrustPolicy>().is_err(), "a bracket is missing");
        let resource = ECS.replace("\"Effect\"", "\"Resource\": \"*\", \"Effect\"");
        assert!(resource.parse::<TrustPolicy>().is_err(), "a role's trust has no resource");
    }
}
