//! Tags that several hang on the same resources at once: each keeps what is not its own, and none is lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use compute::capacity::Amounts;
use compute::compute::{Compute, ComputeError, NewVolume, TagChange, Taggable};
use compute::key_pair::Algorithm;
use compute::resource::{MAX_TAGS, Tags};

use super::Host;
use super::world::Life;

const ACCOUNT: &str = "123456789012";

fn add(pairs: &[(&str, &str)]) -> TagChange {
    TagChange::Add(tags(pairs))
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    Tags(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

fn remove(keys: &[(&str, Option<&str>)]) -> TagChange {
    TagChange::Remove(keys.iter().map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned))).collect())
}

/// Two resources of different kinds.
async fn two(compute: &Arc<Compute>) -> [Taggable; 2] {
    let new = NewVolume { size_gib: Some(1), ..NewVolume::default() };
    let volume = compute.create_volume(ACCOUNT, &new, Amounts::UNLIMITED).await.unwrap();
    let key = compute.create_key_pair(ACCOUNT, "key", Algorithm::Ed25519, Tags::default()).await.unwrap();
    [Taggable::Volume(volume.id), Taggable::KeyPair(key.pair.id)]
}

/// The tags of both, which are the same.
async fn of(compute: &Compute, [volume, _]: [Taggable; 2]) -> Tags {
    let Taggable::Volume(id) = volume else { panic!("the first is a volume") };
    let of_volume = compute.volume(ACCOUNT, id).await.unwrap().tags;
    assert_eq!(compute.key_pair(ACCOUNT, "key").await.unwrap().tags, of_volume, "all or none");
    of_volume
}

#[test]
fn of_tags_that_are_changed_at_once_none_is_lost() {
    assert!(Host::new(false).live(&Life::for_ever(), |compute, _| async move {
        let both = two(&compute).await;
        compute.tag(ACCOUNT, &both, &add(&[("old", "1"), ("kept", "1")])).await.unwrap();
        let changers: Vec<_> = (0..8)
            .map(|n| {
                let compute = Arc::clone(&compute);
                tokio::spawn(async move {
                    let new = add(&[(&format!("new-{n}"), "1")]);
                    compute.tag(ACCOUNT, &both, &new).await
                })
            })
            .collect();
        compute.tag(ACCOUNT, &both, &remove(&[("old", None)])).await.unwrap();
        for changer in changers {
            changer.await.unwrap().unwrap();
        }
        let expected: BTreeMap<String, String> = (0..8)
            .map(|n| format!("new-{n}"))
            .chain(["kept".to_owned()])
            .map(|key| (key, "1".to_owned()))
            .collect();
        assert_eq!(of(&compute, both).await, Tags(expected));
    }));
}

#[test]
fn tags_are_changed_of_all_or_of_none() {
    assert!(Host::new(false).live(&Life::for_ever(), |compute, _| async move {
        let both = two(&compute).await;
        compute.tag(ACCOUNT, &both, &add(&[("a", "1"), ("b", "2"), ("c", "3")])).await.unwrap();
        // With a value, a tag goes only if it has it.
        compute
            .tag(ACCOUNT, &both, &remove(&[("a", Some("1")), ("b", Some("1")), ("x", None)]))
            .await
            .unwrap();
        assert_eq!(of(&compute, both).await, tags(&[("b", "2"), ("c", "3")]));

        let many = |count: usize| {
            TagChange::Add(Tags((0..count).map(|n| (format!("n{n}"), String::new())).collect()))
        };
        let refused = compute.tag(ACCOUNT, &both, &many(MAX_TAGS - 1)).await;
        assert!(matches!(refused, Err(ComputeError::Invalid { parameter: "tags", .. })), "{refused:?}");
        let missing = [both[0], Taggable::Vpc(compute::id::VpcId::new(1))];
        let refused = compute.tag(ACCOUNT, &missing, &add(&[("d", "4")])).await;
        assert!(matches!(refused, Err(ComputeError::NotFound { what: "VPC", .. })), "{refused:?}");
        let refused = compute.tag("999999999999", &both, &add(&[("d", "4")])).await;
        assert!(matches!(refused, Err(ComputeError::NotFound { .. })), "{refused:?}");
        assert_eq!(of(&compute, both).await, tags(&[("b", "2"), ("c", "3")]), "nothing of it was done");

        compute.tag(ACCOUNT, &both, &many(MAX_TAGS - 2)).await.unwrap();
        // One that is there already takes the place of none; named twice, a resource is one.
        compute.tag(ACCOUNT, &[both, both].concat(), &add(&[("b", "5")])).await.unwrap();
        assert_eq!(of(&compute, both).await.0["b"], "5");
        compute.tag(ACCOUNT, &both, &TagChange::RemoveAll).await.unwrap();
        let revision = compute.volumes(ACCOUNT, None, 1, |_| true).await.unwrap().revision;
        compute.tag(ACCOUNT, &both, &TagChange::RemoveAll).await.unwrap();
        assert_eq!(of(&compute, both).await, Tags::default());
        let after = compute.volumes(ACCOUNT, None, 1, |_| true).await.unwrap().revision;
        assert_eq!(after, revision, "what is so already is not written");
    }));
}
