//! Two operations at once, in each order of their steps: whatever one does between the steps of the other, nothing dangles at
//! any moment, and the end is as if one had come after the other.

use std::future::Future;
use std::pin::Pin;

use compute::identity::{
    AccountId, AttachedTo, CreateError, DeleteError, Identity, KeyForm, KeyOwner, PolicyRef,
    TemporaryCredentials,
};
use jiff::Timestamp;

use crate::manage::{A, ALL};
use crate::support::{
    ECS, Halting, TRUST, account, assert_whole, at, identity, in_every_order, interleave, run,
};

type Task<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Runs two tasks in every order, each on a store that was set up anew, and gives both answers to `judge`.
fn race<L, R>(
    set_up: impl Fn(&Identity, AccountId),
    left: impl for<'a> Fn(&'a Identity, AccountId) -> Task<'a, L>,
    right: impl for<'a> Fn(&'a Identity, AccountId) -> Task<'a, R>,
    judge: impl Fn(&Identity, AccountId, L, R),
) {
    in_every_order(|schedule| {
        let (identity, store): (_, std::sync::Arc<Halting>) = identity();
        let id = account(&identity, "acme").id;
        set_up(&identity, id);
        let (mut of_left, mut of_right) = (None, None);
        let futures: Vec<Task<'_, ()>> = vec![
            Box::pin(async { of_left = Some(left(&identity, id).await) }),
            Box::pin(async { of_right = Some(right(&identity, id).await) }),
        ];
        let choices = interleave(futures, schedule, || assert_whole(&store));
        judge(&identity, id, of_left.unwrap(), of_right.unwrap());
        assert_whole(&store);
        choices
    });
}

fn ann() -> KeyOwner {
    KeyOwner::User("ann".to_owned())
}

fn custom(name: &str) -> PolicyRef {
    PolicyRef::Custom(name.to_owned())
}

fn with_user(identity: &Identity, id: AccountId) {
    run(identity.create_user(id, "ann", "", at(0))).unwrap();
    for name in ["p", "q"] {
        run(identity.create_policy(id, name, "", ALL, at(0))).unwrap();
    }
}

#[test]
fn a_user_that_is_deleted_gets_no_key() {
    race(
        with_user,
        |identity, id| Box::pin(identity.delete_user(id, "ann")),
        |identity, id| Box::pin(async move { identity.create_access_key(id, &ann(), at(0)).await }),
        |identity, id, deleted, made| match (deleted, made) {
            (Ok(()), Err(CreateError::NoOwner { .. })) => {
                assert_eq!(run(identity.account(id)).unwrap().users, 0)
            }
            (Err(DeleteError::InUse { .. }), Ok(made)) => {
                run(identity.find_key(made.key.id.as_str(), None, at(0))).unwrap();
            }
            other => panic!("{other:?}"),
        },
    );
}

#[test]
fn what_is_deleted_gets_no_policy_and_a_deleted_policy_is_attached_to_none() {
    race(
        with_user,
        |identity, id| Box::pin(identity.delete_user(id, "ann")),
        attach_p,
        |_, _, deleted, attached| assert_ne!(deleted.is_ok(), attached),
    );
    race(
        with_user,
        |identity, id| Box::pin(identity.delete_policy(id, "p")),
        attach_p,
        |_, _, deleted, attached| assert_ne!(deleted.is_ok(), attached),
    );
}

fn attach<'a>(identity: &'a Identity, id: AccountId, policy: &'static str) -> Task<'a, bool> {
    Box::pin(
        async move { identity.attach_policy(id, &custom(policy), AttachedTo::User("ann")).await.is_ok() },
    )
}

fn attach_p(identity: &Identity, id: AccountId) -> Task<'_, bool> {
    attach(identity, id, "p")
}

fn attach_q(identity: &Identity, id: AccountId) -> Task<'_, bool> {
    attach(identity, id, "q")
}

#[test]
fn of_two_policies_attached_at_once_none_is_lost() {
    race(with_user, attach_p, attach_q, |identity, id, left, right| {
        assert!(left && right);
        assert_eq!(run(identity.user(id, "ann")).unwrap().policies.len(), 2);
    });
}

#[test]
fn the_limit_holds_for_two_at_once() {
    race(
        |identity, id| {
            with_user(identity, id);
            assert!(run(create_key(identity, id)));
        },
        create_key,
        create_key,
        |identity, id, left, right| {
            assert_ne!(left, right);
            assert_eq!(run(identity.access_keys(id, &ann())).unwrap().len(), 2);
        },
    );
}

fn create_key(identity: &Identity, id: AccountId) -> Task<'_, bool> {
    Box::pin(async move { identity.create_access_key(id, &ann(), at(0)).await.is_ok() })
}

#[test]
fn an_account_that_is_deleted_gets_nothing() {
    race(
        |_, _| {},
        delete_account,
        |identity, id| Box::pin(identity.create_user(id, "ann", "", at(0))),
        |_, _, deleted, made| assert_ne!(deleted, made.is_ok()),
    );
    race(
        |_, _| {},
        delete_account,
        |identity, id| Box::pin(identity.upload_certificate(id, A, at(0))),
        |_, _, deleted, made| assert_ne!(deleted, made.is_ok()),
    );
    race(
        |_, _| {},
        delete_account,
        |identity, id| Box::pin(identity.create_access_key(id, &KeyOwner::Root, at(0))),
        |_, _, deleted, made| assert_ne!(deleted, made.is_ok()),
    );
}

fn delete_account(identity: &Identity, id: AccountId) -> Task<'_, bool> {
    Box::pin(async move { identity.delete_account(id, vec![]).await.is_ok() })
}

fn ask(identity: &Identity, id: AccountId, now: Timestamp) -> Task<'_, TemporaryCredentials> {
    let instance = compute::id::Id::new(7);
    let asked = identity.credentials_for_instance(id, instance, "r", ECS, KeyForm::Sts, now);
    Box::pin(async move { asked.await.unwrap() })
}

fn with_credentials(identity: &Identity, id: AccountId) {
    run(identity.create_role(id, "r", "", TRUST, 3600, at(0))).unwrap();
    run(ask(identity, id, at(0)));
}

#[test]
fn two_that_ask_at_once_get_the_same() {
    for hours in [0, 1, 5, 9] {
        race(
            |identity, id| if hours == 0 { with_role(identity, id) } else { with_credentials(identity, id) },
            |identity, id| ask(identity, id, at(hours)),
            |identity, id| ask(identity, id, at(hours)),
            |identity, id, left, right| {
                assert_eq!(left, right);
                assert_eq!(run(ask(identity, id, at(hours))), left);
            },
        );
    }
}

fn with_role(identity: &Identity, id: AccountId) {
    run(identity.create_role(id, "r", "", TRUST, 3600, at(0))).unwrap();
}

#[test]
fn sweeping_leaves_what_was_just_given() {
    race(
        with_credentials,
        |identity, id| ask(identity, id, at(9)),
        |identity, _| Box::pin(identity.sweep_expired(at(9))),
        |identity, id, given, swept| {
            assert_eq!(swept.unwrap().sessions, 1);
            assert_eq!(run(ask(identity, id, at(9))), given);
        },
    );
}
