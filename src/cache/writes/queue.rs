//! The write-behind queue: records that wait for the store, in order of arrival, bounded in bytes.
//!
//! While the store is well, a batch leaves as soon as the one before it is acknowledged, and records that arrive
//! meanwhile form the next one; while it is not, records wait here until it is back. Large records have batches of their
//! own, so that small ones and the mark do not wait behind them; both share one bound. When that is reached, cheap
//! records are dropped before others, and the oldest first.
//!
//! A record that the store refuses, while it takes others, is set aside so that it holds up nothing. It is retried a
//! few times with exponential backoff, and is then dropped.

use std::{
    collections::{BTreeMap, HashMap, btree_map::OccupiedEntry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout_at},
};

use crate::{
    cache::{
        record::{Height, LARGE_BYTES, MarkSnapshot, Record, Retention},
        store::StoreError,
    },
    telemetry,
};

/// The backoff after the first refusal of a record; each further one is twice as long.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// A record that was refused this often is dropped: 25 s after it was first refused. A cluster has chosen a new primary
/// by then.
const REFUSALS: u32 = 9;

/// The shortest time after which all refused records are tried again, since one of them was taken.
const RECALL_PACE: Duration = Duration::from_secs(2);

/// The longest backoff of a mark that was refused, which is never dropped.
const LONGEST_MARK_BACKOFF: Duration = Duration::from_millis(200);

/// The approximate bytes of a mark that waits to be raised.
const RAISE_BYTES: usize = 128;

/// The size class of records, each of which has a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// Marks, and records up to [`LARGE_BYTES`].
    Small,
    /// Larger records.
    Large,
}

impl Size {
    fn of(record: &Record) -> Self {
        if record.bytes.len() > LARGE_BYTES { Self::Large } else { Self::Small }
    }
}

/// The mark that a lookup saw in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cache) struct Seen {
    pub(in crate::cache) mark: MarkSnapshot,
    /// The number of raises by this process so far: after another one the lookup is out of date.
    pub(in crate::cache) raises: u64,
}

/// A mark to be raised, when all that it vouches for is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cache) struct Raise {
    pub(in crate::cache) to: Height,
    /// The mark that the store has already, if it is known; else it has to be read before the first write.
    pub(in crate::cache) seen: Option<Seen>,
}

impl Raise {
    /// One raise in place of two of a ladder.
    fn merge(self, other: Self) -> Self {
        let common = |(one, other): (Seen, Seen)| {
            let are_alike = one.raises == other.raises && one.mark.generation == other.mark.generation;
            let mark = one.mark.mark.min(other.mark.mark);
            are_alike.then_some(Seen { mark: MarkSnapshot { mark, ..one.mark }, ..one })
        };
        let to = Height { mark: self.to.mark.max(other.to.mark), ..self.to };
        Self { to, seen: self.seen.zip(other.seen).and_then(common) }
    }
}

/// Held by an item for a request that waits for it, and dropped with the acknowledgement.
type Waiter = watch::Receiver<()>;

/// The records of one size class that a request has queued, and its mark.
#[derive(Debug, Default)]
pub(in crate::cache) struct Pending {
    waiters: watch::Sender<()>,
    pub(super) bytes: usize,
}

impl Pending {
    /// Waits until all of it is acknowledged, set aside or dropped.
    pub(super) async fn done(&self) {
        self.waiters.closed().await;
    }
}

/// Adds a waiter to others, and forgets those whose request waits no longer.
fn add_waiter(waiters: &mut Vec<Waiter>, waiter: Waiter) {
    waiters.retain(|waiter| waiter.has_changed().is_ok());
    waiters.push(waiter);
}

/// A record in the queue.
#[derive(Debug)]
struct Item {
    /// Items that arrived later have greater numbers.
    number: u64,
    record: Arc<Record>,
    refusals: u32,
}

/// A mark in the queue.
#[derive(Debug)]
struct PendingRaise {
    raise: Raise,
    waiters: Vec<Waiter>,
    refusals: u32,
    /// The time of the next try, after a refusal.
    due: Option<Instant>,
}

/// Records and a mark that leave together.
#[derive(Debug)]
pub(super) struct Batch {
    size: Size,
    items: Vec<Item>,
    raise: Option<PendingRaise>,
}

impl Batch {
    pub(super) fn records(&self) -> Vec<Arc<Record>> {
        self.items.iter().map(|item| Arc::clone(&item.record)).collect()
    }

    /// The mark to raise, which vouches for none of the records: those that a mark vouches for are made when it is
    /// raised.
    pub(super) fn raise(&self) -> Option<Raise> {
        self.raise.as_ref().map(|pending| pending.raise)
    }

    /// Whether it is a mark alone.
    pub(super) fn is_mark(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether it is one record or a mark, so that an error is the error of that.
    pub(super) fn is_alone(&self) -> bool {
        self.items.len() + self.raise.iter().len() == 1
    }

    /// Whether the store has refused all of it before.
    pub(super) fn was_refused(&self) -> bool {
        self.items.iter().all(|item| item.refusals > 0) && self.raise.iter().all(|raise| raise.refusals > 0)
    }
}

/// The outcome of a batch of which the store has taken something.
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
    /// What it is to vouch for can't be made any more.
    Lost,
}

/// The write-behind queue.
pub(in crate::cache) struct Queue {
    state: Mutex<State>,
    bound: usize,
    /// Woken by an arrival, for each size class.
    arrived: [Notify; 2],
}

#[derive(Default)]
struct State {
    /// One for each size class.
    rows: [Row; 2],
    /// At most one for each ladder, in order of arrival.
    raises: Vec<PendingRaise>,
    /// The waiters for each record that is queued or under way, so that no record is queued twice; `None` for one that
    /// was set aside, for which nobody waits.
    waiters: HashMap<String, Option<Vec<Waiter>>>,
    bytes: usize,
    last: u64,
    is_closed: bool,
    /// Whether it has dropped something since it was empty.
    is_dropping: bool,
    /// The number of records and marks that were acknowledged.
    acknowledged: u64,
}

/// The records of a size class by their numbers, the cheap ones apart.
#[derive(Default)]
struct Row {
    dear: BTreeMap<u64, Item>,
    cheap: BTreeMap<u64, Item>,
    /// Refused records, each with the time of its next try.
    aside: Vec<(Instant, Item)>,
    /// The time at which all refused records were last recalled.
    recalled: Option<Instant>,
    /// The number of the record that was taken alone last.
    tried: u64,
    /// Whether the next one that is taken alone is the mark.
    is_turn_of_mark: bool,
}

impl Row {
    fn put(&mut self, item: Item) {
        let is_cheap = item.record.retention == Retention::Cheap;
        let row = if is_cheap { &mut self.cheap } else { &mut self.dear };
        row.insert(item.number, item);
    }

    fn first(&mut self) -> Option<OccupiedEntry<'_, u64, Item>> {
        let firsts = [&mut self.dear, &mut self.cheap].into_iter().filter_map(BTreeMap::first_entry);
        firsts.min_by_key(|first| *first.key())
    }

    /// The record after the one that was taken alone last; after the last one, the oldest.
    fn take_another(&mut self) -> Option<Item> {
        let rows = [&self.dear, &self.cheap];
        let after = |number| rows.iter().filter_map(|row| row.range(number..).next()).map(|(number, _)| *number).min();
        self.tried = after(self.tried + 1).or_else(|| after(0))?;
        self.dear.remove(&self.tried).or_else(|| self.cheap.remove(&self.tried))
    }

    /// The oldest records, up to `bytes` bytes and at least one.
    fn take(&mut self, bytes: usize) -> Vec<Item> {
        let (mut items, mut taken) = (Vec::new(), 0);
        while let Some(next) = self.first()
            && (items.is_empty() || taken + next.get().record.cost() <= bytes)
        {
            taken += next.get().record.cost();
            items.push(next.remove());
        }
        items
    }
}

impl Queue {
    /// A queue that holds up to `bound` bytes.
    pub(super) fn new(bound: usize) -> Self {
        Self { state: Mutex::default(), bound, arrived: Default::default() }
    }

    /// Takes records in, and marks to raise; gives what to wait for, by size class. When there is no room, the oldest
    /// cheap records are dropped, and then the oldest.
    pub(in crate::cache) fn put(&self, records: Vec<Record>, raises: Vec<Raise>) -> [Pending; 2] {
        let (mut state, mut all_pending) = (self.state(), <[Pending; 2]>::default());
        for record in records {
            let pending = &mut all_pending[Size::of(&record) as usize];
            pending.bytes += record.cost();
            state.put(record, pending.waiters.subscribe());
        }
        for raise in raises {
            let waiters = vec![all_pending[Size::Small as usize].waiters.subscribe()];
            state.grow_by(RAISE_BYTES);
            state.add(PendingRaise { raise, waiters, refusals: 0, due: None });
        }
        state.shrink(self.bound);
        drop(state);
        self.arrived.iter().for_each(Notify::notify_one);
        all_pending
    }

    /// The oldest mark, and the oldest records of a size class up to `bytes` bytes and at least one; with 0, the mark or a
    /// record alone. Waits for some; `None` when the queue is closed and has none.
    pub(super) async fn next(&self, size: Size, bytes: usize) -> Option<Batch> {
        loop {
            let due = {
                let mut state = self.state();
                state.recall(size);
                if let Some(batch) = state.take(size, bytes) {
                    return Some(batch);
                }
                state.is_dropping &= state.bytes > 0;
                let due = state.next_due(size);
                if state.is_closed && due.is_none() {
                    return None;
                }
                due
            };
            let arrival = self.arrived[size as usize].notified();
            match due {
                // Then something is due.
                Some(due) => _ = timeout_at(due, arrival).await,
                None => arrival.await,
            }
        }
    }

    /// Notes what the store has taken of a batch.
    pub(super) fn settle(&self, batch: Batch, outcome: Outcome) {
        let mut state = self.state();
        let refused: HashMap<String, StoreError> = outcome.refused.into_iter().collect();
        for item in batch.items {
            if let Some(cause) = refused.get(&item.record.name) {
                state.set_aside(item, cause);
            } else {
                state.acknowledged += 1;
                state.forget(&item.record);
                if item.refusals > 0 {
                    state.recall_all(batch.size);
                }
            }
        }
        if let Some(pending) = batch.raise {
            state.settle_raise(pending, outcome.raised);
        }
    }

    /// Notes that the store has refused a batch, while it takes others.
    pub(super) fn refuse(&self, batch: Batch, cause: &StoreError) {
        let mut state = self.state();
        batch.items.into_iter().for_each(|item| state.set_aside(item, cause));
        if let Some(pending) = batch.raise {
            state.settle_raise(pending, Raised::Refused);
        }
    }

    /// Puts a batch that could not be written back where it was. The store may be another one when it is back, so the mark
    /// that it had is no longer known.
    pub(super) fn put_back(&self, batch: Batch) {
        let mut state = self.state();
        if let Some(mut pending) = batch.raise {
            pending.raise.seen = None;
            state.add(pending);
        }
        batch.items.into_iter().for_each(|item| state.row(batch.size).put(item));
    }

    /// Closes the queue: when it is empty, there is no next batch any more. What was refused is tried once more at once.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.rows.iter_mut().flat_map(|row| &mut row.aside).for_each(|(due, _)| *due = Instant::now());
        state.raises.iter_mut().for_each(|pending| pending.due = None);
        drop(state);
        self.arrived.iter().for_each(Notify::notify_one);
    }

    /// The bytes that are queued or under way.
    pub(super) fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// The number of records and marks that were acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.state().acknowledged
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whole between any two of its changes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn row(&mut self, size: Size) -> &mut Row {
        &mut self.rows[size as usize]
    }

    fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Takes a record in, unless one of its name is here already: values never change.
    fn put(&mut self, record: Record, waiter: Waiter) {
        if let Some(waiters) = self.waiters.get_mut(&record.name) {
            if let Some(waiters) = waiters {
                add_waiter(waiters, waiter);
            }
            return;
        }
        self.waiters.insert(record.name.clone(), Some(vec![waiter]));
        self.grow_by(record.cost());
        let item = Item { number: self.next_number(), record: Arc::new(record), refusals: 0 };
        self.row(Size::of(&item.record)).put(item);
    }

    /// Queues a mark, merged with one of its ladder that is queued already. Nobody waits for one that was refused.
    fn add(&mut self, mut new: PendingRaise) {
        let same = self.raises.iter().position(|old| old.raise.to.ladder == new.raise.to.ladder);
        if let Some(mut old) = same.map(|place| self.raises.remove(place)) {
            self.shrink_by(RAISE_BYTES);
            if old.refusals == 0 {
                new.waiters.drain(..).for_each(|waiter| add_waiter(&mut old.waiters, waiter));
            }
            new = PendingRaise { raise: new.raise.merge(old.raise), ..old };
        }
        self.raises.push(new);
    }

    /// Drops records until no more than `bound` bytes are left, or nothing else than what is under way.
    fn shrink(&mut self, bound: usize) {
        while self.bytes > bound
            && let Some(Item { record, .. }) = self.least_needed()
        {
            self.forget(&record);
            telemetry::write_dropped(record.cost(), self.is_dropping);
            self.is_dropping = true;
        }
    }

    /// The record to drop when there is no room.
    fn least_needed(&mut self) -> Option<Item> {
        let [small, large] = &mut self.rows;
        if let Some((_, cheap)) = small.cheap.pop_first() {
            return Some(cheap);
        }
        if let Some((_, refused)) = large.aside.pop().or_else(|| small.aside.pop()) {
            return Some(refused);
        }
        let first = |row: &Row| row.dear.keys().next().copied().unwrap_or(u64::MAX);
        let row = if first(large) < first(small) { large } else { small };
        row.dear.pop_first().map(|(_, item)| item)
    }

    /// Queues refused records again, behind the others, when their backoff is over.
    fn recall(&mut self, size: Size) {
        let now = Instant::now();
        let due: Vec<_> = self.row(size).aside.extract_if(.., |(due, _)| *due <= now).collect();
        for (_, item) in due {
            let number = self.next_number();
            self.waiters.insert(item.record.name.clone(), Some(Vec::new()));
            self.row(size).put(Item { number, ..item });
        }
    }

    /// Has all refused records tried soon, since one of them was taken: the server of a cluster that was away may be back. Not
    /// often, since each try that is in vain counts.
    fn recall_all(&mut self, size: Size) {
        let (now, row) = (Instant::now(), self.row(size));
        if row.recalled.is_none_or(|last| now - last >= RECALL_PACE) {
            row.recalled = Some(now);
            row.aside.iter_mut().for_each(|(due, _)| *due = now);
        }
    }

    /// The time at which the next refused item of a size class is due.
    fn next_due(&mut self, size: Size) -> Option<Instant> {
        let raises = self.raises.iter().filter(|_| size == Size::Small).filter_map(|pending| pending.due);
        self.rows[size as usize].aside.iter().map(|(due, _)| *due).chain(raises).min()
    }

    fn take(&mut self, size: Size, bytes: usize) -> Option<Batch> {
        let (items, raise) = match bytes {
            0 => self.take_one(size),
            bytes => (self.row(size).take(bytes), self.take_raise(size)),
        };
        (!items.is_empty() || raise.is_some()).then_some(Batch { size, items, raise })
    }

    /// Takes the mark or a record, by turns.
    fn take_one(&mut self, size: Size) -> (Vec<Item>, Option<PendingRaise>) {
        let row = self.row(size);
        let raise = if row.is_turn_of_mark || row.first().is_none() { self.take_raise(size) } else { None };
        self.row(size).is_turn_of_mark = raise.is_none();
        (if raise.is_none() { self.row(size).take_another().into_iter().collect() } else { Vec::new() }, raise)
    }

    fn take_raise(&mut self, size: Size) -> Option<PendingRaise> {
        let is_due = |pending: &mut PendingRaise| size == Size::Small && pending.due <= Some(Instant::now());
        self.raises.extract_if(.., is_due).next()
    }

    /// Sets a record aside that the store has refused while it took others.
    fn set_aside(&mut self, mut item: Item, cause: &StoreError) {
        item.refusals += 1;
        if item.refusals >= REFUSALS {
            self.forget(&item.record);
            return telemetry::write_refused(&item.record.name, item.record.cost(), cause);
        }
        self.waiters.insert(item.record.name.clone(), None);
        let due = Instant::now() + FIRST_BACKOFF * 2_u32.pow(item.refusals - 1);
        self.row(Size::of(&item.record)).aside.push((due, item));
    }

    /// Queues the rest of the way to a mark again, if there is one.
    fn settle_raise(&mut self, mut pending: PendingRaise, raised: Raised) {
        self.acknowledged += u64::from(matches!(raised, Raised::Whole | Raised::InPart));
        pending.raise.seen = None;
        match raised {
            Raised::Whole | Raised::Lost => self.shrink_by(RAISE_BYTES),
            Raised::InPart | Raised::Void => self.add(PendingRaise { refusals: 0, due: None, ..pending }),
            Raised::Refused => {
                let backoff = LONGEST_MARK_BACKOFF.min(FIRST_BACKOFF * 2_u32.pow(pending.refusals.min(8)));
                let due = Some(Instant::now() + backoff);
                self.add(PendingRaise { waiters: Vec::new(), refusals: pending.refusals + 1, due, ..pending });
            }
        }
    }

    /// Forgets a record that is queued no longer, and with it those who wait for it.
    fn forget(&mut self, record: &Record) {
        self.waiters.remove(&record.name);
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
        let mut record = Record { name: name.into(), bytes: Vec::new(), retention: Retention::Dear };
        record.bytes = vec![0; cost - record.cost()];
        record
    }

    fn cheap(name: &str, cost: usize) -> Record {
        Record { retention: Retention::Cheap, ..record(name, cost) }
    }

    fn seen(mark: Option<u32>, raises: u64) -> Seen {
        Seen { mark: MarkSnapshot { generation: Some(1), mark, is_taken: false }, raises }
    }

    fn raise(top: u32, mark: Option<u32>, raises: u64) -> Raise {
        Raise { to: Height { ladder: 0, mark: top }, seen: Some(seen(mark, raises)) }
    }

    fn unknown(top: u32) -> Raise {
        Raise { to: Height { ladder: 0, mark: top }, seen: None }
    }

    fn names(batch: &Batch) -> Vec<String> {
        batch.records().iter().map(|record| record.name.clone()).collect()
    }

    fn raised(raised: Raised) -> Outcome {
        Outcome { refused: Vec::new(), raised }
    }

    fn refusal(name: &str) -> Outcome {
        Outcome { refused: vec![(name.into(), StoreError::Late(FIRST_BACKOFF))], raised: Raised::Whole }
    }

    /// Whether nothing of a small size class waits any more.
    fn is_done([pending, _]: &[Pending; 2]) -> bool {
        pending.waiters.is_closed()
    }

    async fn next(queue: &Queue, bytes: usize) -> Batch {
        queue.next(Size::Small, bytes).await.unwrap()
    }

    #[tokio::test]
    async fn those_who_wait_no_longer_are_forgotten() {
        let queue = Queue::new(10_000);
        for _ in 0..100 {
            queue.put(vec![record("a", 1_000)], vec![raise(300, None, 0)]);
        }
        let state = queue.state();
        assert_eq!(state.waiters["a"].as_ref().map(Vec::len), Some(1));
        assert_eq!(state.raises.iter().map(|pending| pending.waiters.len()).collect::<Vec<_>>(), [1]);
    }

    #[tokio::test]
    async fn what_came_meanwhile_leaves_together() {
        let queue = Queue::new(10_000);
        let first = queue.put(vec![record("a", 1_000), record("b", 1_000)], vec![raise(300, None, 0)]);
        let batch = next(&queue, 1_500).await;
        assert_eq!((names(&batch), batch.raise()), (vec!["a".into()], Some(raise(300, None, 0))));
        let second = queue.put(vec![record("c", 1_000)], vec![raise(200, Some(7), 0)]);
        queue.settle(batch, Outcome::default());
        assert!(!is_done(&first), "b is still to be written");
        assert!(!is_done(&second), "and the later mark to be raised");

        let batch = next(&queue, 2_000).await;
        assert_eq!((names(&batch), batch.raise()), (vec!["b".into(), "c".into()], Some(raise(200, Some(7), 0))));
        queue.settle(batch, Outcome::default());
        assert!(is_done(&first) && is_done(&second));
        queue.close();
        assert!(queue.next(Size::Small, 2_000).await.is_none());
    }

    #[tokio::test]
    async fn a_record_that_is_under_way_is_not_queued_again() {
        let queue = Queue::new(10_000);
        queue.put(vec![record("a", 1_000)], Vec::new());
        let batch = next(&queue, 1_000).await;
        let second = queue.put(vec![record("a", 1_000)], Vec::new());
        queue.put(vec![record("b", 1_000)], Vec::new());
        queue.settle(batch, Outcome::default());
        assert!(is_done(&second));
    }

    #[tokio::test]
    async fn what_could_not_be_written_comes_first_again_and_the_mark_is_read_anew() {
        let queue = Queue::new(10_000);
        let first = queue.put(vec![record("a", 1_000)], vec![raise(300, Some(5), 0)]);
        let batch = next(&queue, 1_000).await;
        let later = queue.put(vec![record("b", 1_000), record("a", 1_000)], vec![raise(400, Some(5), 0)]);
        queue.put_back(batch);

        let batch = next(&queue, 1_000).await;
        assert_eq!(names(&batch), ["a"], "and nothing twice");
        assert_eq!(batch.raise(), Some(unknown(400)));
        queue.settle(batch, Outcome::default());
        assert!(is_done(&first) && !is_done(&later));
        let batch = next(&queue, 1_000).await;
        assert_eq!(names(&batch), ["b"]);
        queue.settle(batch, Outcome::default());
        assert!(is_done(&later));
    }

    #[tokio::test]
    async fn a_mark_under_way_holds_up_nobody_but_those_who_wait_for_it() {
        let queue = Queue::new(10_000);
        let first = queue.put(vec![record("a", 1_000)], vec![raise(300, None, 0)]);
        let batch = next(&queue, 1_000).await;
        let later = queue.put(vec![record("b", 1_000)], Vec::new());
        queue.settle(batch, raised(Raised::InPart));
        assert!(!is_done(&first), "it has not reached its top");
        let batch = next(&queue, 1_000).await;
        assert_eq!((names(&batch), batch.raise()), (vec!["b".into()], Some(unknown(300))));
        queue.settle(batch, raised(Raised::Void));
        assert!(is_done(&later), "a request that waits for no mark is done");
        assert!(!is_done(&first), "the store had lost everything");
        let batch = next(&queue, 1_000).await;
        queue.settle(batch, Outcome::default());
        assert!(is_done(&first));
    }

    #[tokio::test]
    async fn a_mark_counts_until_it_is_raised() {
        let queue = Queue::new(10_000);
        queue.put(Vec::new(), vec![raise(300, None, 0)]);
        let batch = next(&queue, 1_000).await;
        queue.put(Vec::new(), vec![raise(400, None, 0)]);
        assert_eq!(queue.bytes(), 2 * RAISE_BYTES);
        queue.settle(batch, raised(Raised::Void));
        assert_eq!(queue.bytes(), RAISE_BYTES, "both are one");
        let batch = next(&queue, 1_000).await;
        queue.put_back(batch);
        let batch = next(&queue, 1_000).await;
        queue.settle(batch, Outcome::default());
        assert_eq!((queue.bytes(), queue.acknowledged()), (0, 1));
        queue.put(Vec::new(), vec![raise(500, None, 0)]);
        let batch = next(&queue, 1_000).await;
        queue.settle(batch, raised(Raised::Lost));
        assert_eq!((queue.bytes(), queue.acknowledged()), (0, 1), "what is lost is not in the store");
    }

    #[test]
    fn what_was_seen_before_and_after_a_raise_has_nothing_in_common() {
        assert_eq!(raise(3, Some(1), 0).merge(raise(2, None, 0)), raise(3, None, 0));
        assert_eq!(raise(3, Some(1), 0).merge(raise(4, Some(3), 1)), unknown(4));
        let mut emptied = raise(2, None, 0);
        emptied.seen.as_mut().unwrap().mark.generation = Some(2);
        assert_eq!(raise(3, Some(1), 0).merge(emptied), unknown(3), "nor do those of two generations");
    }

    #[tokio::test]
    async fn both_size_classes_together_never_hold_more_than_the_bound_and_the_oldest_is_dropped() {
        let queue = Queue::new(500_000);
        queue.put(vec![record("under way", 60_000)], Vec::new());
        let under_way = next(&queue, 1_000).await;
        queue.put(vec![record("oldest", 300_000)], Vec::new());
        queue.put(vec![record("newer", 60_000)], Vec::new());
        assert_eq!(queue.bytes(), 420_000);
        queue.put(vec![record("large", 100_000)], Vec::new());
        assert_eq!(queue.bytes(), 220_000);
        queue.put(vec![record("too large", 500_001)], Vec::new());
        assert_eq!(queue.bytes(), 60_000, "a record under way can't be dropped");
        queue.put_back(under_way);
        queue.put(vec![record("newest", 60_000)], Vec::new());
        let batch = next(&queue, 200_000).await;
        assert_eq!(names(&batch), ["under way", "newest"]);
        queue.settle(batch, Outcome::default());
        assert_eq!(queue.bytes(), 0);
    }

    #[tokio::test]
    async fn no_number_of_cheap_records_drops_another() {
        let queue = Queue::new(10_000);
        let dear = queue.put(vec![record("dear", 1_000)], Vec::new());
        let first = queue.put(vec![cheap("0", 1_000)], Vec::new());
        for number in 1..100 {
            queue.put(vec![cheap(&number.to_string(), 1_000)], Vec::new());
        }
        queue.put(vec![record("later", 1_000), cheap("100", 1_000)], Vec::new());
        assert_eq!(queue.bytes(), 10_000);

        let batch = next(&queue, 2_000).await;
        assert_eq!(names(&batch), ["dear", "93"], "in the order in which they came");
        queue.put_back(batch);
        let batch = next(&queue, 2_000).await;
        assert_eq!(names(&batch), ["dear", "93"], "and in the same when it could not be written");
        queue.settle(batch, Outcome::default());
        assert!(is_done(&dear) && is_done(&first), "written, or dropped");

        let batch = next(&queue, 10_000).await;
        assert_eq!(names(&batch), ["94", "95", "96", "97", "98", "99", "later", "100"]);
        queue.put(vec![record("large", 9_000)], Vec::new());
        assert_eq!(queue.bytes(), 8_000, "what is under way can't be dropped");
        queue.settle(batch, Outcome::default());
        assert_eq!(queue.bytes(), 0);
    }

    #[tokio::test]
    async fn one_thing_at_a_time_is_another_one_each_time() {
        let queue = Queue::new(10_000);
        queue.put(vec![record("a", 1_000), cheap("b", 1_000)], Vec::new());
        queue.put(vec![record("c", 1_000)], vec![raise(300, None, 0)]);
        let mut tried = Vec::new();
        for _ in 0..8 {
            let batch = next(&queue, 0).await;
            tried.push(batch.raise().map_or_else(|| names(&batch).concat(), |_| "mark".into()));
            queue.put_back(batch);
        }
        assert_eq!(tried, ["a", "mark", "b", "mark", "c", "mark", "a", "mark"]);
        assert_eq!(names(&next(&queue, 10_000).await), ["a", "b", "c"], "and the oldest is still the first");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_record_holds_up_nobody_and_is_dropped_in_the_end() {
        let queue = Queue::new(10_000);
        let first = queue.put(vec![record("refused", 1_000)], Vec::new());
        let began = Instant::now();
        for _ in 1..REFUSALS {
            let batch = next(&queue, 1_000).await;
            assert_eq!(names(&batch), ["refused"]);
            queue.settle(batch, refusal("refused"));
            let again = queue.put(vec![record("refused", 1_000)], Vec::new());
            assert!(is_done(&first) && is_done(&again), "nobody waits");
            queue.put(vec![record("other", 1_000)], Vec::new());
            let batch = next(&queue, 1_000).await;
            assert_eq!(names(&batch), ["other"]);
            queue.settle(batch, Outcome::default());
        }
        let batch = next(&queue, 1_000).await;
        queue.settle(batch, refusal("refused"));
        assert_eq!(queue.bytes(), 0, "it is dropped");
        let waited = began.elapsed().as_secs();
        assert!((20..30).contains(&waited), "{waited} s");
    }

    #[tokio::test(start_paused = true)]
    async fn records_that_were_refused_are_refused_again_as_a_batch_and_new_ones_pass_them() {
        let queue = Queue::new(10_000);
        queue.put(vec![record("a", 1_000), record("b", 1_000)], Vec::new());
        let batch = next(&queue, 2_000).await;
        assert!(!batch.was_refused());
        queue.refuse(batch, &StoreError::Late(FIRST_BACKOFF));
        let batch = next(&queue, 2_000).await;
        assert_eq!((names(&batch), batch.was_refused()), (vec!["a".into(), "b".into()], true));
        queue.refuse(batch, &StoreError::Late(FIRST_BACKOFF));
        queue.put(vec![record("new", 1_000)], Vec::new());
        let (refused, batch) = (Instant::now(), next(&queue, 2_000).await);
        assert_eq!((names(&batch), batch.was_refused()), (vec!["new".into()], false));
        next(&queue, 2_000).await;
        assert_eq!(refused.elapsed(), 2 * FIRST_BACKOFF);
    }

    #[tokio::test(start_paused = true)]
    async fn when_a_refused_record_is_taken_the_others_are_tried_again() {
        let queue = Queue::new(10_000);
        queue.put(vec![record("a", 1_000)], Vec::new());
        for _ in 0..4 {
            let batch = next(&queue, 1_000).await;
            queue.refuse(batch, &StoreError::Late(FIRST_BACKOFF));
        }
        queue.put(vec![record("b", 1_000)], Vec::new());
        let batch = next(&queue, 1_000).await;
        queue.refuse(batch, &StoreError::Late(FIRST_BACKOFF));
        let batch = next(&queue, 1_000).await;
        assert_eq!(names(&batch), ["b"]);
        queue.settle(batch, Outcome::default());
        let taken = Instant::now();
        assert_eq!(names(&next(&queue, 1_000).await), ["a"]);
        assert_eq!(taken.elapsed(), Duration::ZERO, "its own backoff is 800 ms");
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_is_closed_tries_what_was_refused_at_once_and_then_after_its_backoff() {
        for (records, raises, times) in [
            (vec![record("refused", 1_000)], Vec::new(), [0, 200, 600, 1_400]),
            (Vec::new(), vec![raise(300, None, 0)], [0, 200, 400, 600]),
        ] {
            let queue = Queue::new(10_000);
            queue.put(records, raises);
            let refuse = |batch| queue.settle(batch, Outcome { raised: Raised::Refused, ..refusal("refused") });
            refuse(next(&queue, 1_000).await);
            queue.close();
            let closed = Instant::now();
            for time in times {
                let batch = next(&queue, 1_000).await;
                assert_eq!(closed.elapsed(), Duration::from_millis(time));
                refuse(batch);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_mark_that_is_refused_is_tried_again_later_and_nobody_waits_for_it() {
        let queue = Queue::new(10_000);
        let first = queue.put(Vec::new(), vec![raise(300, None, 0)]);
        for pause in [100, 200, 200, 200] {
            let batch = next(&queue, 1_000).await;
            assert_eq!(batch.raise().unwrap().to.mark, 300);
            let began = Instant::now();
            queue.settle(batch, raised(Raised::Refused));
            assert!(is_done(&first));
            let another = queue.put(Vec::new(), vec![raise(200, None, 0)]);
            assert!(is_done(&another));
            let batch = next(&queue, 1_000).await;
            assert_eq!(began.elapsed(), Duration::from_millis(pause));
            queue.put_back(batch);
        }
    }
}
