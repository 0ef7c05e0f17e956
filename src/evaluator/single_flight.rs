//! Single-flight: one evaluation per key in a process, however many requests ask.
//!
//! The first request leads; another one that comes while the evaluation is in flight joins it. It is done by a task of
//! its own, so a client that goes away takes nothing from the others. One that is abandoned (its task panicked or was
//! dropped) releases all waiters, and the next request leads anew.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// All evaluations in flight, by key.
pub(super) struct SingleFlight<K, V>(Mutex<HashMap<K, watch::Receiver<Option<V>>>>);

/// A request that waits for one value.
pub(super) struct Waiter<V>(watch::Receiver<Option<V>>);

/// The keys that one request evaluates for all. Those that are not complete when it is dropped are abandoned.
pub(super) struct Lead<K: Eq + Hash, V> {
    all: Arc<SingleFlight<K, V>>,
    leading: HashMap<K, watch::Sender<Option<V>>>,
}

/// A waiter for each key of a request, and the lead of those that nobody else evaluates.
pub(super) type Joined<K, V> = (Vec<(K, Waiter<V>)>, Lead<K, V>);

impl<K: Clone + Eq + Hash, V: Clone> SingleFlight<K, V> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::default()))
    }

    /// Gives a waiter for every key, and the lead of those that were not in flight.
    ///
    /// `completed` is asked under the lock for values that were completed since the lookup, so that they are not
    /// evaluated again: a leader makes its value visible to `completed` before it completes it here.
    pub(super) fn join_or_lead(
        self: &Arc<Self>,
        keys: impl IntoIterator<Item = K>,
        completed: impl Fn(&K) -> Option<V>,
    ) -> Joined<K, V> {
        let mut in_flight = self.lock();
        let mut leading = HashMap::new();
        let mut join_or_lead = |key: K| {
            let value = in_flight.get(&key).cloned().unwrap_or_else(|| {
                let value = completed(&key);
                let is_led = value.is_none();
                let (sender, receiver) = watch::channel(value);
                if is_led {
                    in_flight.insert(key.clone(), receiver.clone());
                    leading.insert(key.clone(), sender);
                }
                receiver
            });
            (key, Waiter(value))
        };
        let waiters = keys.into_iter().map(&mut join_or_lead).collect();
        (waiters, Lead { all: Arc::clone(self), leading })
    }
}

impl<K, V> SingleFlight<K, V> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, watch::Receiver<Option<V>>>> {
        // The map is whole between any two of its operations.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Clone> Waiter<V> {
    /// Whether the value is there already.
    pub(super) fn is_complete(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Waits for the value. `None` when the evaluation was abandoned, so that it will never come.
    pub(super) async fn value(mut self) -> Option<V> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}

impl<K: Eq + Hash, V> Lead<K, V> {
    /// The keys to evaluate.
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.leading.keys()
    }

    /// Whether there is no key to evaluate.
    pub(super) fn is_empty(&self) -> bool {
        self.leading.is_empty()
    }

    /// Gives the value of one key to all who wait for it.
    pub(super) fn complete(&mut self, key: &K, value: V) {
        if let Some(sender) = self.leading.remove(key) {
            self.all.lock().remove(key);
            sender.send_replace(Some(value));
        }
    }
}

impl<K: Eq + Hash, V> Drop for Lead<K, V> {
    fn drop(&mut self) {
        let mut in_flight = self.all.lock();
        for key in self.leading.keys() {
            in_flight.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Flights = SingleFlight<u32, &'static str>;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as `join_or_lead` asks it")]
    fn nothing(_: &u32) -> Option<&'static str> {
        None
    }

    #[tokio::test]
    async fn one_leads_and_all_get_the_value() {
        let flights = Flights::new();
        let (first, mut lead) = flights.join_or_lead([1, 2], nothing);
        let (second, none) = flights.join_or_lead([2], nothing);
        assert_eq!(lead.keys().count(), 2);
        assert!(none.is_empty());

        lead.complete(&2, "two");
        lead.complete(&1, "one");
        for (key, waiter) in first.into_iter().chain(second) {
            assert_eq!(waiter.value().await, Some(if key == 1 { "one" } else { "two" }));
        }
        assert!(!flights.join_or_lead([1], nothing).1.is_empty(), "what is complete is no longer in flight");
    }

    #[tokio::test]
    async fn an_abandoned_flight_releases_all_and_may_be_led_again() {
        let flights = Flights::new();
        let (waiters, lead) = flights.join_or_lead([1], nothing);
        let joined = flights.join_or_lead([1], nothing).0;
        drop(lead);
        for (_, waiter) in waiters.into_iter().chain(joined) {
            assert_eq!(waiter.value().await, None);
        }
        assert!(!flights.join_or_lead([1], nothing).1.is_empty());
    }

    #[tokio::test]
    async fn a_leader_that_went_away_takes_nothing_from_the_others() {
        let flights = Flights::new();
        let (leaders_own, mut lead) = flights.join_or_lead([1], nothing);
        let mut joined = flights.join_or_lead([1], nothing).0;
        drop(leaders_own);
        lead.complete(&1, "one");
        assert_eq!(joined.remove(0).1.value().await, Some("one"));
    }

    #[tokio::test]
    async fn what_has_just_been_completed_is_not_evaluated_again() {
        let (mut waiters, lead) = Flights::new().join_or_lead([1], |_| Some("complete"));
        assert!(lead.is_empty());
        assert_eq!(waiters.remove(0).1.value().await, Some("complete"));
    }
}
