//! Reading and changing records, as all operations do it.

use serde::{Deserialize, Serialize};

use super::launch::check_words;
use super::{Compute, ComputeError};
use crate::resource::{Resource, Tags, owned_key};
use crate::store::{CommitError, Condition, Kept, Key, MAX_PAGE, Revision, Transaction, Write, get, put};

/// How often a change is tried again because somebody else changed the same.
pub(super) const TRIES: usize = 32;

/// A stretch of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listed<T> {
    /// What was found, in the order of its keys.
    pub items: Vec<T>,
    /// Where to go on; `None` at the end. Understood by the same list only.
    pub next: Option<String>,
    /// The store's revision: what happens afterwards is seen by watching from here.
    pub revision: Revision,
}

/// What is said of a resource, and is to be changed of it; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct WordsChange {
    /// The name.
    pub name: Option<String>,
    /// Words about it.
    pub description: Option<String>,
    /// Tags, all of them.
    pub tags: Option<Tags>,
}

impl WordsChange {
    pub(super) fn check(&self) -> Result<(), ComputeError> {
        check_words(self.name.as_deref(), self.tags.as_ref())
    }

    pub(super) fn apply(&self, name: &mut String, description: &mut String, tags: &mut Tags) {
        if let Some(new) = &self.name {
            name.clone_from(new);
        }
        if let Some(new) = &self.description {
            description.clone_from(new);
        }
        if let Some(new) = &self.tags {
            tags.clone_from(new);
        }
    }
}

/// What else a change writes.
#[derive(Default)]
pub struct Besides {
    /// What must be so.
    pub conditions: Vec<Condition>,
    /// What is written in the same transaction.
    pub writes: Vec<Write>,
}

impl Compute {
    /// The record of this id in this account.
    pub(crate) async fn get_owned<T: Resource>(
        &self,
        account: &str,
        id: &str,
    ) -> Result<Kept<T>, ComputeError> {
        self.get_at(&owned_key(T::WORD, account, id), id).await
    }

    /// The record under a key, `name` in messages.
    pub(crate) async fn get_at<T: Resource>(&self, key: &Key, name: &str) -> Result<Kept<T>, ComputeError> {
        let found = get(&*self.store, key).await?;
        found.ok_or_else(|| ComputeError::NotFound { what: T::NAME, id: name.to_owned() })
    }

    /// A stretch of an account's records that `wanted` takes, from `after` on.
    ///
    /// # Errors
    ///
    /// `after` is none of this list's, or the store does not do its part.
    pub(crate) async fn list_owned<T: Resource>(
        &self,
        account: &str,
        after: Option<&str>,
        limit: usize,
        wanted: impl FnMut(&T) -> bool,
    ) -> Result<Listed<T>, ComputeError> {
        self.list_under(&format!("{}/{account}/", T::WORD), after, limit, wanted).await
    }

    /// As `list_owned`, of the records whose keys begin with `prefix`.
    pub(crate) async fn list_under<T: Resource>(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        wanted: impl FnMut(&T) -> bool,
    ) -> Result<Listed<T>, ComputeError> {
        let Listed { items, next, revision } = self.list_kept(prefix, after, limit, wanted).await?;
        Ok(Listed { items: items.into_iter().map(|kept| kept.value).collect(), next, revision })
    }

    /// As `list_under`, with the revisions at which the records were last written.
    pub(crate) async fn list_kept<T: Resource>(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        mut wanted: impl FnMut(&T) -> bool,
    ) -> Result<Listed<Kept<T>>, ComputeError> {
        let refuse = || ComputeError::invalid("page_token", "is none that this list gave");
        let mut after: Option<Key> = match after {
            None => None,
            Some(rest) => Some(format!("{prefix}{rest}").parse().map_err(|_| refuse())?),
        };
        let limit = limit.max(1);
        let (mut items, mut revision) = (Vec::new(), None);
        loop {
            // One more tells whether there is a next page, mostly without another look.
            let wanted_more = (limit - items.len()).saturating_add(1);
            let page = self.store.range(prefix, after.as_ref(), wanted_more.min(MAX_PAGE)).await?;
            let revision = *revision.get_or_insert(page.revision);
            for record in page.records {
                let key = record.key.clone();
                let value: T = serde_json::from_slice(&record.value).map_err(|error| {
                    crate::store::TypedError::Decode { key: key.clone(), at: error.column() }
                })?;
                if wanted(&value) {
                    if items.len() == limit {
                        let last = after.as_ref().map(|key| key.as_str()[prefix.len()..].to_owned());
                        return Ok(Listed { items, next: last, revision });
                    }
                    items.push(Kept { value, key: key.clone(), modified: record.modified });
                }
                after = Some(key);
            }
            if !page.more {
                return Ok(Listed { items, next: None, revision });
            }
        }
    }

    /// All of an account's records of a kind that `wanted` takes.
    pub(crate) async fn all_owned<T: Resource>(
        &self,
        account: &str,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, ComputeError> {
        let prefix = format!("{}/{account}/", T::WORD);
        let (all, _) = crate::store::list::<T>(&*self.store, &prefix).await?;
        Ok(all.into_iter().map(|kept| kept.value).filter(|value| wanted(value)).collect())
    }

    /// Changes a record, and what `change` says besides, in one transaction. `change` may be called several times.
    pub(crate) async fn change<T: Resource, R>(
        &self,
        key: &Key,
        name: &str,
        mut change: impl FnMut(&mut T) -> Result<(R, Besides), ComputeError>,
    ) -> Result<(R, T), ComputeError> {
        let mut contended = key.clone();
        for _ in 0..TRIES {
            let mut kept: Kept<T> = self.get_at(key, name).await?;
            let unmodified = kept.unmodified();
            let (result, besides) = change(&mut kept.value)?;
            let mut transaction = Transaction { conditions: besides.conditions, writes: besides.writes };
            transaction.conditions.push(unmodified);
            transaction.writes.push(put(key.clone(), &kept.value));
            match self.store.commit(transaction).await {
                Ok(_) => return Ok((result, kept.value)),
                Err(CommitError::Conflict { key, .. }) => contended = key,
                Err(error) => return Err(error.into()),
            }
        }
        // Also what was written besides, which may be somebody else's for good.
        Err(ComputeError::Contended { key: contended })
    }

    /// Changes a record of an account, and nothing else.
    pub(crate) async fn change_owned<T: Resource>(
        &self,
        account: &str,
        id: &str,
        mut change: impl FnMut(&mut T) -> Result<(), ComputeError>,
    ) -> Result<T, ComputeError> {
        let key = owned_key(T::WORD, account, id);
        let ((), value) = self.change(&key, id, |value| Ok((change(value)?, Besides::default()))).await?;
        Ok(value)
    }

    /// Makes a record that must not be there yet.
    pub(crate) async fn create<T: Resource>(&self, value: &T, name: &str) -> Result<(), ComputeError> {
        let key = value.key();
        let transaction =
            Transaction { conditions: vec![Condition::Absent(key.clone())], writes: vec![put(key, value)] };
        match self.store.commit(transaction).await {
            Ok(_) => Ok(()),
            Err(CommitError::Conflict { .. }) => {
                Err(ComputeError::Exists { what: T::NAME, name: name.to_owned() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a record, if it is as it was read.
    pub(crate) async fn remove<T>(&self, kept: &Kept<T>) -> Result<(), ComputeError> {
        let transaction = Transaction {
            conditions: vec![kept.unmodified()],
            writes: vec![Write::Delete(kept.key.clone())],
        };
        self.store.commit(transaction).await?;
        Ok(())
    }
}
