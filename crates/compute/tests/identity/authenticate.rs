//! From a key id to a caller: each way in which it fails, and that what was taken away is gone at once.

use compute::access::{Principal, Request, authorize};
use compute::identity::{AccessKey, AttachedTo, AuthenticateError, KeyOwner, Kind, PolicyRef, Status, Who};
use compute::secrets::{SealingKey, SealingKeys};

use crate::manage::ALL;
use crate::support::{Halting, account, at, identity, in_every_order, interleave, keys, on, run};

#[test]
fn a_key_leads_to_its_secret_and_its_owner() {
    let (identity, _) = identity();
    let id = account(&identity, "acme").id;
    let ann = run(identity.create_user(id, "ann", "", at(0))).unwrap();
    let root = run(identity.create_access_key(id, &KeyOwner::Root, at(0))).unwrap();
    let of_ann = run(identity.create_access_key(id, &KeyOwner::User("ann".to_owned()), at(0))).unwrap();

    let found = run(identity.find_key(root.key.id.as_str(), None, at(1))).unwrap();
    assert_eq!((found.secret, &found.who), (root.secret, &Who::Root { account: id }));
    let caller = run(identity.caller(&found.who)).unwrap();
    assert_eq!((caller.account, caller.principal), (id.to_string(), Principal::Root));

    let found = run(identity.find_key(of_ann.key.id.as_str(), None, at(1))).unwrap();
    assert_eq!(found.secret, of_ann.secret);
    assert_eq!(found.who, Who::User { account: id, name: "ann".to_owned(), id: ann.id });
    for policy in [PolicyRef::BuiltIn("AliyunECSFullAccess".to_owned()), PolicyRef::Custom("p".to_owned())] {
        if matches!(policy, PolicyRef::Custom(_)) {
            run(identity.create_policy(id, "p", "", ALL, at(0))).unwrap();
        }
        run(identity.attach_policy(id, &policy, AttachedTo::User("ann"))).unwrap();
    }
    let caller = run(identity.caller(&found.who)).unwrap();
    assert_eq!(caller.principal, Principal::User { name: "ann".to_owned() });
    let names: Vec<&str> = caller.policies.iter().map(|policy| policy.name.as_str()).collect();
    assert_eq!(names, ["AliyunECSFullAccess", "p"]);
}

#[test]
fn each_failure_is_told_from_the_others() {
    let (identity, _) = identity();
    let id = account(&identity, "acme").id;
    run(identity.create_user(id, "ann", "", at(0))).unwrap();
    let owner = KeyOwner::User("ann".to_owned());
    let key: AccessKey = run(identity.create_access_key(id, &owner, at(0))).unwrap().key;
    let find = |token| run(identity.find_key(key.id.as_str(), token, at(1)));
    for unknown in ["", "AKIAAAAAAAAAAAAAAAAA", "../x", "AKIA/AAAAAAAAAAAAAAA", &"A".repeat(9999)] {
        let error = run(identity.find_key(unknown, None, at(1))).unwrap_err();
        assert!(matches!(error, AuthenticateError::UnknownKey { .. }) && error.to_string().len() < 200);
    }
    assert!(matches!(find(Some("x")), Err(AuthenticateError::WrongToken { .. })));
    let who = find(None).unwrap().who;
    run(identity.set_access_key_status(id, &owner, key.id.as_str(), Status::Inactive)).unwrap();
    assert!(matches!(find(None), Err(AuthenticateError::InactiveKey { .. })));
    run(identity.set_access_key_status(id, &owner, key.id.as_str(), Status::Active)).unwrap();
    run(identity.enable_account(id, false)).unwrap();
    assert!(matches!(find(None), Err(AuthenticateError::AccountDisabled { .. })));
    assert!(matches!(run(identity.caller(&who)), Err(AuthenticateError::AccountDisabled { .. })));
    run(identity.enable_account(id, true)).unwrap();
    find(None).unwrap();
    run(identity.delete_access_key(id, &owner, key.id.as_str())).unwrap();
    assert!(matches!(find(None), Err(AuthenticateError::UnknownKey { .. })));
    run(identity.delete_user(id, "ann")).unwrap();
    run(identity.create_user(id, "ann", "", at(2))).unwrap();
    let gone = run(identity.caller(&who));
    assert!(matches!(gone, Err(AuthenticateError::Gone { kind: Kind::User, .. })), "another ann: {gone:?}");
    run(identity.delete_user(id, "ann")).unwrap();
    run(identity.delete_account(id, vec![])).unwrap();
    let gone = run(identity.caller(&Who::Root { account: id }));
    assert!(matches!(gone, Err(AuthenticateError::Gone { kind: Kind::Account, .. })));
}

#[test]
fn keys_are_found_after_a_restart_and_only_with_the_sealing_key() {
    let store = std::sync::Arc::new(Halting::default());
    let old = SealingKey::generate();
    let before = on(&store, &SealingKeys::new(vec![], old.clone()));
    let id = account(&before, "acme").id;
    let made = run(before.create_access_key(id, &KeyOwner::Root, at(0))).unwrap();
    let after = on(&store, &SealingKeys::new(vec![old], SealingKey::generate()));
    let found = run(after.find_key(made.key.id.as_str(), None, at(1))).unwrap();
    assert_eq!(found.secret, made.secret);
    let without = run(on(&store, &keys()).find_key(made.key.id.as_str(), None, at(1)));
    let Err(AuthenticateError::Failed(error)) = without else { panic!("{without:?}") };
    assert!(error.to_string().contains("key file"), "{error}");
}

/// An account that first takes away a permission and then eases what had guarded it. Whoever reads half of it before and
/// half of it after would have a permission that there was at no time.
#[test]
fn policies_are_those_of_one_moment() {
    let deny = ALL.replace("Allow", "Deny").replace("\"*\",\"R", "\"kms:*\",\"R");
    let harmless = deny.replace("kms:", "none:");
    in_every_order(|schedule| {
        let (identity, _) = identity();
        let id = account(&identity, "acme").id;
        let ann = run(identity.create_user(id, "ann", "", at(0))).unwrap();
        let to = AttachedTo::User("ann");
        run(identity.create_policy(id, "guard", "", &deny, at(0))).unwrap();
        run(identity.attach_policy(id, &PolicyRef::Custom("guard".to_owned()), to)).unwrap();
        let everything = PolicyRef::BuiltIn("AdministratorAccess".to_owned());
        run(identity.attach_policy(id, &everything, to)).unwrap();
        let who = Who::User { account: id, name: "ann".to_owned(), id: ann.id };
        let read = Box::pin(async {
            let caller = identity.caller(&who).await.unwrap();
            let context = Default::default();
            let request = Request { action: "kms:Decrypt", resource: "k", context: &context };
            let decision = authorize(&caller, &request);
            assert!(!decision.is_allowed(), "{schedule:?}: {decision:?}");
        });
        let change = Box::pin(async {
            identity.detach_policy(id, &everything, to).await.unwrap();
            identity.update_policy(id, "guard", &harmless, at(1)).await.unwrap();
        });
        interleave(vec![read, change], schedule, || {})
    });
}
