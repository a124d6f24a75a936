//! Who may do what: policy documents in the clouds' common language, and the decision they lead to. Every dialect asks here
//! once it knows who calls; what an action or a resource is called is the dialect's business.
//!
//! Pure: policies and what is known of the request go in, a decision comes out. Nothing is looked up.

mod builtin;
mod condition;
mod document;
mod json;
mod pattern;
mod trust;

pub use builtin::{BUILT_IN, BuiltIn, built_in};
pub use document::{DocumentError, MAX_DOCUMENT_BYTES, PermissionPolicy};
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
    /// What the session was narrowed to when its credentials were given.
    pub session: Option<PermissionPolicy>,
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

/// What is decided, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A policy allows it and none denies it.
    Allowed,
    /// A policy denies it.
    Denied {
        /// The policy.
        policy: String,
        /// Which of its statements, from 1.
        statement: usize,
    },
    /// No policy allows it.
    NotAllowed,
    /// The caller's policies allow it, and the session was narrowed to something else.
    NotInSession,
}

/// Decides whether the caller may do this with a resource of its own account. That the resource is of that account is
/// decided before, by where it was looked for.
pub fn authorize(caller: &Caller, request: &Request<'_>) -> Decision {
    let decision = match caller.principal {
        Principal::Root => Decision::Allowed,
        Principal::User { .. } | Principal::Role { .. } => decide(&caller.policies, request),
    };
    match (&caller.session, decision) {
        (Some(session), Decision::Allowed) => match verdict(session.statements(), request) {
            Some((Effect::Allow, _)) => Decision::Allowed,
            Some((Effect::Deny, _)) | None => Decision::NotInSession,
        },
        (_, decision) => decision,
    }
}

/// What policies say together: one that denies outweighs all that allow, and where none allows nothing is allowed.
pub fn decide(policies: &[NamedPolicy], request: &Request<'_>) -> Decision {
    let mut decision = Decision::NotAllowed;
    for NamedPolicy { name, policy } in policies {
        match verdict(policy.statements(), request) {
            Some((Effect::Deny, statement)) => {
                return Decision::Denied { policy: name.clone(), statement: statement + 1 };
            }
            Some((Effect::Allow, _)) => decision = Decision::Allowed,
            None => {}
        }
    }
    decision
}

/// What the statements say: the first that denies, else one that allows.
fn verdict(statements: &[Statement], request: &Request<'_>) -> Option<(Effect, usize)> {
    let mut allowed = None;
    for (index, statement) in statements.iter().enumerate() {
        if statement.applies(request) {
            match statement.effect {
                Effect::Deny => return Some((Effect::Deny, index)),
                Effect::Allow => allowed = Some((Effect::Allow, index)),
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

    #[test]
    fn deny_outweighs_allow_and_allow_outweighs_nothing() {
        let caller = user(vec![deny("ecs:Delete*"), allow("ecs:*")]);
        assert_eq!(asked(&caller, "ecs:StartInstance", "i"), Decision::Allowed);
        assert_eq!(asked(&caller, "ECS:startinstance", "i"), Decision::Allowed, "without case");
        assert_eq!(asked(&caller, "ram:CreateRole", "r"), Decision::NotAllowed);
        assert_eq!(
            asked(&caller, "ecs:DeleteInstance", "i"),
            Decision::Denied { policy: "not ecs:Delete*".to_owned(), statement: 1 }
        );
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
        assert_eq!(asked(&caller, "ram:PassRole", role), Decision::Allowed);
        assert_eq!(asked(&caller, "ram:PassRole", "acs:ram::1:role/Admin"), Decision::NotAllowed);
    }

    #[test]
    fn a_session_narrows_and_never_widens() {
        let mut caller = user(vec![allow("ecs:*")]);
        caller.session = Some(allow("*").policy);
        assert_eq!(asked(&caller, "kms:Decrypt", "k"), Decision::NotAllowed);
        caller.session = Some(allow("ecs:Describe*").policy);
        assert_eq!(asked(&caller, "ecs:DescribeInstances", "*"), Decision::Allowed);
        assert_eq!(asked(&caller, "ecs:StopInstance", "i"), Decision::NotInSession);
        caller.principal = Principal::Root;
        assert_eq!(asked(&caller, "ecs:StopInstance", "i"), Decision::NotInSession);
        caller.session = None;
        assert_eq!(asked(&caller, "ecs:StopInstance", "i"), Decision::Allowed);
    }

    fn policies() -> impl Strategy<Value = Vec<NamedPolicy>> {
        let action = prop::sample::select(vec!["*", "ecs:*", "ecs:Start*", "ram:?assRole", "kms:Decrypt"]);
        prop::collection::vec((action, any::<bool>()), 0..6).prop_map(|made| {
            made.into_iter()
                .map(|(action, allows)| if allows { allow(action) } else { deny(action) })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn order_is_nothing_and_more_allows_never_take_away(
            policies in policies(),
            action in prop::sample::select(vec!["ecs:StartInstance", "ram:PassRole", "kms:Decrypt", "x:Y"]),
        ) {
            let before = asked(&user(policies.clone()), action, "r");
            let mut turned = policies.clone();
            turned.reverse();
            let is_allowed = |decision: &Decision| *decision == Decision::Allowed;
            prop_assert_eq!(is_allowed(&asked(&user(turned), action, "r")), is_allowed(&before));

            let mut more = policies.clone();
            more.push(allow("*"));
            let after = asked(&user(more), action, "r");
            prop_assert!(!is_allowed(&before) || is_allowed(&after));
            prop_assert_eq!(matches!(before, Decision::Denied { .. }), matches!(after, Decision::Denied { .. }));

            let mut less = policies;
            less.insert(0, deny(action));
            let is_denied = matches!(asked(&user(less), action, "r"), Decision::Denied { .. });
            prop_assert!(is_denied);
        }
    }
}
