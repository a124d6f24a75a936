//! Places for what takes a while, so many for each asker, for a network and for the host: who finds none is turned away at
//! once, and nothing waits in a queue.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places of a network.
#[derive(Clone)]
pub struct Places {
    /// Those of the host.
    all: Arc<Semaphore>,
    here: Arc<Semaphore>,
    each: usize,
    taken: Arc<Mutex<HashMap<Ipv4Addr, usize>>>,
}

/// A place, until it is dropped.
pub struct Place {
    taken: Arc<Mutex<HashMap<Ipv4Addr, usize>>>,
    by: Ipv4Addr,
    _permits: [OwnedSemaphorePermit; 2],
}

impl Places {
    /// Of the host's, at most so many for a network, and for each asker in it.
    pub fn new(all: Arc<Semaphore>, here: usize, each: usize) -> Self {
        Self { all, here: Arc::new(Semaphore::new(here)), each, taken: Arc::default() }
    }

    /// A place for an asker, if there is one.
    pub fn take(&self, by: Ipv4Addr) -> Option<Place> {
        let mut taken = lock(&self.taken);
        if taken.get(&by).is_some_and(|count| *count >= self.each) {
            return None;
        }
        let here = Arc::clone(&self.here).try_acquire_owned().ok()?;
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        *taken.entry(by).or_default() += 1;
        Some(Place { taken: Arc::clone(&self.taken), by, _permits: [here, all] })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        if let Some(count) = taken.get_mut(&self.by) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.by);
            }
        }
    }
}

/// Nothing in here panics between two changes that belong together, so what a panic left is whole.
fn lock<T>(taken: &Mutex<T>) -> MutexGuard<'_, T> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_for_each_asker_a_network_and_the_host() {
        let all = Arc::new(Semaphore::new(5));
        let (one, two) = (Places::new(Arc::clone(&all), 3, 2), Places::new(all, 3, 2));
        let guest = |last| Ipv4Addr::new(10, 0, 0, last);
        let first = [one.take(guest(1)), one.take(guest(1)), one.take(guest(2))];
        assert!(first.iter().all(Option::is_some));
        assert!(one.take(guest(1)).is_none() && one.take(guest(3)).is_none(), "its own, the network's");
        let second = [two.take(guest(1)), two.take(guest(2))];
        assert!(second.iter().all(Option::is_some) && two.take(guest(3)).is_none(), "the host's");
        drop(first);
        let again = [two.take(guest(3)), one.take(guest(1)), one.take(guest(1))];
        assert!(again.iter().all(Option::is_some) && one.take(guest(1)).is_none());
        drop((second, again));
        assert!(lock(&one.taken).is_empty() && lock(&two.taken).is_empty());
    }
}
