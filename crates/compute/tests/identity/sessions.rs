//! Temporary credentials: who gets them, how long they live, and how those of instances rotate.

use compute::access::{Caller, Context, NamedPolicy, Principal, built_in};
use compute::id::{Id, Instance};
use compute::identity::{
    AccountId, Assume, AssumeRoleError, AttachedTo, AuthenticateError, Identity, InstanceCredentialsError,
    KeyForm, Kind, PolicyRef, RoleChange, TemporaryCredentials, Who,
};
use jiff::Timestamp;

use crate::manage::ALL;
use crate::support::{
    ECS, TRUST, account, assert_sealed, assert_whole, at, identity, keys, on, records, run,
};

const ONLY_ECS: &str = r#"{"Version":"1","Statement":{"Effect":"Allow","Action":"sts:AssumeRole",
    "Principal":{"Service":"ecs.aliyuncs.com"}}}"#;

fn user(account: AccountId, policies: &[&str]) -> Caller {
    let named = |name: &&str| NamedPolicy { name: (*name).to_owned(), policy: built_in(name).unwrap() };
    Caller {
        account: account.to_string(),
        principal: Principal::User { name: "ann".to_owned() },
        policies: policies.iter().map(named).collect(),
        session: None,
    }
}

fn assume<'a>(account: AccountId, role: &'a str, context: &'a Context) -> Assume<'a> {
    let (session, duration_s, policy, form) = ("s1", 900, None, KeyForm::Sts);
    let (resource, policies) = ("acs:ram::1:role/r", &[]);
    Assume { account, role, resource, context, session, duration_s, policy, policies, form }
}

fn instance() -> Id<Instance> {
    Id::new(7)
}

fn of_instance(identity: &Identity, account: AccountId, role: &str, now: Timestamp) -> TemporaryCredentials {
    run(identity.credentials_for_instance(account, instance(), role, ECS, KeyForm::Sts, now)).unwrap()
}

fn find(identity: &Identity, made: &TemporaryCredentials, now: Timestamp) -> Result<Who, AuthenticateError> {
    let found = run(identity.find_key(made.id.as_str(), Some(made.token.expose()), now))?;
    assert_eq!(found.secret, made.secret);
    Ok(found.who)
}

#[test]
fn whoever_is_trusted_and_allowed_becomes_the_role() {
    let (identity, store) = identity();
    let id = account(&identity, "acme").id;
    let role = run(identity.create_role(id, "r", "", TRUST, 3600, at(0))).unwrap();
    let policy = PolicyRef::BuiltIn("AliyunKMSFullAccess".to_owned());
    run(identity.attach_policy(id, &policy, AttachedTo::Role("r"))).unwrap();
    let context = Context::default();
    let narrow = Assume { policy: Some(ALL), ..assume(id, "r", &context) };
    let made = run(identity.assume_role(&user(id, &["AliyunSTSAssumeRoleAccess"]), &narrow, at(0))).unwrap();
    assert!(made.id.as_str().starts_with("STS.") && made.secret.expose().len() == 40);
    assert_eq!((made.role_id, made.expiration.duration_since(made.issued).as_secs()), (role.id, 900));

    let who = find(&identity, &made, at(0)).unwrap();
    let caller = run(identity.caller(&who)).unwrap();
    assert_eq!(caller.principal, Principal::Role { name: "r".to_owned(), session: "s1".to_owned() });
    assert_eq!(caller.policies.len(), 1);
    assert_eq!(caller.session.unwrap()[0].policy.text(), ALL);
    let key = made.id.as_str();
    let wrong = [None, Some(""), Some("x"), Some(&made.token.expose()[1..])];
    for (at_index, token) in wrong.into_iter().enumerate() {
        let error = run(identity.find_key(key, token, at(0))).unwrap_err();
        let is_missing = matches!(error, AuthenticateError::MissingToken { .. });
        assert!(
            is_missing == (at_index == 0)
                && (is_missing || matches!(error, AuthenticateError::WrongToken { .. }))
        );
    }
    assert_sealed(&store, &[made.secret.expose().to_owned(), made.token.expose().to_owned()]);
    let shown = format!("{made:?} {:?}", run(identity.find_key(key, Some(made.token.expose()), at(0))));
    assert!(!shown.contains(made.secret.expose()) && !shown.contains(made.token.expose()), "{shown}");

    let last = made.expiration - jiff::SignedDuration::from_secs(1);
    find(&identity, &made, last).unwrap();
    assert!(matches!(find(&identity, &made, made.expiration), Err(AuthenticateError::Expired { .. })));

    // A role that is made anew is another one.
    run(identity.detach_policy(id, &policy, AttachedTo::Role("r"))).unwrap();
    run(identity.delete_role(id, "r")).unwrap();
    let gone =
        |who| matches!(run(identity.caller(who)), Err(AuthenticateError::Gone { kind: Kind::Role, .. }));
    assert!(gone(&who));
    run(identity.create_role(id, "r", "", TRUST, 3600, at(0))).unwrap();
    assert!(gone(&who));
}

#[test]
fn whoever_is_not_gets_nothing() {
    let (identity, store) = identity();
    let (id, other) = (account(&identity, "acme").id, account(&identity, "other").id);
    run(identity.create_role(id, "open", "", TRUST, 3600, at(0))).unwrap();
    run(identity.create_role(id, "closed", "", ONLY_ECS, 3600, at(0))).unwrap();
    let context = Context::default();
    let open = assume(id, "open", &context);
    let allowed = user(id, &["AliyunSTSAssumeRoleAccess"]);
    let foreign = user(other, &["AliyunSTSAssumeRoleAccess"]);
    let ask =
        |caller: &Caller, assume: Assume<'_>| run(identity.assume_role(caller, &assume, at(0))).unwrap_err();

    assert!(matches!(ask(&user(id, &["AliyunECSFullAccess"]), open), AssumeRoleError::NotAllowed { .. }));
    assert!(matches!(ask(&allowed, assume(id, "closed", &context)), AssumeRoleError::NotTrusted { .. }));
    assert!(matches!(ask(&allowed, assume(id, "no", &context)), AssumeRoleError::Absent { .. }));
    for role in ["closed", "no"] {
        assert!(
            matches!(ask(&foreign, assume(id, role, &context)), AssumeRoleError::NotTrusted { .. }),
            "{role}"
        );
    }
    for duration_s in [0, 899, 3601] {
        assert!(matches!(
            ask(&allowed, Assume { duration_s, ..open }),
            AssumeRoleError::Duration { max: 3600, .. }
        ));
    }
    for session in ["", "x", "a b", "a/b", &"x".repeat(65)] {
        assert!(matches!(ask(&allowed, Assume { session, ..open }), AssumeRoleError::SessionName { .. }));
    }
    assert!(matches!(ask(&allowed, Assume { policy: Some("{}"), ..open }), AssumeRoleError::Document(_)));
    run(identity.assume_role(&foreign, &open, at(0))).expect("all accounts are trusted");
    run(identity.enable_account(id, false)).unwrap();
    assert!(matches!(ask(&foreign, open), AssumeRoleError::AccountDisabled { .. }));
    assert_whole(&store);
    assert_eq!(records(&store).keys().filter(|key| key.starts_with("session/")).count(), 1);
}

#[test]
fn an_instance_always_has_credentials_that_last_a_while() {
    let (first, store) = identity();
    let keys = keys();
    drop(first);
    let id = account(&on(&store, &keys), "acme").id;
    run(on(&store, &keys).create_role(id, "r", "", ONLY_ECS, 3600, at(0))).unwrap();
    let mut all: Vec<TemporaryCredentials> = Vec::new();
    // Four days, asked each half hour, each time after a restart.
    for half_hour in 0..4 * 48 {
        let now = at(0) + jiff::SignedDuration::from_mins(30 * half_hour);
        let identity = on(&store, &keys);
        let given = of_instance(&identity, id, "r", now);
        let left = given.expiration.duration_since(now);
        assert!(left.as_hours() >= 2 && left.as_hours() <= 6, "{left}");
        let renewed = all.last().is_none_or(|last| last.id != given.id);
        if renewed {
            all.push(given.clone());
        } else {
            assert_eq!(all.last(), Some(&given), "the same in all");
        }
        // The old ones are good to their very end, and no longer.
        for old in &all {
            let found = find(&identity, old, now);
            match found {
                Ok(_) => assert!(now < old.expiration),
                Err(AuthenticateError::Expired { .. } | AuthenticateError::UnknownKey { .. }) => {
                    assert!(now >= old.expiration);
                }
                Err(error) => panic!("{error}"),
            }
        }
        while run(identity.sweep_expired(now)).unwrap().more {}
        assert_whole(&store);
    }
    assert_eq!(all.len(), 24, "new ones every four hours");
    let sessions = records(&store).keys().filter(|key| key.starts_with("session/")).count();
    assert!(sessions <= 3, "{sessions} are left");
}

#[test]
fn another_role_gives_new_credentials_at_once() {
    let (identity, store) = identity();
    let id = account(&identity, "acme").id;
    for name in ["r", "s"] {
        run(identity.create_role(id, name, "", ONLY_ECS, 3600, at(0))).unwrap();
    }
    let first = of_instance(&identity, id, "r", at(0));
    assert_eq!((first.role.as_str(), first.session.as_str()), ("r", "i-00000007"));
    let second = of_instance(&identity, id, "s", at(0));
    assert_ne!((second.role.as_str(), &second.id), ("r", &first.id));
    assert!(find(&identity, &first, at(0)).is_ok());
    // Each form by itself, so that two kinds of client do not take turns.
    let asia =
        run(identity.credentials_for_instance(id, instance(), "s", ECS, KeyForm::Asia, at(0))).unwrap();
    assert!(asia.id.as_str().starts_with("ASIA") && asia.id.as_str().len() == 20);
    assert_eq!(of_instance(&identity, id, "s", at(0)), second);
    // A role made anew under the old name.
    run(identity.delete_role(id, "s")).unwrap();
    let ask =
        |service| run(identity.credentials_for_instance(id, instance(), "s", service, KeyForm::Sts, at(0)));
    assert!(matches!(ask(ECS), Err(InstanceCredentialsError::Absent { .. })));
    run(identity.create_role(id, "s", "", ONLY_ECS, 3600, at(0))).unwrap();
    assert_ne!(of_instance(&identity, id, "s", at(0)).id, second.id);
    // One that trusts the service no longer, and an account that may do nothing.
    assert!(matches!(ask("ec2.amazonaws.com"), Err(InstanceCredentialsError::NotTrusted { .. })));
    let trust = Some(TRUST.replace("ecs.", "fc."));
    run(identity.update_role(id, "s", &RoleChange { trust, ..Default::default() }, at(0))).unwrap();
    assert!(matches!(ask(ECS), Err(InstanceCredentialsError::NotTrusted { .. })));
    run(identity.enable_account(id, false)).unwrap();
    assert!(matches!(ask(ECS), Err(InstanceCredentialsError::AccountDisabled { .. })));
    run(identity.enable_account(id, true)).unwrap();
    // Detached and attached again.
    let before = of_instance(&identity, id, "r", at(0));
    run(identity.forget_instance_credentials(id, instance())).unwrap();
    assert_ne!(of_instance(&identity, id, "r", at(0)).id, before.id);
    // A clock that was ahead and is right again.
    let ahead = of_instance(&identity, id, "r", at(24 * 365));
    let right = of_instance(&identity, id, "r", at(1));
    assert!(right.id != ahead.id && right.expiration == at(7));
    assert_whole(&store);
}

#[test]
fn what_ended_is_swept_in_batches() {
    let (identity, store) = identity();
    let id = account(&identity, "acme").id;
    run(identity.create_role(id, "r", "", TRUST, 43200, at(0))).unwrap();
    let (context, caller) = (Context::default(), user(id, &["AliyunSTSAssumeRoleAccess"]));
    for number in 0..100_u32 {
        let duration_s = if number < 90 { 3600 + number } else { 43200 };
        let assume = Assume { duration_s, ..assume(id, "r", &context) };
        run(identity.assume_role(&caller, &assume, at(0))).unwrap();
    }
    let of_gone = of_instance(&identity, id, "r", at(-5));
    let sweep = |now| {
        let swept = run(identity.sweep_expired(now)).unwrap();
        assert_whole(&store);
        (swept.sessions, swept.more)
    };
    assert_eq!(sweep(at(1)), (0, false));
    assert_eq!(sweep(at(2)), (2, false), "the instance's, and the first to end, an hour after its end");
    assert!(matches!(find(&identity, &of_gone, at(2)), Err(AuthenticateError::UnknownKey { .. })));
    assert!(!records(&store).keys().any(|key| key.starts_with("instance-credentials/")));
    assert_eq!(
        [sweep(at(3)), sweep(at(3)), sweep(at(3)), sweep(at(3))],
        [(40, true), (40, true), (9, false), (0, false)]
    );
    assert_eq!(sweep(at(99)), (10, false));
}
