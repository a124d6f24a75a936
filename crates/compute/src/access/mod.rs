//! Who may do what: policy documents in the clouds' common language, and the decision they lead to. Every dialect asks here
//! once it knows who calls; what an action or a resource is called is the dialect's business.
//!
//! Pure: policies and what is known of the request go in, a decision comes out. Nothing is looked up.

mod builtin;
mod condition;
mod document;
mod json;
mod members;
mod pattern;
mod trust;

pub use builtin::{BUILT_IN, BuiltIn, built_in};
pub use document::{DocumentError, MAX_DOCUMENT_CHARS, PermissionPolicy};
pub use trust::{Party, TrustPolicy};

use document::{Effect, Statement};

/// What somebody wants to do.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The action, as `ecs:CreateInstance`.
    pub action: &'a str,
    /// The resource, as `acs:ecs:cn-hangzhou:1234:instance/i-1a2b3c4d`.
    pub resource: &'a str,
    /// What conditions can ask about: source address, time, tags.
    pub context: &'a Context,
}

/// Values by condition key. Keys are compared without case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context(Vec<(String, Vec<String>)>);

impl Context {
    /// Adds a value to a key.
    pub fn add(&mut self, key: &str, value: impl Into<String>) {
        let known = self.0.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(key));
        match known {
            Some((_, values)) => values.push(value.into()),
            None => self.0.push((key.to_owned(), vec![value.into()])),
        }
    }

    /// The values of a key; `None` if nothing is known of it.
    pub fn get(&self, key: &str) -> Option<&[String]> {
        let known = self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
        known.map(|(_, values)| values.as_slice())
    }
}

/// A policy and what it is called.
#[derive(Clone, Debug)]
pub struct NamedPolicy {
    /// Its name.
    pub name: String,
    /// What it says.
    pub policy: PermissionPolicy,
}

/// Who calls, as the dialect found out.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account.
    pub account: String,
    /// Who of that account.
    pub principal: Principal,
    /// The policies of the user or role, of its groups as well.
    pub policies: Vec<NamedPolicy>,
    /// What the session was narrowed to when its credentials were given: to what these policies say together.
    pub session: Option<Vec<NamedPolicy>>,
}

/// Who of an account calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// The account itself. It may do everything with what is its own.
    Root,
    /// A user.
    User {
        /// Its name.
        name: String,
    },
    /// Whoever assumed a role.
    Role {
        /// The role's name.
        name: String,
        /// What the session is called.
        session: String,
    },
}

impl Caller {
    /// The caller as trust policies know it.
    pub fn party(&self) -> Party {
        let account = self.account.clone();
        match &self.principal {
            Principal::Root => Party::Account(account),
            Principal::User { name } => Party::User { account, name: name.clone() },
            Principal::Role { name, .. } => Party::Role { account, name: name.clone() },
        }
    }
}

/// What is decided, and by what, so that an error or an audit can say it. Statements are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The account itself asks, and needs no policy.
    AllowedAsRoot,
    /// A policy allows it and none denies it.
    AllowedBy {
        /// The first policy that does.
        policy: String,
        /// The first of its statements that does.
        statement: usize,
    },
    /// A policy denies it.
    DeniedBy {
        /// The first policy that does.
        policy: String,
        /// The first of its statements that does.
        statement: usize,
    },
    /// The caller's policies allow it, and what its session was narrowed to denies it.
    DeniedBySession {
        /// The first of the session's policies that does.
        policy: String,
        /// The first of its statements that does.
        statement: usize,
    },
    /// No policy allows it.
    NotAllowed,
    /// The caller's policies allow it, and its session was narrowed to something else.
    NotInSession,
}

impl Decision {
    /// Whether it may be done.
    pub fn is_allowed(&self) -> bool {
        match self {
            Self::AllowedAsRoot | Self::AllowedBy { .. } => true,
            Self::DeniedBy { .. } | Self::DeniedBySession { .. } | Self::NotAllowed | Self::NotInSession => {
                false
            }
        }
    }
}

/// Decides whether the caller may do this with a resource of its own account. That the resource is of that account is
/// decided before, by where it was looked for.
pub fn authorize(caller: &Caller, request: &Request<'_>) -> Decision {
    let decision = match caller.principal {
        Principal::Root => Decision::AllowedAsRoot,
        Principal::User { .. } | Principal::Role { .. } => decide(&caller.policies, request),
    };
    let Some(session) = caller.session.as_ref().filter(|_| decision.is_allowed()) else { return decision };
    match decide(session, request) {
        Decision::DeniedBy { policy, statement } => Decision::DeniedBySession { policy, statement },
        narrowed if narrowed.is_allowed() => decision,
        _ => Decision::NotInSession,
    }
}

/// What policies say together: one that denies outweighs all that allow, and where none allows nothing is allowed.
pub fn decide(policies: &[NamedPolicy], request: &Request<'_>) -> Decision {
    let mut decision = Decision::NotAllowed;
    for NamedPolicy { name, policy } in policies {
        match verdict(policy.statements(), request) {
            Some((Effect::Deny, statement)) => return Decision::DeniedBy { policy: name.clone(), statement },
            Some((Effect::Allow, statement)) if !decision.is_allowed() => {
                decision = Decision::AllowedBy { policy: name.clone(), statement };
            }
            Some((Effect::Allow, _)) | None => {}
        }
    }
    decision
}

/// What the statements say: the first that denies, else the first that allows. They are counted from 1.
fn verdict(statements: &[Statement], request: &Request<'_>) -> Option<(Effect, usize)> {
    let mut allowed = None;
    for (statement, number) in statements.iter().zip(1..) {
        if statement.applies(request) {
            match statement.effect {
                Effect::Deny => return Some((Effect::Deny, number)),
                Effect::Allow => allowed = allowed.or(Some((Effect::Allow, number))),
            }
        }
    }
    allowed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(name: &str, text: &str) -> NamedPolicy {
        NamedPolicy { name: name.to_owned(), policy: text.parse().unwrap() }
    }

    fn allow(actions: &str) -> NamedPolicy {
        named(
            actions,
            &format!(
                r#"{{"Version": "1", "Statement": {{"Effect": "Allow", "Action": "{actions}", "Resource": "*"}}}}"#
            ),
        )
    }

    fn deny(actions: &str) -> NamedPolicy {
        let allowing = allow(actions);
        named(&format!("not {actions}"), &allowing.policy.text().replace("Allow", "Deny"))
    }

    fn user(policies: Vec<NamedPolicy>) -> Caller {
        Caller {
            account: "1".to_owned(),
            principal: Principal::User { name: "ann".to_owned() },
            policies,
            session: None,
        }
    }

    fn asked(caller: &Caller, action: &str, resource: &str) -> Decision {
        authorize(caller, &Request { action, resource, context: &Context::default() })
    }

    fn by(policy: &str, statement: usize) -> Decision {
        Decision::AllowedBy { policy: policy.to_owned(), statement }
    }

    #[test]
    fn deny_outweighs_allow_and_allow_outweighs_nothing() {
        let caller = user(vec![deny("ecs:Delete*"), allow("ecs:*"), allow("*:Start*")]);
        assert_eq!(asked(&caller, "ecs:StartInstance", "i"), by("ecs:*", 1), "the first that allows");
        assert_eq!(asked(&caller, "ECS:startinstance", "i"), by("ecs:*", 1), "without case");
        assert_eq!(asked(&caller, "ram:CreateRole", "r"), Decision::NotAllowed);
        assert_eq!(
            asked(&caller, "ecs:DeleteInstance", "i"),
            Decision::DeniedBy { policy: "not ecs:Delete*".to_owned(), statement: 1 }
        );
    }

    #[test]
    fn the_statement_is_named_that_decides() {
        let policy = named(
            "two sides",
            r#"{"Version": "1", "Statement": [
                {"Effect": "Allow", "Action": "kms:*", "Resource": "*"},
                {"Effect": "Allow", "Action": "ecs:*", "Resource": "*"},
                {"Effect": "Deny", "Action": "ecs:Stop*", "Resource": "*",
                 "Condition": {"NotIpAddress": {"acs:SourceIp": "10.0.0.0/8"}}},
                {"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#,
        );
        let caller = user(vec![policy]);
        let from = |address: &str| {
            let mut context = Context::default();
            context.add("ACS:sourceip", address);
            authorize(&caller, &Request { action: "ecs:StopInstance", resource: "i", context: &context })
        };
        assert_eq!(from("10.1.2.3"), by("two sides", 2));
        assert_eq!(from("11.1.2.3"), Decision::DeniedBy { policy: "two sides".to_owned(), statement: 3 });
    }

    #[test]
    fn to_pass_a_role_is_an_action_of_its_own() {
        let create = allow("ecs:CreateInstance");
        let role = "acs:ram::1:role/EcsRamRoleTest";
        assert_eq!(asked(&user(vec![create.clone()]), "ram:PassRole", role), Decision::NotAllowed);
        let pass = named(
            "pass",
            r#"{"Version": "1", "Statement": [
                {"Effect": "Allow", "Action": "ram:PassRole", "Resource": "acs:ram::1:role/Ecs*"}]}"#,
        );
        let caller = user(vec![create, pass]);
        assert_eq!(asked(&caller, "ram:PassRole", role), by("pass", 1));
        assert_eq!(asked(&caller, "ram:PassRole", "acs:ram::1:role/Admin"), Decision::NotAllowed);
    }

    #[test]
    fn a_session_narrows_and_never_widens() {
        let mut caller = user(vec![allow("ecs:*")]);
        caller.session = Some(vec![allow("*")]);
        assert_eq!(asked(&caller, "kms:Decrypt", "k"), Decision::NotAllowed);
        caller.session = Some(vec![allow("ecs:Describe*")]);
        assert_eq!(asked(&caller, "ecs:DescribeInstances", "*"), by("ecs:*", 1));
        assert_eq!(asked(&caller, "ecs:StopInstance", "i"), Decision::NotInSession);
        let denied = Decision::DeniedBySession { policy: "not ecs:Stop*".to_owned(), statement: 1 };
        caller.session = Some(vec![deny("ecs:Stop*")]);
        assert_eq!(asked(&caller, "ecs:StopInstance", "i"), denied);
        caller.principal = Principal::Root;
        assert_eq!(asked(&caller, "ecs:StartInstance", "i"), Decision::NotInSession);
        // Several are one: whatever any allows and none denies.
        caller.session = Some(vec![allow("ecs:Describe*"), allow("ecs:St*"), deny("ecs:Stop*")]);
        assert_eq!(asked(&caller, "ecs:StartInstance", "i"), Decision::AllowedAsRoot);
        assert_eq!(asked(&caller, "ecs:StopInstance", "i"), denied);
        assert_eq!(asked(&caller, "ecs:RebootInstance", "i"), Decision::NotInSession);
        // None that is left is nothing that is allowed.
        caller.session = Some(Vec::new());
        assert_eq!(asked(&caller, "ecs:StartInstance", "i"), Decision::NotInSession);
        caller.session = None;
        assert_eq!(asked(&caller, "ecs:StartInstance", "i"), Decision::AllowedAsRoot);
    }

    #[test]
    fn a_caller_is_a_party_to_trust() {
        let mut caller = user(Vec::new());
        assert_eq!(caller.party(), Party::User { account: "1".to_owned(), name: "ann".to_owned() });
        caller.principal = Principal::Role { name: "r".to_owned(), session: "s".to_owned() };
        assert_eq!(caller.party(), Party::Role { account: "1".to_owned(), name: "r".to_owned() });
        caller.principal = Principal::Root;
        assert_eq!(caller.party(), Party::Account("1".to_owned()));
    }

    fn policies() -> impl Strategy<Value = Vec<NamedPolicy>> {
        prop::collection::vec((patterns(), any::<bool>()), 0..6).prop_map(|made| {
            made.into_iter()
                .map(|(action, allows)| if allows { allow(action) } else { deny(action) })
                .collect()
        })
    }

    fn patterns() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["*", "ecs:*", "ecs:Start*", "ram:?assRole", "kms:Decrypt"])
    }

    fn actions() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["ecs:StartInstance", "ram:PassRole", "kms:Decrypt", "x:Y"])
    }

    fn is_denied(decision: &Decision) -> bool {
        matches!(decision, Decision::DeniedBy { .. })
    }

    proptest! {
        #[test]
        fn the_order_of_policies_is_nothing(
            (policies, turned) in policies().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
            action in actions(),
        ) {
            let (before, after) = (asked(&user(policies), action, "r"), asked(&user(turned), action, "r"));
            prop_assert_eq!(before.is_allowed(), after.is_allowed());
            prop_assert_eq!(is_denied(&before), is_denied(&after));
        }

        #[test]
        fn an_allow_takes_nothing_away_and_a_deny_always_wins(
            policies in policies(), pattern in patterns(), action in actions(), place: prop::sample::Index,
        ) {
            let before = asked(&user(policies.clone()), action, "r");
            let with = |policy| {
                let mut more = policies.clone();
                more.insert(place.index(policies.len() + 1), policy);
                asked(&user(more), action, "r")
            };
            let after = with(allow(pattern));
            prop_assert!(!before.is_allowed() || after.is_allowed());
            prop_assert_eq!(is_denied(&before), is_denied(&after));
            prop_assert!(is_denied(&with(deny(action))));
        }

        #[test]
        fn a_session_never_adds(
            policies in policies(), session in policies(), root: bool, action in actions(),
        ) {
            let mut caller = user(policies);
            if root {
                caller.principal = Principal::Root;
            }
            let before = asked(&caller, action, "r");
            for count in 0..=session.len() {
                caller.session = Some(session[..count].to_vec());
                let after = asked(&caller, action, "r");
                prop_assert!(before.is_allowed() || after == before);
            }
        }
    }
}
