//! The outbox: what is on its way to the store, in the order in which it came, bounded in bytes. When it is full, cheap
//! entries are dropped before others.
//!
//! Everything that is written goes through it. While the store is well, a batch leaves as soon as the one before it is
//! acknowledged, and what comes meanwhile leaves together; while it is not, entries wait here until it is back.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{Retention, store::Record};
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
    raise: Option<(Ticket, Raise)>,
}

impl Batch {
    pub(super) fn records(&self) -> Vec<Record> {
        self.records.iter().map(|(_, record)| record.clone()).collect()
    }

    /// The mark to raise, which vouches for none of the records: those that a mark vouches for are made when it is
    /// raised.
    pub(super) fn raise(&self) -> Option<Raise> {
        self.raise.map(|(_, raise)| raise)
    }
}

/// What is acknowledged.
#[derive(Clone, Copy, Default)]
struct Served {
    /// All records of tickets up to this one.
    records: Ticket,
    /// The marks of tickets up to this one.
    raises: Ticket,
}

/// The queue of a courier.
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    bound: usize,
    arrived: Notify,
    served: watch::Sender<Served>,
}

#[derive(Default)]
struct Queue {
    waiting: Waiting,
    raise: Option<(Ticket, Raise)>,
    /// Of all that waits or is under way, so that nothing waits twice.
    names: HashSet<String>,
    bytes: usize,
    last: Ticket,
    closed: Option<Instant>,
    /// Whether it has dropped something since it was empty.
    is_dropping: bool,
}

/// Records in the order in which they came, the cheap ones in a row of their own. A mark to raise is not among them.
#[derive(Default)]
struct Waiting {
    dear: VecDeque<(Ticket, Record)>,
    cheap: VecDeque<(Ticket, Record)>,
}

impl Waiting {
    fn of(&mut self, retention: Retention) -> &mut VecDeque<(Ticket, Record)> {
        match retention {
            Retention::Pinned | Retention::Dear => &mut self.dear,
            Retention::Cheap => &mut self.cheap,
        }
    }

    /// The one that came first. Of those that came together the cheap ones leave last.
    fn first(&self) -> Option<&(Ticket, Record)> {
        self.dear.front().into_iter().chain(self.cheap.front()).min_by_key(|(ticket, _)| *ticket)
    }

    fn pop_first(&mut self) -> Option<(Ticket, Record)> {
        let retention = self.first()?.1.retention;
        self.of(retention).pop_front()
    }

    /// The one to drop when there is no room.
    fn least_needed(&mut self) -> Option<(Ticket, Record)> {
        self.cheap.pop_front().or_else(|| self.dear.pop_front())
    }
}

impl Outbox {
    /// An outbox that holds up to `bound` bytes.
    pub(super) fn new(bound: usize) -> Self {
        Self { queue: Mutex::default(), bound, arrived: Notify::new(), served: watch::Sender::default() }
    }

    /// Takes records in, and a mark to raise. When there is no room, the oldest cheap ones are dropped, and then the
    /// oldest.
    pub(super) fn put(&self, records: Vec<Record>, raise: Option<Raise>) -> Ticket {
        let mut queue = self.queue();
        queue.last += 1;
        let ticket = queue.last;
        for record in records {
            // Values never change: what waits already is what came now.
            if queue.names.insert(record.name.clone()) {
                queue.bytes += record.cost();
                telemetry::queue_grew(record.cost());
                queue.waiting.of(record.retention).push_back((ticket, record));
            }
        }
        if let Some(raise) = raise {
            queue.add((ticket, raise));
        }
        while queue.bytes > self.bound
            && let Some((_, dropped)) = queue.waiting.least_needed()
        {
            queue.forget(&dropped);
            telemetry::write_dropped(dropped.cost(), queue.is_dropping);
            queue.is_dropping = true;
        }
        self.arrived.notify_one();
        ticket
    }

    /// The mark, and the oldest records up to so many bytes and at least one. Waits for some; `None` when the outbox is
    /// closed and empty.
    pub(super) async fn next(&self, bytes: usize) -> Option<Batch> {
        loop {
            {
                let mut queue = self.queue();
                if queue.waiting.first().is_some() || queue.raise.is_some() {
                    return Some(queue.take(bytes));
                }
                queue.is_dropping = false;
                if queue.closed.is_some() {
                    return None;
                }
            }
            self.arrived.notified().await;
        }
    }

    /// What is in the batch is acknowledged, and the mark is raised as far as its top or to `reached`: then what is left
    /// of the way waits again. Nothing is under way any more.
    pub(super) fn delivered(&self, batch: &Batch, reached: Option<u32>) {
        let mut queue = self.queue();
        for (_, record) in &batch.records {
            queue.forget(record);
        }
        if let Some((ticket, raise)) = batch.raise
            && reached.is_some_and(|reached| reached < raise.top)
        {
            queue.add((ticket, Raise { base: Base::Unknown, ..raise }));
        }
        let before = |first: Option<Ticket>| first.map_or(queue.last, |first| first - 1);
        let served = Served {
            records: before(queue.waiting.first().map(|(ticket, _)| *ticket)),
            raises: before(queue.raise.map(|(ticket, _)| ticket)),
        };
        drop(queue);
        self.served.send_replace(served);
    }

    /// The batch could not be written: it waits again, before all that came later. The store may be another one when
    /// it is back, so what it held is no longer known.
    pub(super) fn returned(&self, batch: Batch) {
        let mut queue = self.queue();
        if let Some((ticket, raise)) = batch.raise {
            queue.add((ticket, Raise { base: Base::Unknown, ..raise }));
        }
        for record in batch.records.into_iter().rev() {
            queue.waiting.of(record.1.retention).push_front(record);
        }
    }

    /// Waits until all records that were handed in up to `ticket` are acknowledged or dropped, and if `and_raised` the
    /// marks too.
    pub(super) async fn served(&self, ticket: Ticket, and_raised: bool) {
        let is_served = |served: &Served| served.records >= ticket && (!and_raised || served.raises >= ticket);
        // The sender lives as long as this.
        let _ = self.served.subscribe().wait_for(is_served).await;
    }

    /// Nothing more comes: when it is empty there is no next batch.
    pub(super) fn close(&self) {
        self.queue().closed.get_or_insert_with(Instant::now);
        self.arrived.notify_one();
    }

    /// For how long it has been closed, if it is.
    pub(super) fn closed_for(&self) -> Option<Duration> {
        self.queue().closed.map(|closed| closed.elapsed())
    }

    /// How much waits or is under way.
    pub(super) fn bytes(&self) -> usize {
        self.queue().bytes
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Whole between any two of its changes.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn add(&mut self, (ticket, raise): (Ticket, Raise)) {
        self.raise = Some(match self.raise {
            Some((other_ticket, other)) => (ticket.min(other_ticket), raise.and(other)),
            None => (ticket, raise),
        });
    }

    fn take(&mut self, bytes: usize) -> Batch {
        let (mut records, mut taken) = (Vec::new(), 0);
        while let Some((_, next)) = self.waiting.first()
            && (records.is_empty() || taken + next.cost() <= bytes)
        {
            taken += next.cost();
            records.extend(self.waiting.pop_first());
        }
        Batch { records, raise: self.raise.take() }
    }

    /// A record waits no longer.
    fn forget(&mut self, record: &Record) {
        self.names.remove(&record.name);
        self.bytes -= record.cost();
        telemetry::queue_shrank(record.cost());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of `cost` bytes that is not cheap.
    fn record(name: &str, cost: usize) -> Record {
        let mut record = Record { name: name.into(), bytes: [].into(), retention: Retention::Dear };
        record.bytes = vec![0; cost - record.cost()].into();
        record
    }

    fn cheap(name: &str, cost: usize) -> Record {
        Record { retention: Retention::Cheap, ..record(name, cost) }
    }

    fn raise(top: u32, mark: Option<u32>, growths: u64) -> Raise {
        Raise { top, base: Base::Seen { mark, growths } }
    }

    fn names(batch: &Batch) -> Vec<String> {
        batch.records().into_iter().map(|record| record.name).collect()
    }

    /// Whether the records of a ticket are acknowledged, and whether its mark is.
    fn is_served(outbox: &Outbox, ticket: Ticket) -> (bool, bool) {
        let served = *outbox.served.borrow();
        (served.records >= ticket, served.raises >= ticket)
    }

    #[tokio::test]
    async fn what_came_meanwhile_leaves_together() {
        let outbox = Outbox::new(10_000);
        let first = outbox.put(vec![record("a", 1_000), record("b", 1_000)], Some(raise(300, None, 0)));
        let batch = outbox.next(1_500).await.unwrap();
        assert_eq!((names(&batch), batch.raise()), (vec!["a".into()], Some(raise(300, None, 0))));
        let second = outbox.put(vec![record("c", 1_000)], Some(raise(200, Some(7), 0)));
        outbox.delivered(&batch, Some(300));
        assert_eq!(is_served(&outbox, first), (false, true), "b is still to be delivered");
        assert_eq!(is_served(&outbox, second), (false, false), "and the later mark to be raised");

        let batch = outbox.next(2_000).await.unwrap();
        assert_eq!((names(&batch), batch.raise()), (vec!["b".into(), "c".into()], Some(raise(200, Some(7), 0))));
        outbox.delivered(&batch, Some(200));
        assert_eq!(is_served(&outbox, second), (true, true));
        outbox.close();
        assert!(outbox.next(2_000).await.is_none());
    }

    #[tokio::test]
    async fn who_asks_for_what_is_under_way_is_served_with_it() {
        let outbox = Outbox::new(10_000);
        outbox.put(vec![record("a", 1_000)], None);
        let batch = outbox.next(1_000).await.unwrap();
        let second = outbox.put(vec![record("a", 1_000)], None);
        outbox.delivered(&batch, None);
        assert_eq!(is_served(&outbox, second), (true, true));
    }

    #[tokio::test]
    async fn what_could_not_be_written_comes_first_again_and_its_base_is_read_anew() {
        let outbox = Outbox::new(10_000);
        let first = outbox.put(vec![record("a", 1_000)], Some(raise(300, Some(5), 0)));
        let batch = outbox.next(1_000).await.unwrap();
        let later = outbox.put(vec![record("b", 1_000), record("a", 1_000)], Some(raise(400, Some(5), 0)));
        outbox.returned(batch);

        let batch = outbox.next(1_000).await.unwrap();
        assert_eq!(names(&batch), ["a"], "and nothing twice");
        assert_eq!(batch.raise, Some((first, Raise { top: 400, base: Base::Unknown })));
        outbox.delivered(&batch, None);
        assert_eq!((is_served(&outbox, first), is_served(&outbox, later)), ((true, true), (false, true)));
        let batch = outbox.next(1_000).await.unwrap();
        assert_eq!(names(&batch), ["b"]);
        outbox.delivered(&batch, None);
        assert_eq!(is_served(&outbox, later), (true, true));
    }

    #[tokio::test]
    async fn a_mark_on_its_way_holds_up_nobody_but_those_who_wait_for_it() {
        let outbox = Outbox::new(10_000);
        let raised = outbox.put(vec![record("a", 1_000)], Some(raise(300, None, 0)));
        let batch = outbox.next(1_000).await.unwrap();
        let later = outbox.put(vec![record("b", 1_000)], None);
        outbox.delivered(&batch, Some(127));
        assert_eq!(is_served(&outbox, raised), (true, false), "it has not reached its top");
        let batch = outbox.next(1_000).await.unwrap();
        assert_eq!((names(&batch), batch.raise()), (vec!["b".into()], Some(Raise { top: 300, base: Base::Unknown })));
        outbox.delivered(&batch, Some(255));
        assert_eq!(is_served(&outbox, later), (true, false), "who waits for no mark is served");
        let batch = outbox.next(1_000).await.unwrap();
        outbox.delivered(&batch, Some(300));
        assert_eq!(is_served(&outbox, later), (true, true));
    }

    #[test]
    fn sights_from_before_and_after_a_growth_have_no_common_base() {
        assert_eq!(raise(3, Some(1), 0).and(raise(2, None, 0)), raise(3, None, 0));
        assert_eq!(raise(3, Some(1), 0).and(raise(4, Some(3), 1)).base, Base::Unknown);
    }

    #[tokio::test]
    async fn it_never_holds_more_than_its_bound_and_drops_the_oldest() {
        let outbox = Outbox::new(1_000);
        outbox.put(vec![record("under way", 600)], None);
        let under_way = outbox.next(1_000).await.unwrap();
        outbox.put(vec![record("oldest", 300)], None);
        outbox.put(vec![record("newer", 300)], None);
        assert_eq!(outbox.bytes(), 900);
        outbox.put(vec![record("too large", 1_001)], None);
        assert_eq!(outbox.bytes(), 600, "what is under way can't be dropped");
        outbox.returned(under_way);
        outbox.put(vec![record("newest", 400)], None);
        let batch = outbox.next(1_000).await.unwrap();
        assert_eq!(names(&batch), ["under way", "newest"]);
        outbox.delivered(&batch, None);
        assert_eq!(outbox.bytes(), 0);
    }
    #[tokio::test]
    async fn no_number_of_cheap_records_drops_another() {
        let outbox = Outbox::new(10_000);
        let dear = outbox.put(vec![record("dear", 1_000)], None);
        let first = outbox.put(vec![cheap("0", 1_000)], None);
        for number in 1..100 {
            outbox.put(vec![cheap(&number.to_string(), 1_000)], None);
        }
        outbox.put(vec![record("later", 1_000), cheap("100", 1_000)], None);
        assert_eq!(outbox.bytes(), 10_000);

        let batch = outbox.next(2_000).await.unwrap();
        assert_eq!(names(&batch), ["dear", "93"], "in the order in which they came");
        outbox.returned(batch);
        let batch = outbox.next(2_000).await.unwrap();
        assert_eq!(names(&batch), ["dear", "93"], "and in the same when it could not be written");
        outbox.delivered(&batch, None);
        assert_eq!([dear, first].map(|ticket| is_served(&outbox, ticket)), [(true, true); 2], "delivered, or dropped");

        let batch = outbox.next(10_000).await.unwrap();
        assert_eq!(names(&batch), ["94", "95", "96", "97", "98", "99", "later", "100"]);
        outbox.put(vec![record("large", 9_000)], None);
        assert_eq!(outbox.bytes(), 8_000, "what is under way can't be dropped");
        outbox.delivered(&batch, None);
        assert_eq!(outbox.bytes(), 0);
    }
}
