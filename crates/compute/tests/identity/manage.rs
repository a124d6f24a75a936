//! Making, finding, changing and deleting: who owns what, and what is refused.

use compute::access::{BUILT_IN, Caller, Context, Principal, Request};
use compute::capacity::Amounts;
use compute::identity::{
    AttachError, AttachedTo, ChangeError, CreateError, DeleteError, Fingerprint, KeyOwner, Kind, LookError,
    MAX_BUILT_IN_ATTACHED, MAX_CUSTOM_ATTACHED, PassRoleError, PolicyRef, RoleChange, Status, account_key,
};
use compute::store::{Condition, Key, Store, Transaction, put};

use crate::support::{ECS, TRUST, account, assert_whole, at, identity, in_every_order, interleave, run};

pub const A: &str = include_str!("a.pem");
pub const B: &str = include_str!("b.pem");
const C: &str = include_str!("c.pem");
pub const ALL: &str = r#"{"Version":"1","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;

#[test]
fn an_account_is_made_found_changed_and_deleted() {
    let (identity, store) = identity();
    let made = account(&identity, "Acme");
    assert_eq!(run(identity.account(made.id)).unwrap(), made);
    assert_eq!(run(identity.account_by_name("Acme")).unwrap(), made);
    for name in ["acme", "other", "a b"] {
        let absent = run(identity.account_by_name(name));
        assert!(matches!(absent, Err(LookError::Absent { kind: Kind::Account, .. })), "{name}");
    }
    let taken = run(identity.create_account("ACME", Amounts::UNLIMITED, at(0)));
    assert!(matches!(taken, Err(CreateError::Taken { kind: Kind::Account, .. })));
    assert!(matches!(
        run(identity.create_account("a/b", Amounts::UNLIMITED, at(0))),
        Err(CreateError::Name(_))
    ));
    let hex = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(hex(&made.project_id) && hex(&made.domain_id) && made.project_id != made.domain_id);

    let quotas = Amounts { instances: 3, ..Amounts::UNLIMITED };
    run(identity.set_quotas(made.id, quotas)).unwrap();
    run(identity.enable_account(made.id, false)).unwrap();
    let changed = run(identity.account(made.id)).unwrap();
    assert!(changed.quotas == quotas && !changed.is_enabled);

    // The facade's own condition: a record that counts what it has.
    let counter: Key = "owned/x".parse().unwrap();
    let count = Transaction { conditions: vec![], writes: vec![put(counter.clone(), &1)] };
    run(store.commit(count)).unwrap();
    let owns_none = vec![Condition::Absent(counter)];
    let refused = run(identity.delete_account(made.id, owns_none));
    assert!(matches!(refused, Err(DeleteError::OwnsResources { .. })), "{refused:?}");
    let impossible = run(identity.delete_account(made.id, vec![Condition::Absent(account_key(made.id))]));
    assert!(matches!(impossible, Err(DeleteError::OwnsResources { .. })), "{impossible:?}");
    run(identity.delete_account(made.id, vec![Condition::Present(account_key(made.id))])).unwrap();
    assert!(matches!(run(identity.account(made.id)), Err(LookError::Absent { .. })));
    assert!(matches!(run(identity.enable_account(made.id, true)), Err(ChangeError::Absent { .. })));
    account(&identity, "acme");
}

#[test]
fn an_account_that_owns_something_stays() {
    let (identity, store) = identity();
    let id = account(&identity, "acme").id;
    let refused = |of: Kind| {
        let error = run(identity.delete_account(id, vec![])).unwrap_err();
        assert!(matches!(error, DeleteError::InUse { of: found, count: 1, .. } if found == of), "{error:?}");
        assert_whole(&store);
    };
    run(identity.create_user(id, "ann", "", at(0))).unwrap();
    refused(Kind::User);
    run(identity.delete_user(id, "ann")).unwrap();
    run(identity.create_role(id, "r", "", TRUST, 3600, at(0))).unwrap();
    refused(Kind::Role);
    run(identity.delete_role(id, "r")).unwrap();
    run(identity.create_policy(id, "p", "", ALL, at(0))).unwrap();
    refused(Kind::Policy);
    run(identity.delete_policy(id, "p")).unwrap();
    let key = run(identity.create_access_key(id, &KeyOwner::Root, at(0))).unwrap().key;
    refused(Kind::AccessKey);
    run(identity.delete_access_key(id, &KeyOwner::Root, key.id.as_str())).unwrap();
    let certificate = run(identity.upload_certificate(id, A, at(0))).unwrap();
    refused(Kind::Certificate);
    run(identity.delete_certificate(id, certificate.fingerprint)).unwrap();
    run(identity.delete_account(id, vec![])).unwrap();
    assert_eq!(run(store.range("", None, 9)).unwrap().records, [], "nothing is left");
    let homeless = run(identity.create_user(id, "ann", "", at(0)));
    assert!(matches!(homeless, Err(CreateError::NoOwner { kind: Kind::Account, .. })));
}

#[test]
fn names_are_unique_without_case_and_found_with_it() {
    let (identity, _) = identity();
    let id = account(&identity, "acme").id;
    let role = run(identity.create_role(id, "EcsRamRoleTest", "for tests", TRUST, 3600, at(0))).unwrap();
    let taken = run(identity.create_role(id, "ecsramroletest", "", TRUST, 3600, at(0)));
    let Err(CreateError::Taken { kind: Kind::Role, name }) = taken else { panic!("{taken:?}") };
    assert_eq!(name, "EcsRamRoleTest");
    assert_eq!(run(identity.role(id, "EcsRamRoleTest")).unwrap(), role);
    for name in ["ecsramroletest", "", "x/y", &"x".repeat(9999)] {
        let error = run(identity.role(id, name)).unwrap_err();
        assert!(matches!(error, LookError::Absent { kind: Kind::Role, .. }) && error.to_string().len() < 200);
    }
    let again = run(identity.delete_role(id, "ecsramroletest"));
    assert!(matches!(again, Err(DeleteError::Absent { .. })));
    run(identity.create_user(id, "EcsRamRoleTest", "", at(0))).expect("a user is no role");
}

#[test]
fn lists_come_in_pages_and_only_of_one_account() {
    let (identity, _) = identity();
    let (one, other) = (account(&identity, "one").id, account(&identity, "other").id);
    for name in ["d", "B", "a", "C", "e"] {
        run(identity.create_user(one, name, "", at(0))).unwrap();
        run(identity.create_user(other, &format!("{name}x"), "", at(0))).unwrap();
    }
    let (mut names, mut next) = (Vec::new(), None);
    loop {
        let page = run(identity.users(one, next.as_deref(), 2)).unwrap();
        assert!(page.items.len() <= 2);
        names.extend(page.items.into_iter().map(|user| user.name));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(names, ["a", "B", "C", "d", "e"]);
    let page = run(identity.users(one, Some("no marker of ours"), 9)).unwrap();
    assert_eq!((page.items.len(), page.next), (5, None));
    assert_eq!(run(identity.accounts(None, 9)).unwrap().items.len(), 2);
    let page = run(identity.accounts(Some(&format!("{}", one.min(other))), 9)).unwrap();
    assert_eq!(page.items[0].id, one.max(other));
}

#[test]
fn a_user_goes_when_it_has_nothing_and_keys_are_few() {
    let (identity, store) = identity();
    let (id, other) = (account(&identity, "acme").id, account(&identity, "other").id);
    run(identity.create_user(id, "ann", "an operator", at(0))).unwrap();
    let ann = KeyOwner::User("ann".to_owned());
    let first = run(identity.create_access_key(id, &ann, at(0))).unwrap();
    let second = run(identity.create_access_key(id, &ann, at(1))).unwrap();
    let third = run(identity.create_access_key(id, &ann, at(2)));
    assert!(matches!(third, Err(CreateError::Limit { kind: Kind::AccessKey, limit: 2 })));
    for _ in 0..5 {
        run(identity.create_access_key(id, &KeyOwner::Root, at(0))).unwrap();
    }
    assert!(matches!(
        run(identity.create_access_key(id, &KeyOwner::Root, at(2))),
        Err(CreateError::Limit { limit: 5, .. })
    ));
    let bob = KeyOwner::User("bob".to_owned());
    let homeless = run(identity.create_access_key(id, &bob, at(0)));
    assert!(matches!(homeless, Err(CreateError::NoOwner { kind: Kind::User, .. })));

    let is_capital = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    let text = first.key.id.as_str();
    assert!(text.starts_with("AKIA") && text.len() == 20 && text.chars().all(is_capital), "{text}");
    assert_eq!(first.secret.expose().len(), 40);
    assert_eq!(run(identity.access_keys(id, &ann)).unwrap(), [first.key.clone(), second.key.clone()]);

    // Whose it is counts, not only what it is called.
    for (account, owner) in [(id, &KeyOwner::Root), (other, &ann), (other, &KeyOwner::Root)] {
        let refused = run(identity.set_access_key_status(account, owner, text, Status::Inactive));
        assert!(matches!(refused, Err(ChangeError::Absent { kind: Kind::AccessKey, .. })));
        let refused = run(identity.delete_access_key(account, owner, text));
        assert!(matches!(refused, Err(DeleteError::Absent { kind: Kind::AccessKey, .. })));
    }
    run(identity.set_access_key_status(id, &ann, text, Status::Inactive)).unwrap();
    assert_eq!(run(identity.access_keys(id, &ann)).unwrap()[0].status, Status::Inactive);
    run(identity.delete_access_key(id, &ann, text)).unwrap();
    let refused = run(identity.delete_user(id, "ann"));
    assert!(matches!(refused, Err(DeleteError::InUse { of: Kind::AccessKey, count: 1, .. })), "{refused:?}");
    run(identity.delete_access_key(id, &ann, second.key.id.as_str())).unwrap();
    let policy = PolicyRef::BuiltIn("AliyunECSFullAccess".to_owned());
    run(identity.attach_policy(id, &policy, AttachedTo::User("ann"))).unwrap();
    let refused = run(identity.delete_user(id, "ann"));
    assert!(matches!(refused, Err(DeleteError::InUse { of: Kind::Policy, count: 1, .. })));
    run(identity.detach_policy(id, &policy, AttachedTo::User("ann"))).unwrap();
    run(identity.delete_user(id, "ann")).unwrap();
    assert_whole(&store);
}

#[test]
fn a_policy_stays_while_it_is_attached() {
    let (identity, store) = identity();
    let id = account(&identity, "acme").id;
    let made = run(identity.create_policy(id, "p", "all", ALL, at(0))).unwrap();
    assert_eq!(run(identity.policy(id, "p")).unwrap(), made);
    assert!(matches!(run(identity.create_policy(id, "q", "", "{}", at(0))), Err(CreateError::Document(_))));
    let refused = run(identity.update_policy(id, "p", "{}", at(1)));
    assert!(matches!(refused, Err(ChangeError::Refused(CreateError::Document(_)))));
    let less = ALL.replace("\"*\",\"R", "\"ecs:*\",\"R");
    assert_eq!(run(identity.update_policy(id, "p", &less, at(1))).unwrap().document.text(), less);

    run(identity.create_role(id, "r", "", TRUST, 3600, at(0))).unwrap();
    run(identity.create_user(id, "ann", "", at(0))).unwrap();
    let policy = PolicyRef::Custom("p".to_owned());
    for (to, of) in [(AttachedTo::Role("r"), Kind::Role), (AttachedTo::User("ann"), Kind::User)] {
        run(identity.attach_policy(id, &policy, to)).unwrap();
        assert_whole(&store);
        let twice = run(identity.attach_policy(id, &policy, to));
        assert!(matches!(twice, Err(AttachError::Attached { .. })));
        let refused = run(identity.delete_policy(id, "p"));
        assert!(matches!(refused, Err(DeleteError::InUse { of: found, count: 1, .. }) if found == of));
        assert!(
            of == Kind::User || matches!(run(identity.delete_role(id, "r")), Err(DeleteError::InUse { .. }))
        );
        run(identity.detach_policy(id, &policy, to)).unwrap();
        let twice = run(identity.detach_policy(id, &policy, to));
        assert!(matches!(twice, Err(AttachError::NotAttached { .. })));
    }
    run(identity.delete_policy(id, "p")).unwrap();
    let to = AttachedTo::Role("r");
    for gone in
        [policy, PolicyRef::BuiltIn("p".to_owned()), PolicyRef::Custom("AdministratorAccess".to_owned())]
    {
        let absent = run(identity.attach_policy(id, &gone, to));
        assert!(matches!(absent, Err(AttachError::Absent { kind: Kind::Policy, .. })), "{gone:?}");
    }
    let built_in = PolicyRef::BuiltIn("AdministratorAccess".to_owned());
    let absent = run(identity.attach_policy(id, &built_in, AttachedTo::Role("no")));
    assert!(matches!(absent, Err(AttachError::Absent { kind: Kind::Role, .. })));
}

#[test]
fn only_so_many_policies_are_attached() {
    let (identity, _) = identity();
    let id = account(&identity, "acme").id;
    run(identity.create_user(id, "ann", "", at(0))).unwrap();
    let to = AttachedTo::User("ann");
    for number in 0..=MAX_CUSTOM_ATTACHED {
        let name = format!("p{number}");
        run(identity.create_policy(id, &name, "", ALL, at(0))).unwrap();
        let attached = run(identity.attach_policy(id, &PolicyRef::Custom(name), to));
        assert_eq!(matches!(attached, Err(AttachError::Limit)), number == MAX_CUSTOM_ATTACHED);
    }
    assert!(BUILT_IN.len() < MAX_BUILT_IN_ATTACHED, "else this test should fill them up too");
    for policy in BUILT_IN {
        run(identity.attach_policy(id, &PolicyRef::BuiltIn(policy.name.to_owned()), to)).unwrap();
    }
}

#[test]
fn a_role_is_changed_as_a_whole_or_not() {
    let (identity, _) = identity();
    let id = account(&identity, "acme").id;
    let made = run(identity.create_role(id, "r", "", TRUST, 3600, at(0))).unwrap();
    for seconds in [0, 3599, 43201] {
        let refused = run(identity.create_role(id, "s", "", TRUST, seconds, at(0)));
        assert!(matches!(refused, Err(CreateError::SessionLimit { .. })));
    }
    assert!(matches!(
        run(identity.create_role(id, "s", "", ALL, 3600, at(0))),
        Err(CreateError::Document(_))
    ));
    let long = "x".repeat(1025);
    let refused = run(identity.create_role(id, "s", &long, TRUST, 3600, at(0)));
    assert!(matches!(refused, Err(CreateError::Description { chars: 1025 })));

    let half = RoleChange { description: Some("new".to_owned()), max_session_s: Some(1), trust: None };
    let refused = run(identity.update_role(id, "r", &half, at(1)));
    assert!(matches!(refused, Err(ChangeError::Refused(CreateError::SessionLimit { seconds: 1 }))));
    assert_eq!(run(identity.role(id, "r")).unwrap(), made);
    let whole = RoleChange { max_session_s: Some(7200), ..half };
    let changed = run(identity.update_role(id, "r", &whole, at(1))).unwrap();
    assert_eq!((changed.description.as_str(), changed.max_session_s, changed.updated), ("new", 7200, at(1)));
    assert_eq!((changed.id, changed.trust), (made.id, made.trust));
}

#[test]
fn a_certificate_is_of_one_account() {
    let (identity, store) = identity();
    let (id, other) = (account(&identity, "acme").id, account(&identity, "other").id);
    let made = run(identity.upload_certificate(id, A, at(0))).unwrap();
    let der = |pem: &str| pkcs8::Document::from_pem(pem).unwrap().1;
    assert_eq!(made.fingerprint, Fingerprint::of(der(A).as_bytes()));
    assert_eq!(made.fingerprint.to_string().parse(), Ok(made.fingerprint));
    assert_eq!(run(identity.find_certificate(der(A).as_bytes())).unwrap().unwrap(), made);
    assert_eq!(run(identity.find_certificate(der(B).as_bytes())).unwrap(), None);
    for account in [id, other] {
        let taken = run(identity.upload_certificate(account, A, at(0)));
        assert!(matches!(taken, Err(CreateError::Taken { kind: Kind::Certificate, .. })));
    }
    run(identity.upload_certificate(id, B, at(0))).unwrap();
    assert!(matches!(
        run(identity.upload_certificate(id, C, at(0))),
        Err(CreateError::Limit { limit: 2, .. })
    ));
    assert_eq!(run(identity.certificates(id)).unwrap().len(), 2);
    assert_eq!(run(identity.certificates(other)).unwrap(), []);
    let foreign = run(identity.delete_certificate(other, made.fingerprint));
    assert!(matches!(foreign, Err(DeleteError::Absent { .. })));
    run(identity.delete_certificate(id, made.fingerprint)).unwrap();
    assert_whole(&store);

    let key = compute::key_pair::generate(compute::key_pair::Algorithm::Ed25519).private.pkcs8;
    let relabelled = key.expose().replace("PRIVATE KEY", "CERTIFICATE");
    let wrong =
        ["", "x", &A[..300], &A.replace("CERTIFICATE", "X509 CRL"), key.expose(), &relabelled, &A.repeat(99)];
    for pem in wrong {
        let error = run(identity.upload_certificate(id, pem, at(0))).unwrap_err();
        assert!(matches!(error, CreateError::Certificate { .. }), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("MC4CAQ"), "a private key is not shown");
    }
}

#[test]
fn a_role_is_passed_by_whoever_may_to_whom_it_trusts() {
    let (identity, _) = identity();
    let (id, other) = (account(&identity, "acme").id, account(&identity, "other").id);
    run(identity.create_role(id, "r", "", TRUST, 3600, at(0))).unwrap();
    let caller = |account: &str, principal| Caller {
        account: account.to_owned(),
        principal,
        policies: vec![],
        session: None,
    };
    let pass = |caller: &Caller, account, role: &str, service: &str| {
        let context = Context::default();
        let resource = format!("acs:ram::{account}:role/{role}");
        let request = Request { action: "ram:PassRole", resource: &resource, context: &context };
        run(identity.pass_role(caller, &request, account, role, service))
    };
    let root = caller(&id.to_string(), Principal::Root);
    assert_eq!(pass(&root, id, "r", ECS).unwrap().name, "r");
    assert!(matches!(pass(&root, id, "no", ECS), Err(PassRoleError::Absent { .. })));
    let refused = pass(&root, id, "r", "fc.aliyuncs.com");
    assert!(matches!(refused, Err(PassRoleError::NotTrusted { .. })));
    let ann = caller(&id.to_string(), Principal::User { name: "ann".to_owned() });
    let refused = pass(&ann, id, "r", ECS);
    assert!(matches!(refused, Err(PassRoleError::NotAllowed { .. })));
    assert!(refused.unwrap_err().to_string().contains("ram:PassRole"));
    let foreign = caller(&other.to_string(), Principal::Root);
    for role in ["r", "no"] {
        assert!(matches!(pass(&foreign, id, role, ECS), Err(PassRoleError::NotAllowed { .. })));
    }
}

#[test]
fn of_two_that_make_the_same_name_one_wins() {
    in_every_order(|schedule| {
        let (identity, store) = identity();
        let id = account(&identity, "acme").id;
        let outcomes = std::cell::RefCell::new(Vec::new());
        let create = |name: &'static str| {
            let (identity, outcomes) = (&identity, &outcomes);
            Box::pin(async move {
                let user = identity.create_user(id, name, "", at(0)).await;
                outcomes.borrow_mut().push(user.map(drop));
                let account = identity.create_account("Second", Amounts::UNLIMITED, at(0)).await;
                outcomes.borrow_mut().push(account.map(drop));
            })
        };
        let choices = interleave(vec![create("ann"), create("Ann")], schedule, || assert_whole(&store));
        let outcomes = outcomes.into_inner();
        let of = |kind| {
            let taken =
                |error: &CreateError| matches!(error, CreateError::Taken { kind: of, .. } if *of == kind);
            outcomes.iter().filter(|outcome| outcome.as_ref().is_err_and(taken)).count()
        };
        let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!((made, of(Kind::User), of(Kind::Account)), (2, 1, 1), "{outcomes:?}");
        assert_eq!(run(identity.account(id)).unwrap().users, 1);
        choices
    });
}
