//! Flights (single-flight): one evaluation per key in a process, however many requests ask.
//!
//! The first request leads; another one that comes while the flight is in the air joins it. A flight is flown by a task
//! of its own, so a client that goes away takes nothing from the others. A flight that is lost (its task panicked or
//! was dropped) releases all waiters, and the next request leads anew.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// Everything in the air. `K` tells flights apart, `V` is what they bring.
pub(super) struct Flights<K, V> {
    aloft: Mutex<HashMap<K, watch::Receiver<Option<V>>>>,
}

/// A place on a flight, for a waiter.
pub(super) struct Ticket<V>(watch::Receiver<Option<V>>);

/// A flight that was lost before it landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost;

/// Tickets for all keys that were asked for, and the lead of those that were not in the air.
pub(super) type Boarding<K, V> = (Vec<(K, Ticket<V>)>, Lead<K, V>);

/// The flights that one asker leads. Those that have not landed when it is dropped are lost.
pub(super) struct Lead<K: Eq + Hash, V> {
    flights: Arc<Flights<K, V>>,
    leading: HashMap<K, watch::Sender<Option<V>>>,
}

impl<K: Clone + Eq + Hash, V: Clone> Flights<K, V> {
    /// Nothing in the air.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { aloft: Mutex::default() })
    }

    /// Gives a ticket for every key, and the lead of those that were not in the air.
    ///
    /// `landed` is asked under the lock for values that landed since the lookup, so that they are not evaluated again:
    /// a leader makes its value visible to `landed` before it lands it here.
    pub(super) fn board(
        self: &Arc<Self>,
        keys: impl IntoIterator<Item = K>,
        landed: impl Fn(&K) -> Option<V>,
    ) -> Boarding<K, V> {
        let mut aloft = self.lock();
        let mut leading = HashMap::new();
        let mut board = |key: K| {
            let seat = aloft.get(&key).cloned().unwrap_or_else(|| {
                let value = landed(&key);
                let is_aloft = value.is_none();
                let (flight, seat) = watch::channel(value);
                if is_aloft {
                    aloft.insert(key.clone(), seat.clone());
                    leading.insert(key.clone(), flight);
                }
                seat
            });
            (key, Ticket(seat))
        };
        let tickets = keys.into_iter().map(&mut board).collect();
        (tickets, Lead { flights: Arc::clone(self), leading })
    }
}

impl<K, V> Flights<K, V> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, watch::Receiver<Option<V>>>> {
        // The map is whole between any two of its operations.
        self.aloft.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Clone> Ticket<V> {
    /// Whether the flight has landed already.
    pub(super) fn has_landed(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Waits for the flight.
    ///
    /// # Errors
    /// [`Lost`] when it will never land.
    pub(super) async fn arrival(mut self) -> Result<V, Lost> {
        let value = self.0.wait_for(Option::is_some).await.map_err(|_| Lost)?;
        value.clone().ok_or(Lost)
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

    /// Brings the value of one key to all who wait for it.
    pub(super) fn land(&mut self, key: &K, value: V) {
        if let Some(flight) = self.leading.remove(key) {
            self.flights.lock().remove(key);
            flight.send_replace(Some(value));
        }
    }
}

impl<K: Eq + Hash, V> Drop for Lead<K, V> {
    fn drop(&mut self) {
        let mut aloft = self.flights.lock();
        for key in self.leading.keys() {
            aloft.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Air = Flights<u32, &'static str>;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as `board` asks it")]
    fn nothing(_: &u32) -> Option<&'static str> {
        None
    }

    #[tokio::test]
    async fn one_leads_and_all_arrive() {
        let air = Air::new();
        let (first, mut lead) = air.board([1, 2], nothing);
        let (second, none) = air.board([2], nothing);
        assert_eq!(lead.keys().count(), 2);
        assert!(none.is_empty());

        lead.land(&2, "two");
        lead.land(&1, "one");
        for (key, ticket) in first.into_iter().chain(second) {
            assert_eq!(ticket.arrival().await, Ok(if key == 1 { "one" } else { "two" }));
        }
        assert!(!air.board([1], nothing).1.is_empty(), "what has landed is no longer in the air");
    }

    #[tokio::test]
    async fn a_lost_flight_releases_all_and_may_be_led_again() {
        let air = Air::new();
        let (tickets, lead) = air.board([1], nothing);
        let joined = air.board([1], nothing).0;
        drop(lead);
        for (_, ticket) in tickets.into_iter().chain(joined) {
            assert_eq!(ticket.arrival().await, Err(Lost));
        }
        assert!(!air.board([1], nothing).1.is_empty());
    }

    #[tokio::test]
    async fn a_leader_that_went_away_takes_nothing_from_the_others() {
        let air = Air::new();
        let (leaders_ticket, mut lead) = air.board([1], nothing);
        let mut joined = air.board([1], nothing).0;
        drop(leaders_ticket);
        lead.land(&1, "one");
        assert_eq!(joined.remove(0).1.arrival().await, Ok("one"));
    }

    #[tokio::test]
    async fn what_has_just_landed_is_not_evaluated_again() {
        let (mut tickets, lead) = Air::new().board([1], |_| Some("landed"));
        assert!(lead.is_empty());
        assert_eq!(tickets.remove(0).1.arrival().await, Ok("landed"));
    }
}
