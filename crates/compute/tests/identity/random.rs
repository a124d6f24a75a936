//! Whatever two accounts do, in whatever order and however their steps fall between each other: no record dangles at any
//! moment, neither sees or changes what is the other's, and no secret shows.

use std::cell::RefCell;

use compute::access::{Caller, Context, Principal};
use compute::id::{Id, Instance};
use compute::identity::{
    AccountId, Assume, AttachedTo, Identity, KeyForm, KeyOwner, PolicyRef, RoleChange, Status,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::manage::{A, ALL, B};
use crate::support::{
    ECS, Halting, TRUST, account, assert_sealed, assert_whole, at, identity, interleave, records,
};

/// Names that both accounts use, some of them the same but for their case.
const NAMES: [&str; 3] = ["ann", "Ann", "bob"];

#[derive(Clone, Copy, Debug)]
enum What {
    CreateUser,
    DeleteUser,
    CreateRole,
    UpdateRole,
    DeleteRole,
    CreatePolicy,
    UpdatePolicy,
    DeletePolicy,
    AttachToUser,
    AttachToRole,
    DetachFromUser,
    DetachFromRole,
    CreateUserKey,
    CreateRootKey,
    /// A key of anybody, the other account's too.
    DeleteKey,
    SetStatus,
    Upload,
    DeleteCertificate,
    Assume,
    OfInstance,
    ForgetInstance,
    Sweep,
}

/// What, for which name or number, and how many hours after the one before.
type Step = (What, usize, i64);

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    use What::{
        Assume, AttachToRole, AttachToUser, CreatePolicy, CreateRole, CreateRootKey, CreateUser,
        CreateUserKey, DeleteCertificate, DeleteKey, DeletePolicy, DeleteRole, DeleteUser, DetachFromRole,
        DetachFromUser, ForgetInstance, OfInstance, SetStatus, Sweep, UpdatePolicy, UpdateRole, Upload,
    };
    let what = prop::sample::select(vec![
        CreateUser,
        CreateUser,
        DeleteUser,
        CreateRole,
        CreateRole,
        UpdateRole,
        DeleteRole,
        CreatePolicy,
        CreatePolicy,
        UpdatePolicy,
        DeletePolicy,
        AttachToUser,
        AttachToRole,
        DetachFromUser,
        DetachFromRole,
        CreateUserKey,
        CreateUserKey,
        CreateRootKey,
        DeleteKey,
        SetStatus,
        Upload,
        DeleteCertificate,
        Assume,
        OfInstance,
        OfInstance,
        ForgetInstance,
        Sweep,
    ]);
    prop::collection::vec((what, 0..6_usize, 0..3_i64), 1..most)
}

/// What was found out on the way, by both.
#[derive(Default)]
struct Seen {
    secrets: RefCell<Vec<String>>,
    /// Ids of keys, of whichever account.
    keys: RefCell<Vec<String>>,
    /// All that was answered, as it shows itself.
    shown: RefCell<String>,
}

impl Seen {
    fn note(&self, answer: &dyn std::fmt::Debug) {
        use std::fmt::Write;
        write!(self.shown.borrow_mut(), "{answer:?}").unwrap();
    }
}

/// Does steps for an account. That many are refused is part of it.
async fn act(identity: &Identity, account: AccountId, steps: &[Step], seen: &Seen) {
    let mut hours = 0;
    for (what, number, later) in steps {
        hours += later;
        let (now, name) = (at(hours), NAMES[number % NAMES.len()]);
        let (to_user, to_role) = (AttachedTo::User(name), AttachedTo::Role(NAMES[number / 2]));
        let policy = PolicyRef::Custom(NAMES[number / 2].to_owned());
        let owner = if *number == 5 { KeyOwner::Root } else { KeyOwner::User(name.to_owned()) };
        let any_key = || {
            let keys = seen.keys.borrow();
            keys.get(number % keys.len().max(1)).cloned().unwrap_or_default()
        };
        match what {
            What::CreateUser => seen.note(&identity.create_user(account, name, "", now).await),
            What::DeleteUser => seen.note(&identity.delete_user(account, name).await),
            What::CreateRole => seen.note(&identity.create_role(account, name, "", TRUST, 3600, now).await),
            What::UpdateRole => {
                let change = RoleChange { max_session_s: Some(7200), ..RoleChange::default() };
                seen.note(&identity.update_role(account, name, &change, now).await);
            }
            What::DeleteRole => seen.note(&identity.delete_role(account, name).await),
            What::CreatePolicy => seen.note(&identity.create_policy(account, name, "", ALL, now).await),
            What::UpdatePolicy => seen.note(&identity.update_policy(account, name, ALL, now).await),
            What::DeletePolicy => seen.note(&identity.delete_policy(account, name).await),
            What::AttachToUser => seen.note(&identity.attach_policy(account, &policy, to_user).await),
            What::AttachToRole => seen.note(&identity.attach_policy(account, &policy, to_role).await),
            What::DetachFromUser => seen.note(&identity.detach_policy(account, &policy, to_user).await),
            What::DetachFromRole => seen.note(&identity.detach_policy(account, &policy, to_role).await),
            What::CreateUserKey | What::CreateRootKey => {
                let owner = if let What::CreateRootKey = what { KeyOwner::Root } else { owner };
                let made = identity.create_access_key(account, &owner, now).await;
                if let Ok(made) = &made {
                    seen.keys.borrow_mut().push(made.key.id.to_string());
                    seen.secrets.borrow_mut().push(made.secret.expose().to_owned());
                }
                seen.note(&made);
            }
            What::DeleteKey => seen.note(&identity.delete_access_key(account, &owner, &any_key()).await),
            What::SetStatus => {
                let key = any_key();
                seen.note(&identity.set_access_key_status(account, &owner, &key, Status::Inactive).await);
            }
            What::Upload => {
                let pem = if number % 2 == 0 { A } else { B };
                seen.note(&identity.upload_certificate(account, pem, now).await);
            }
            What::DeleteCertificate => {
                let pem = if number % 2 == 0 { A } else { B };
                let der = pkcs8::Document::from_pem(pem).unwrap().1;
                let fingerprint = compute::identity::Fingerprint::of(der.as_bytes());
                seen.note(&identity.delete_certificate(account, fingerprint).await);
            }
            What::Assume | What::OfInstance => {
                let made = if let What::Assume = what {
                    let caller = Caller {
                        account: account.to_string(),
                        principal: Principal::Root,
                        policies: vec![],
                        session: None,
                    };
                    let (context, form) = (Context::default(), KeyForm::Asia);
                    let (resource, session) = ("acs:ram::1:role/r", "s1");
                    let (context, role, policy) = (&context, name, Some(ALL));
                    let (duration_s, policies) = (900, &[]);
                    let assume = Assume {
                        account,
                        role,
                        resource,
                        context,
                        session,
                        duration_s,
                        policy,
                        policies,
                        form,
                    };
                    identity.assume_role(&caller, &assume, now).await.ok()
                } else {
                    let instance: Id<Instance> = Id::new(7);
                    let (role, form) = (name, KeyForm::Sts);
                    identity.credentials_for_instance(account, instance, role, ECS, form, now).await.ok()
                };
                if let Some(made) = &made {
                    let secrets = [made.secret.expose().to_owned(), made.token.expose().to_owned()];
                    seen.secrets.borrow_mut().extend(secrets);
                    let found = identity.find_key(made.id.as_str(), Some(made.token.expose()), now).await;
                    seen.note(&found);
                }
                seen.note(&made);
            }
            What::ForgetInstance => {
                seen.note(&identity.forget_instance_credentials(account, Id::new(7)).await);
            }
            What::Sweep => seen.note(&identity.sweep_expired(now).await),
        }
    }
}

/// Whose a record is, as far as it says so.
fn owner_of(key: &str, value: &Value) -> Option<String> {
    let in_key = key.split('/').nth(1).filter(|word| word.len() == 12);
    let inside = [&value["account"], &value["user"]["account"], &value["role"]["account"]];
    in_key.or_else(|| inside.into_iter().find_map(|value| value.as_str())).map(str::to_owned)
}

/// The records of an account.
fn of(store: &Halting, account: AccountId) -> Vec<(String, Vec<u8>)> {
    let all = records(store).into_iter();
    let own = all.filter(|(key, (_, value))| owner_of(key, value) == Some(account.to_string()));
    own.map(|(key, (bytes, _))| (key, bytes)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_dangles_and_nothing_shows_at_any_moment(
        one in steps(24), other in steps(24), schedule in prop::collection::vec(0..3_usize, 0..300), together: bool,
    ) {
        let (identity, store) = identity();
        let first = account(&identity, "one").id;
        // Two tasks of one account, or of two accounts; a third cleans up.
        let second = if together { first } else { account(&identity, "other").id };
        let seen = Seen::default();
        let sweeps: Vec<Step> = vec![(What::Sweep, 0, 9); 4];
        let futures: Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>> = vec![
            Box::pin(act(&identity, first, &one, &seen)),
            Box::pin(act(&identity, second, &other, &seen)),
            Box::pin(act(&identity, first, &sweeps, &seen)),
        ];
        // Between any two steps the daemon could be killed: what is on record then is what is found again.
        interleave(futures, &schedule, || assert_whole(&store));
        let secrets = seen.secrets.borrow();
        assert_sealed(&store, &secrets);
        let shown = seen.shown.borrow();
        prop_assert!(!secrets.iter().any(|secret| shown.contains(secret)));
    }

    #[test]
    fn an_account_touches_nothing_of_another(before in steps(24), then in steps(24)) {
        let (identity, store) = identity();
        let (mine, other) = (account(&identity, "one").id, account(&identity, "other").id);
        let seen = Seen::default();
        // Without sweeping, which is for all.
        let without = |steps: Vec<Step>| -> Vec<Step> {
            steps.into_iter().filter(|(what, ..)| !matches!(what, What::Sweep)).collect()
        };
        crate::support::run(act(&identity, other, &before, &seen));
        let (theirs, shown) = (of(&store, other), seen.shown.take());
        crate::support::run(act(&identity, mine, &without(then), &seen));
        prop_assert_eq!(theirs, of(&store, other));
        prop_assert!(!seen.shown.borrow().contains(&other.to_string()));
        prop_assert!(shown.is_empty() || !shown.contains(&mine.to_string()));
        // What each is shown is its own, and all of it.
        for account in [mine, other] {
            let users = crate::support::run(identity.users(account, None, 99)).unwrap().items;
            let roles = crate::support::run(identity.roles(account, None, 99)).unwrap().items;
            let policies = crate::support::run(identity.policies(account, None, 99)).unwrap().items;
            let known = crate::support::run(identity.account(account)).unwrap();
            prop_assert_eq!((users.len(), roles.len(), policies.len()), (known.users, known.roles, known.policies));
            prop_assert!(roles.iter().all(|role| role.account == account));
            for owner in users.iter().map(|user| KeyOwner::User(user.name.clone())).chain([KeyOwner::Root]) {
                let keys = crate::support::run(identity.access_keys(account, &owner)).unwrap();
                prop_assert!(keys.iter().all(|key| key.account == account && key.owner == owner));
            }
        }
    }
}
