//! The *outbox* is a write-behind queue: all records on their way to the store, in order of arrival, bounded in bytes.
//!
//! While the store is well, a batch leaves as soon as the one before it is acknowledged, and records that arrive
//! meanwhile form the next one; while it is not, records wait here until it is back. Large records have a lane of their
//! own, so that small ones and the mark do not wait behind them; both lanes share one bound. When that is reached,
//! cheap entries are dropped before others, and the oldest first.
//!
//! A record that the store refuses, while it takes others, is set aside so that it holds up nothing. It is retried a
//! few times with exponential backoff, and is then dropped.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout_at},
};

use super::{
    record::{LARGE_BYTES, MarkSnapshot, Record, Retention},
    store::StoreError,
};
use crate::telemetry;

/// The number of a delivery. Those that were handed in before it have lower numbers.
type Ticket = u64;

/// The pause before a refused record is offered again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A record that was refused this often is dropped: 25 s after it was first refused. A cluster has chosen a new primary
/// by then.
const REFUSALS: u32 = 9;

/// The approximate bytes of a mark that waits to be raised.
const RAISE_BYTES: usize = 128;

/// The longest pause before a mark is raised again that was refused: it is never dropped.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// The queue of a courier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Marks, and records up to [`LARGE_BYTES`].
    Small,
    /// Larger records.
    Large,
}

impl Lane {
    fn of(record: &Record) -> Self {
        if record.bytes.len() > LARGE_BYTES { Self::Large } else { Self::Small }
    }
}

/// A mark to be raised, when all that it vouches for is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raise {
    pub(super) top: u32,
    /// The mark that the store has already, if it is known; else it has to be read before the first write.
    pub(super) base: Option<Base>,
}

/// The mark that a lookup saw in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) mark: MarkSnapshot,
    /// The number of raises by this process so far: after another one the base is stale.
    pub(super) raises: u64,
}

impl Raise {
    /// One raise for both.
    fn and(self, other: Self) -> Self {
        let common = |(one, other): (Base, Base)| {
            let are_alike = one.raises == other.raises && one.mark.generation == other.mark.generation;
            let mark = one.mark.mark.min(other.mark.mark);
            are_alike.then_some(Base { mark: MarkSnapshot { mark, ..one.mark }, ..one })
        };
        Self { top: self.top.max(other.top), base: self.base.zip(other.base).and_then(common) }
    }
}

/// Records and a mark that leave together.
#[derive(Debug)]
pub(super) struct Batch {
    lane: Lane,
    parcels: Vec<Parcel>,
    raise: Option<PendingRaise>,
}

/// A record on its way.
#[derive(Debug)]
struct Parcel {
    ticket: Ticket,
    record: Record,
    refusals: u32,
}

#[derive(Clone, Copy, Debug)]
struct PendingRaise {
    ticket: Ticket,
    raise: Raise,
    refusals: u32,
    /// The time of the next try, after a refusal.
    due: Option<Instant>,
}

impl Batch {
    pub(super) fn records(&self) -> Vec<Record> {
        self.parcels.iter().map(|parcel| parcel.record.clone()).collect()
    }

    /// The mark to raise, which vouches for none of the records: those that a mark vouches for are made when it is
    /// raised.
    pub(super) fn raise(&self) -> Option<Raise> {
        self.raise.map(|pending| pending.raise)
    }

    /// Whether it is a record and nothing else, so that an error is the error of this record.
    pub(super) fn is_one_record(&self) -> bool {
        self.parcels.len() == 1 && self.raise.is_none()
    }
}

/// The outcome of a delivery of which the store has taken something.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The records that it refused, by name, with its reasons.
    pub(super) refused: Vec<(String, StoreError)>,
    /// The extent to which the mark was raised.
    pub(super) raised: Raised,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Raised {
    /// To its top; or there was none to raise.
    #[default]
    Whole,
    /// A part of the way.
    InPart,
    /// It vouches for nothing: the store has lost what it held.
    Void,
    /// The store refused something that it is to vouch for.
    Refused,
}

/// The part of a delivery that goes by one lane.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Receipt {
    records: Ticket,
    raises: Ticket,
    pub(super) bytes: usize,
}

/// All records, or all marks, of tickets up to these are acknowledged, set aside or dropped.
#[derive(Clone, Copy, Default)]
struct Served {
    records: Ticket,
    raises: Ticket,
}

/// The write-behind queue.
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    bound: usize,
    small: Signals,
    large: Signals,
}

#[derive(Default)]
struct Signals {
    arrived: Notify,
    served: watch::Sender<Served>,
}

#[derive(Default)]
struct Queue {
    small: Row,
    large: Row,
    raise: Option<PendingRaise>,
    /// The ticket of each record that waits or is under way, so that nothing waits twice; 0 for one that was set aside,
    /// for which nobody waits.
    tickets: HashMap<String, Ticket>,
    bytes: usize,
    last: Ticket,
    is_closed: bool,
    /// Whether it has dropped something since it was empty.
    is_dropping: bool,
    /// The number of records and marks that were acknowledged.
    acknowledged: u64,
}

/// Records in the order in which they came, the cheap ones in a line of their own.
#[derive(Default)]
struct Row {
    dear: VecDeque<Parcel>,
    cheap: VecDeque<Parcel>,
    /// Refused records, each with the time of its next try.
    aside: Vec<(Instant, Parcel)>,
    /// The number of records that were taken alone.
    probes: usize,
    /// Whether the mark was taken alone since the last record was.
    has_probed_mark: bool,
}

impl Row {
    fn line(&mut self, retention: Retention) -> &mut VecDeque<Parcel> {
        match retention {
            Retention::Pinned | Retention::Dear | Retention::Local => &mut self.dear,
            Retention::Cheap => &mut self.cheap,
        }
    }

    /// The one that came first. Of those that came together the cheap ones leave last.
    fn first(&self) -> Option<&Parcel> {
        self.dear.front().into_iter().chain(self.cheap.front()).min_by_key(|parcel| parcel.ticket)
    }

    fn pop_first(&mut self) -> Option<Parcel> {
        let retention = self.first()?.record.retention;
        self.line(retention).pop_front()
    }

    /// One of all that wait, another one each time.
    fn pop_probe(&mut self) -> Option<Parcel> {
        self.probes += 1;
        let at = self.probes % (self.dear.len() + self.cheap.len()).max(1);
        if at < self.dear.len() { self.dear.remove(at) } else { self.cheap.remove(at - self.dear.len()) }
    }

    /// Puts a parcel where its ticket belongs.
    fn put(&mut self, parcel: Parcel) {
        let line = self.line(parcel.record.retention);
        line.insert(line.partition_point(|other| other.ticket <= parcel.ticket), parcel);
    }
}

impl Outbox {
    /// An outbox that holds up to `bound` bytes.
    pub(super) fn new(bound: usize) -> Self {
        Self { queue: Mutex::default(), bound, small: Signals::default(), large: Signals::default() }
    }

    /// Takes records in, and a mark to raise; gives the receipts of the small lane and the large one. When there is no
    /// room, the oldest cheap records are dropped, and then the oldest.
    pub(super) fn put(&self, records: Vec<Record>, raise: Option<Raise>) -> [Receipt; 2] {
        let mut queue = self.queue();
        let (mut small, mut large) = (Receipt::default(), Receipt::default());
        queue.last += 1;
        let ticket = queue.last;
        for record in records {
            let receipt = if Lane::of(&record) == Lane::Small { &mut small } else { &mut large };
            receipt.bytes += record.cost();
            receipt.records = receipt.records.max(queue.put(record, ticket));
        }
        if let Some(raise) = raise {
            // Nobody waits for a mark that is being refused.
            let is_refused = queue.raise.is_some_and(|pending| pending.refusals > 0);
            small.raises = if is_refused { 0 } else { ticket };
            queue.grow_by(RAISE_BYTES);
            queue.add(PendingRaise { ticket, raise, refusals: 0, due: None });
        }
        queue.shrink(self.bound);
        self.small.arrived.notify_one();
        self.large.arrived.notify_one();
        [small, large]
    }

    /// The mark, and the oldest records of a lane up to `bytes` bytes and at least one; with 0, the mark or a record
    /// alone. Waits for some; `None` when the outbox is closed and the lane is empty.
    pub(super) async fn next(&self, lane: Lane, bytes: usize) -> Option<Batch> {
        loop {
            let due = {
                let mut queue = self.queue();
                queue.recall(lane);
                if let Some(batch) = queue.take(lane, bytes) {
                    return Some(batch);
                }
                queue.is_dropping &= queue.bytes > 0;
                if queue.is_closed {
                    return None;
                }
                queue.next_due(lane)
            };
            let arrival = self.signals(lane).arrived.notified();
            match due {
                // Then something is due.
                Some(due) => _ = timeout_at(due, arrival).await,
                None => arrival.await,
            }
        }
    }

    /// Notes what the store has taken of a batch. Nothing of this lane is under way any more.
    pub(super) fn delivered(&self, batch: Batch, outcome: Outcome) {
        let mut queue = self.queue();
        let mut refused: HashMap<String, StoreError> = outcome.refused.into_iter().collect();
        for parcel in batch.parcels {
            if let Some(cause) = refused.remove(&parcel.record.name) {
                queue.set_aside(parcel, &cause);
            } else {
                queue.acknowledged += 1;
                queue.forget(&parcel.record);
            }
        }
        if let Some(pending) = batch.raise {
            queue.raised(pending, outcome.raised);
        }
        let served = queue.served(batch.lane);
        drop(queue);
        self.signals(batch.lane).served.send_replace(served);
    }

    /// The batch could not be written: it waits again, where it was. The store may be another one when it is back, so
    /// the mark that it had is no longer known.
    pub(super) fn returned(&self, batch: Batch) {
        let mut queue = self.queue();
        if let Some(pending) = batch.raise {
            queue.add(PendingRaise { raise: Raise { base: None, ..pending.raise }, ..pending });
        }
        for parcel in batch.parcels {
            queue.row(batch.lane).put(parcel);
        }
    }

    /// Waits until all that a receipt of this lane is for is acknowledged, set aside or dropped.
    pub(super) async fn served(&self, lane: Lane, receipt: Receipt) {
        let is_served = |served: &Served| served.records >= receipt.records && served.raises >= receipt.raises;
        // The sender lives as long as this.
        let _ = self.signals(lane).served.subscribe().wait_for(is_served).await;
    }

    /// Closes the queue: a lane that is empty has no next batch any more.
    pub(super) fn close(&self) {
        self.queue().is_closed = true;
        self.small.arrived.notify_one();
        self.large.arrived.notify_one();
    }

    /// The bytes that wait or are under way.
    pub(super) fn bytes(&self) -> usize {
        self.queue().bytes
    }

    /// The number of records and marks that were acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.queue().acknowledged
    }

    fn signals(&self, lane: Lane) -> &Signals {
        match lane {
            Lane::Small => &self.small,
            Lane::Large => &self.large,
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Whole between any two of its changes.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn row(&mut self, lane: Lane) -> &mut Row {
        match lane {
            Lane::Small => &mut self.small,
            Lane::Large => &mut self.large,
        }
    }

    /// Takes a record in, unless one of its name is here already: values never change. Gives the ticket to wait for.
    fn put(&mut self, record: Record, ticket: Ticket) -> Ticket {
        if let Some(&earlier) = self.tickets.get(&record.name) {
            return earlier;
        }
        self.tickets.insert(record.name.clone(), ticket);
        self.grow_by(record.cost());
        self.row(Lane::of(&record)).put(Parcel { ticket, record, refusals: 0 });
        ticket
    }

    /// Queues a mark, merged with one that waits already.
    fn add(&mut self, new: PendingRaise) {
        let both = self.raise.take().map(|old| {
            self.shrink_by(RAISE_BYTES);
            PendingRaise { ticket: new.ticket.min(old.ticket), raise: new.raise.and(old.raise), ..old }
        });
        self.raise = both.or(Some(new));
    }

    /// Drops records until no more than `bound` bytes are left, or nothing else than what is under way.
    fn shrink(&mut self, bound: usize) {
        while self.bytes > bound
            && let Some(Parcel { record, .. }) = self.least_needed()
        {
            self.forget(&record);
            telemetry::write_dropped(record.cost(), self.is_dropping);
            self.is_dropping = true;
        }
    }

    /// The record to drop when there is no room.
    fn least_needed(&mut self) -> Option<Parcel> {
        let Self { small, large, .. } = self;
        if let Some(cheap) = small.cheap.pop_front() {
            return Some(cheap);
        }
        if let Some((_, refused)) = large.aside.pop().or_else(|| small.aside.pop()) {
            return Some(refused);
        }
        let first = |row: &Row| row.dear.front().map_or(Ticket::MAX, |parcel| parcel.ticket);
        if first(large) < first(small) { large.dear.pop_front() } else { small.dear.pop_front() }
    }

    /// Lets refused records wait with the others again, behind them, when their pause is over or the end is near.
    fn recall(&mut self, lane: Lane) {
        let (now, is_closed) = (Instant::now(), self.is_closed);
        let aside = &mut self.row(lane).aside;
        let (due, later) = aside.drain(..).partition(|(due, _)| is_closed || *due <= now);
        *aside = later;
        let due: Vec<(Instant, Parcel)> = due;
        for (_, parcel) in due {
            self.last += 1;
            let ticket = self.last;
            self.tickets.insert(parcel.record.name.clone(), ticket);
            self.row(lane).put(Parcel { ticket, ..parcel });
        }
    }

    /// The time at which the next refused item of a lane is due.
    fn next_due(&self, lane: Lane) -> Option<Instant> {
        let (row, raise) = match lane {
            Lane::Small => (&self.small, self.raise.and_then(|pending| pending.due)),
            Lane::Large => (&self.large, None),
        };
        row.aside.iter().map(|(due, _)| *due).chain(raise).min()
    }

    fn take(&mut self, lane: Lane, bytes: usize) -> Option<Batch> {
        let (parcels, raise) = if bytes == 0 { self.take_one(lane) } else { self.take_several(lane, bytes) };
        (!parcels.is_empty() || raise.is_some()).then_some(Batch { lane, parcels, raise })
    }

    fn take_several(&mut self, lane: Lane, bytes: usize) -> (Vec<Parcel>, Option<PendingRaise>) {
        let row = self.row(lane);
        let (mut parcels, mut taken) = (Vec::new(), 0);
        while let Some(next) = row.first()
            && (parcels.is_empty() || taken + next.record.cost() <= bytes)
        {
            taken += next.record.cost();
            parcels.extend(row.pop_first());
        }
        (parcels, self.take_raise(lane))
    }

    /// Takes the mark or a record, by turns.
    fn take_one(&mut self, lane: Lane) -> (Vec<Parcel>, Option<PendingRaise>) {
        let marks_turn = !self.row(lane).has_probed_mark;
        let mut raise = if marks_turn { self.take_raise(lane) } else { None };
        let record = if raise.is_none() { self.row(lane).pop_probe() } else { None };
        if record.is_none() {
            raise = raise.or_else(|| self.take_raise(lane));
        }
        self.row(lane).has_probed_mark = raise.is_some();
        (record.into_iter().collect(), raise)
    }

    fn take_raise(&mut self, lane: Lane) -> Option<PendingRaise> {
        let is_due = |pending: &PendingRaise| self.is_closed || pending.due <= Some(Instant::now());
        if lane == Lane::Small && self.raise.as_ref().is_some_and(is_due) { self.raise.take() } else { None }
    }

    /// Sets a record aside that the store has refused while it took others.
    fn set_aside(&mut self, mut parcel: Parcel, cause: &StoreError) {
        parcel.refusals += 1;
        if parcel.refusals >= REFUSALS {
            self.forget(&parcel.record);
            return telemetry::write_refused(&parcel.record.name, parcel.record.cost(), cause);
        }
        self.tickets.insert(parcel.record.name.clone(), 0);
        let due = Instant::now() + FIRST_PAUSE * 2_u32.pow(parcel.refusals - 1);
        self.row(Lane::of(&parcel.record)).aside.push((due, parcel));
    }

    /// Re-queues the rest of the way to a mark, if there is one.
    fn raised(&mut self, pending: PendingRaise, raised: Raised) {
        let again = PendingRaise { raise: Raise { base: None, ..pending.raise }, ..pending };
        match raised {
            Raised::Whole => {
                self.acknowledged += 1;
                self.shrink_by(RAISE_BYTES);
            }
            Raised::InPart => {
                self.acknowledged += 1;
                self.add(PendingRaise { refusals: 0, due: None, ..again });
            }
            Raised::Void => self.add(PendingRaise { refusals: 0, due: None, ..again }),
            Raised::Refused => {
                let pause = LONGEST_PAUSE.min(FIRST_PAUSE * 2_u32.pow(again.refusals.min(8)));
                // Nobody waits for it any longer.
                self.last += 1;
                let (ticket, due) = (self.last, Some(Instant::now() + pause));
                self.add(PendingRaise { ticket, refusals: again.refusals + 1, due, ..again });
            }
        }
    }

    /// The tickets of a lane up to which everything is acknowledged, set aside or dropped, when nothing is under way.
    fn served(&self, lane: Lane) -> Served {
        let before = |first: Option<Ticket>| first.map_or(self.last, |first| first - 1);
        let (row, raise) = match lane {
            Lane::Small => (&self.small, self.raise),
            Lane::Large => (&self.large, None),
        };
        Served {
            records: before(row.first().map(|parcel| parcel.ticket)),
            raises: before(raise.map(|pending| pending.ticket)),
        }
    }

    /// Forgets a record that waits no longer.
    fn forget(&mut self, record: &Record) {
        self.tickets.remove(&record.name);
        self.shrink_by(record.cost());
    }

    fn grow_by(&mut self, bytes: usize) {
        self.bytes += bytes;
        telemetry::queue_grew(bytes);
    }

    fn shrink_by(&mut self, bytes: usize) {
        self.bytes -= bytes;
        telemetry::queue_shrank(bytes);
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

    fn base(mark: Option<u32>, raises: u64) -> Base {
        Base { mark: MarkSnapshot { generation: Some(1), mark }, raises }
    }

    fn raise(top: u32, mark: Option<u32>, raises: u64) -> Raise {
        Raise { top, base: Some(base(mark, raises)) }
    }

    fn unknown(top: u32) -> Raise {
        Raise { top, base: None }
    }

    fn names(batch: &Batch) -> Vec<String> {
        batch.records().into_iter().map(|record| record.name).collect()
    }

    fn raised(raised: Raised) -> Outcome {
        Outcome { refused: Vec::new(), raised }
    }

    fn refusal(name: &str) -> Outcome {
        Outcome { refused: vec![(name.into(), StoreError::Late(FIRST_PAUSE))], raised: Raised::Whole }
    }

    /// Whether the records of a receipt are acknowledged, and whether its mark is.
    fn is_served(outbox: &Outbox, [receipt, _]: [Receipt; 2]) -> (bool, bool) {
        let served = *outbox.small.served.borrow();
        (served.records >= receipt.records, served.raises >= receipt.raises)
    }

    async fn next(outbox: &Outbox, bytes: usize) -> Batch {
        outbox.next(Lane::Small, bytes).await.unwrap()
    }

    #[tokio::test]
    async fn what_came_meanwhile_leaves_together() {
        let outbox = Outbox::new(10_000);
        let first = outbox.put(vec![record("a", 1_000), record("b", 1_000)], Some(raise(300, None, 0)));
        let batch = next(&outbox, 1_500).await;
        assert_eq!((names(&batch), batch.raise()), (vec!["a".into()], Some(raise(300, None, 0))));
        let second = outbox.put(vec![record("c", 1_000)], Some(raise(200, Some(7), 0)));
        outbox.delivered(batch, Outcome::default());
        assert_eq!(is_served(&outbox, first), (false, true), "b is still to be delivered");
        assert_eq!(is_served(&outbox, second), (false, false), "and the later mark to be raised");

        let batch = next(&outbox, 2_000).await;
        assert_eq!((names(&batch), batch.raise()), (vec!["b".into(), "c".into()], Some(raise(200, Some(7), 0))));
        outbox.delivered(batch, Outcome::default());
        assert_eq!(is_served(&outbox, second), (true, true));
        outbox.close();
        assert!(outbox.next(Lane::Small, 2_000).await.is_none());
    }

    #[tokio::test]
    async fn who_asks_for_what_is_under_way_is_served_with_it() {
        let outbox = Outbox::new(10_000);
        outbox.put(vec![record("a", 1_000)], None);
        let batch = next(&outbox, 1_000).await;
        let second = outbox.put(vec![record("a", 1_000)], None);
        outbox.put(vec![record("b", 1_000)], None);
        outbox.delivered(batch, Outcome::default());
        assert_eq!(is_served(&outbox, second), (true, true));
    }

    #[tokio::test]
    async fn what_could_not_be_written_comes_first_again_and_its_base_is_read_anew() {
        let outbox = Outbox::new(10_000);
        let first = outbox.put(vec![record("a", 1_000)], Some(raise(300, Some(5), 0)));
        let batch = next(&outbox, 1_000).await;
        let later = outbox.put(vec![record("b", 1_000), record("a", 1_000)], Some(raise(400, Some(5), 0)));
        outbox.returned(batch);

        let batch = next(&outbox, 1_000).await;
        assert_eq!(names(&batch), ["a"], "and nothing twice");
        assert_eq!(batch.raise(), Some(unknown(400)));
        outbox.delivered(batch, Outcome::default());
        assert_eq!((is_served(&outbox, first), is_served(&outbox, later)), ((true, true), (false, true)));
        let batch = next(&outbox, 1_000).await;
        assert_eq!(names(&batch), ["b"]);
        outbox.delivered(batch, Outcome::default());
        assert_eq!(is_served(&outbox, later), (true, true));
    }

    #[tokio::test]
    async fn a_mark_on_its_way_holds_up_nobody_but_those_who_wait_for_it() {
        let outbox = Outbox::new(10_000);
        let first = outbox.put(vec![record("a", 1_000)], Some(raise(300, None, 0)));
        let batch = next(&outbox, 1_000).await;
        let later = outbox.put(vec![record("b", 1_000)], None);
        outbox.delivered(batch, raised(Raised::InPart));
        assert_eq!(is_served(&outbox, first), (true, false), "it has not reached its top");
        let batch = next(&outbox, 1_000).await;
        assert_eq!((names(&batch), batch.raise()), (vec!["b".into()], Some(unknown(300))));
        outbox.delivered(batch, raised(Raised::Void));
        assert_eq!(is_served(&outbox, later), (true, true), "a request that waits for no mark is served");
        assert_eq!(is_served(&outbox, first), (true, false), "the store had lost everything");
        let batch = next(&outbox, 1_000).await;
        outbox.delivered(batch, Outcome::default());
        assert_eq!(is_served(&outbox, first), (true, true));
    }

    #[tokio::test]
    async fn a_mark_counts_until_it_is_raised() {
        let outbox = Outbox::new(10_000);
        outbox.put(Vec::new(), Some(raise(300, None, 0)));
        let batch = next(&outbox, 1_000).await;
        outbox.put(Vec::new(), Some(raise(400, None, 0)));
        assert_eq!(outbox.bytes(), 2 * RAISE_BYTES);
        outbox.delivered(batch, raised(Raised::Void));
        assert_eq!(outbox.bytes(), RAISE_BYTES, "both are one");
        let batch = next(&outbox, 1_000).await;
        outbox.returned(batch);
        let batch = next(&outbox, 1_000).await;
        outbox.delivered(batch, Outcome::default());
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn sights_from_before_and_after_a_raise_have_no_common_base() {
        assert_eq!(raise(3, Some(1), 0).and(raise(2, None, 0)), raise(3, None, 0));
        assert_eq!(raise(3, Some(1), 0).and(raise(4, Some(3), 1)), unknown(4));
        let mut emptied = raise(2, None, 0);
        emptied.base.as_mut().unwrap().mark.generation = Some(2);
        assert_eq!(raise(3, Some(1), 0).and(emptied), unknown(3), "nor do those of two generations");
    }

    #[tokio::test]
    async fn both_lanes_together_never_hold_more_than_the_bound_and_the_oldest_is_dropped() {
        let outbox = Outbox::new(500_000);
        outbox.put(vec![record("under way", 60_000)], None);
        let under_way = next(&outbox, 1_000).await;
        outbox.put(vec![record("oldest", 300_000)], None);
        outbox.put(vec![record("newer", 60_000)], None);
        assert_eq!(outbox.bytes(), 420_000);
        outbox.put(vec![record("large", 100_000)], None);
        assert_eq!(outbox.bytes(), 220_000);
        outbox.put(vec![record("too large", 500_001)], None);
        assert_eq!(outbox.bytes(), 60_000, "a record under way can't be dropped");
        outbox.returned(under_way);
        outbox.put(vec![record("newest", 60_000)], None);
        let batch = next(&outbox, 200_000).await;
        assert_eq!(names(&batch), ["under way", "newest"]);
        outbox.delivered(batch, Outcome::default());
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

        let batch = next(&outbox, 2_000).await;
        assert_eq!(names(&batch), ["dear", "93"], "in the order in which they came");
        outbox.returned(batch);
        let batch = next(&outbox, 2_000).await;
        assert_eq!(names(&batch), ["dear", "93"], "and in the same when it could not be written");
        outbox.delivered(batch, Outcome::default());
        assert_eq!(
            [dear, first].map(|receipt| is_served(&outbox, receipt)),
            [(true, true); 2],
            "delivered, or dropped"
        );

        let batch = next(&outbox, 10_000).await;
        assert_eq!(names(&batch), ["94", "95", "96", "97", "98", "99", "later", "100"]);
        outbox.put(vec![record("large", 9_000)], None);
        assert_eq!(outbox.bytes(), 8_000, "what is under way can't be dropped");
        outbox.delivered(batch, Outcome::default());
        assert_eq!(outbox.bytes(), 0);
    }

    #[tokio::test]
    async fn one_thing_at_a_time_is_another_one_each_time() {
        let outbox = Outbox::new(10_000);
        outbox.put(vec![record("a", 1_000), cheap("b", 1_000)], None);
        outbox.put(vec![record("c", 1_000)], Some(raise(300, None, 0)));
        let mut tried = Vec::new();
        for _ in 0..8 {
            let batch = next(&outbox, 0).await;
            tried.push(batch.raise().map_or_else(|| names(&batch).concat(), |_| "mark".into()));
            outbox.returned(batch);
        }
        assert_eq!(tried, ["mark", "c", "mark", "b", "mark", "a", "mark", "c"]);
        assert_eq!(names(&next(&outbox, 10_000).await), ["a", "b", "c"], "the order stays");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_record_holds_up_nobody_and_is_dropped_in_the_end() {
        let outbox = Outbox::new(10_000);
        let first = outbox.put(vec![record("refused", 1_000)], None);
        let began = Instant::now();
        for _ in 1..REFUSALS {
            let batch = next(&outbox, 1_000).await;
            assert_eq!(names(&batch), ["refused"]);
            outbox.delivered(batch, refusal("refused"));
            let again = outbox.put(vec![record("refused", 1_000)], None);
            assert_eq!([first, again].map(|receipt| is_served(&outbox, receipt)), [(true, true); 2], "nobody waits");
            outbox.put(vec![record("other", 1_000)], None);
            let batch = next(&outbox, 1_000).await;
            assert_eq!(names(&batch), ["other"]);
            outbox.delivered(batch, Outcome::default());
        }
        let batch = next(&outbox, 1_000).await;
        outbox.delivered(batch, refusal("refused"));
        assert_eq!(outbox.bytes(), 0, "it is dropped");
        let waited = began.elapsed().as_secs();
        assert!((20..30).contains(&waited), "{waited} s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_mark_that_is_refused_is_tried_again_later_and_nobody_waits_for_it() {
        let outbox = Outbox::new(10_000);
        let first = outbox.put(Vec::new(), Some(raise(300, None, 0)));
        for pause in [100, 200, 200, 200] {
            let batch = next(&outbox, 1_000).await;
            assert_eq!(batch.raise().unwrap().top, 300);
            let began = Instant::now();
            outbox.delivered(batch, raised(Raised::Refused));
            assert_eq!(is_served(&outbox, first), (true, true));
            let another = outbox.put(Vec::new(), Some(raise(200, None, 0)));
            assert_eq!(is_served(&outbox, another), (true, true));
            let batch = next(&outbox, 1_000).await;
            assert_eq!(began.elapsed(), Duration::from_millis(pause));
            outbox.returned(batch);
        }
    }
}
