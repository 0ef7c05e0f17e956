//! The outbox: what is on its way to the store, in the order in which it came, bounded in bytes.
//!
//! Everything that is written goes through it. While the store is well, a batch leaves as soon as the one before it is
//! acknowledged, and what comes meanwhile leaves together; while it is not, entries wait here until it is back.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, watch};

use super::store::Record;
use crate::telemetry;

/// The number of a delivery. All that were handed in before it have lower numbers.
pub(super) type Ticket = u64;

/// A mark to be raised, when all that it vouches for is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raise {
    pub(super) top: u32,
    /// What the store holds already, as a lookup saw it.
    pub(super) base: Base,
}

/// Up to which index the store holds all that its mark vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// Up to the mark that was seen when the ladder had been grown so many times.
    Seen { mark: Option<u32>, growths: u64 },
    /// Not known: it has to be read before anything is written.
    Unknown,
}

impl Raise {
    /// One raise for both.
    fn and(self, other: Self) -> Self {
        let base = match (self.base, other.base) {
            (Base::Seen { mark, growths }, Base::Seen { mark: other_mark, growths: other_growths })
                if growths == other_growths =>
            {
                Base::Seen { mark: mark.min(other_mark), growths }
            }
            _ => Base::Unknown,
        };
        Self { top: self.top.max(other.top), base }
    }
}

/// What leaves together.
#[derive(Debug)]
pub(super) struct Batch {
    records: Vec<(Ticket, Record)>,
    pub(super) raise: Option<Raise>,
    /// Who holds a ticket up to this one is served when the batch is delivered.
    served: Ticket,
}

impl Batch {
    pub(super) fn records(&self) -> Vec<Record> {
        self.records.iter().map(|(_, record)| record.clone()).collect()
    }
}

/// The queue of a courier.
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    bound: usize,
    arrived: Notify,
    served: watch::Sender<Ticket>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Ticket, Record)>,
    raise: Option<(Ticket, Raise)>,
    /// Of all that waits or is under way, so that nothing waits twice.
    names: HashSet<String>,
    bytes: usize,
    last: Ticket,
    is_closed: bool,
    /// Whether it has dropped something since it was empty.
    is_dropping: bool,
}

impl Outbox {
    /// An outbox that holds up to `bound` bytes.
    pub(super) fn new(bound: usize) -> Self {
        Self { queue: Mutex::default(), bound, arrived: Notify::new(), served: watch::Sender::new(0) }
    }

    /// Takes records in, and a mark to raise after them and after all that came before. When there is no room, the
    /// oldest are dropped.
    pub(super) fn put(&self, records: Vec<Record>, raise: Option<Raise>) -> Ticket {
        let mut queue = self.queue();
        queue.last += 1;
        let ticket = queue.last;
        for record in records {
            // Values never change: what waits already is what came now.
            if queue.names.insert(record.name.clone()) {
                queue.bytes += record.bytes.len();
                telemetry::queue_grew(record.bytes.len());
                queue.waiting.push_back((ticket, record));
            }
        }
        if let Some(raise) = raise {
            queue.raise = Some(match queue.raise {
                Some((first, before)) => (first, before.and(raise)),
                None => (ticket, raise),
            });
        }
        while queue.bytes > self.bound
            && let Some((_, oldest)) = queue.waiting.pop_front()
        {
            queue.forget(&oldest);
            telemetry::write_dropped(oldest.bytes.len(), queue.is_dropping);
            queue.is_dropping = true;
        }
        self.arrived.notify_one();
        ticket
    }

    /// The oldest records, up to so many bytes and at least one; with the last of them the mark. Waits for some; `None`
    /// when the outbox is closed and empty.
    pub(super) async fn next(&self, bytes: usize) -> Option<Batch> {
        loop {
            {
                let mut queue = self.queue();
                if !queue.waiting.is_empty() || queue.raise.is_some() {
                    return Some(queue.take(bytes));
                }
                queue.is_dropping = false;
                if queue.is_closed {
                    return None;
                }
            }
            self.arrived.notified().await;
        }
    }

    /// The batch is acknowledged.
    pub(super) fn delivered(&self, batch: &Batch) {
        let mut queue = self.queue();
        for (_, record) in &batch.records {
            queue.forget(record);
        }
        drop(queue);
        self.served.send_replace(batch.served);
    }

    /// The batch could not be written: it waits again, before all that came later. The store may be another one when
    /// it is back, so what it held is no longer known.
    pub(super) fn returned(&self, batch: Batch) {
        let mut queue = self.queue();
        if let Some(raise) = batch.raise {
            let raise = Raise { base: Base::Unknown, ..raise };
            let raise = queue.raise.map_or(raise, |(_, later)| raise.and(later));
            queue.raise = Some((batch.served, raise));
        }
        for record in batch.records.into_iter().rev() {
            queue.waiting.push_front(record);
        }
    }

    /// Waits until all that was handed in up to `ticket` is acknowledged or dropped.
    pub(super) async fn served(&self, ticket: Ticket) {
        // The sender lives as long as this.
        let _ = self.served.subscribe().wait_for(|&served| served >= ticket).await;
    }

    /// Nothing more comes: when it is empty there is no next batch.
    pub(super) fn close(&self) {
        self.queue().is_closed = true;
        self.arrived.notify_one();
    }

    /// How much waits or is under way.
    pub(super) fn bytes(&self) -> usize {
        self.queue().bytes
    }

    /// Whether there is nothing to deliver.
    pub(super) fn is_empty(&self) -> bool {
        let queue = self.queue();
        queue.names.is_empty() && queue.raise.is_none()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.queue().is_closed
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Whole between any two of its changes.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn take(&mut self, bytes: usize) -> Batch {
        let (mut records, mut taken) = (Vec::new(), 0);
        while let Some((_, next)) = self.waiting.front()
            && (records.is_empty() || taken + next.bytes.len() <= bytes)
        {
            taken += next.bytes.len();
            records.extend(self.waiting.pop_front());
        }
        let raise = self.raise.take_if(|_| self.waiting.is_empty()).map(|(_, raise)| raise);
        let unserved = [self.waiting.front().map(|(ticket, _)| *ticket), self.raise.map(|(ticket, _)| ticket)];
        let served = unserved.into_iter().flatten().min().map_or(self.last, |first| first - 1);
        Batch { records, raise, served }
    }

    /// A record waits no longer.
    fn forget(&mut self, record: &Record) {
        self.names.remove(&record.name);
        self.bytes -= record.bytes.len();
        telemetry::queue_shrank(record.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, length: usize) -> Record {
        Record { name: name.into(), bytes: vec![0; length].into(), pinned: false }
    }

    fn raise(top: u32, mark: Option<u32>, growths: u64) -> Raise {
        Raise { top, base: Base::Seen { mark, growths } }
    }

    fn names(batch: &Batch) -> Vec<String> {
        batch.records().into_iter().map(|record| record.name).collect()
    }

    fn is_served(outbox: &Outbox, ticket: Ticket) -> bool {
        *outbox.served.borrow() >= ticket
    }

    #[tokio::test]
    async fn the_mark_leaves_with_the_last_of_the_entries() {
        let outbox = Outbox::new(1_000);
        let first = outbox.put(vec![record("a", 10), record("b", 10)], Some(raise(300, None, 0)));
        let second = outbox.put(vec![record("c", 10)], Some(raise(200, Some(7), 0)));

        let batch = outbox.next(20).await.unwrap();
        assert_eq!((names(&batch), batch.raise), (vec!["a".into(), "b".into()], None));
        outbox.delivered(&batch);
        assert!(!is_served(&outbox, first), "its mark is still to be raised");

        let batch = outbox.next(20).await.unwrap();
        assert_eq!((names(&batch), batch.raise), (vec!["c".into()], Some(raise(300, None, 0))));
        outbox.delivered(&batch);
        assert!(is_served(&outbox, second));
        outbox.close();
        assert!(outbox.next(20).await.is_none());
    }

    #[tokio::test]
    async fn what_could_not_be_written_comes_first_again_and_its_base_is_read_anew() {
        let outbox = Outbox::new(1_000);
        outbox.put(vec![record("a", 10)], Some(raise(300, Some(5), 0)));
        let batch = outbox.next(20).await.unwrap();
        let later = outbox.put(vec![record("b", 10), record("a", 10)], Some(raise(400, Some(5), 0)));
        outbox.returned(batch);

        let batch = outbox.next(100).await.unwrap();
        assert_eq!(names(&batch), ["a", "b"], "and nothing twice");
        assert_eq!(batch.raise, Some(Raise { top: 400, base: Base::Unknown }));
        assert!(!is_served(&outbox, later));
        outbox.delivered(&batch);
        assert!(is_served(&outbox, later));
    }

    #[test]
    fn sights_from_before_and_after_a_growth_have_no_common_base() {
        assert_eq!(raise(3, Some(1), 0).and(raise(2, None, 0)), raise(3, None, 0));
        assert_eq!(raise(3, Some(1), 0).and(raise(4, Some(3), 1)).base, Base::Unknown);
    }

    #[tokio::test]
    async fn it_never_holds_more_than_its_bound_and_drops_the_oldest() {
        let outbox = Outbox::new(100);
        outbox.put(vec![record("under way", 60)], None);
        let under_way = outbox.next(100).await.unwrap();
        outbox.put(vec![record("oldest", 30)], None);
        outbox.put(vec![record("newer", 30)], None);
        assert_eq!(outbox.bytes(), 90);
        outbox.put(vec![record("too large", 101)], None);
        assert_eq!(outbox.bytes(), 60, "what is under way can't be dropped");
        outbox.returned(under_way);
        outbox.put(vec![record("newest", 40)], None);
        let batch = outbox.next(1_000).await.unwrap();
        assert_eq!(names(&batch), ["under way", "newest"]);
        outbox.delivered(&batch);
        assert_eq!(outbox.bytes(), 0);
    }
}
