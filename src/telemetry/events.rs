//! Each event of the log is a function of its name here; the lines of requests are no events.

use std::{fmt::Display, io, path::Path};

use tracing::{error, field, info, warn};

use super::{
    VERSION,
    metrics::{self, Operation, Trouble},
    traffic::Listener,
};

/// The first line of the log: the version, where answers are kept, and advice on that for an operator.
pub fn cache_chosen(store: &impl Display, advice: Option<&str>) {
    let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
    info!(version = VERSION, location = %store, "phipi {VERSION}, cache: {store}{advice}");
}

/// The first line of the log, when there is no folder for a file and nobody named a store.
pub fn nothing_is_kept() {
    warn!(
        version = VERSION,
        location = "memory:",
        "phipi {VERSION}, cache: memory:; this user has no home folder for a file, and a restart forgets all; set --cache \
         sqlite:PATH"
    );
}

/// A new file was made for the cache.
pub fn file_made(path: &Path) {
    info!("cache: {} is new", path.display());
}

/// An error of the system in its own words, without its number.
#[must_use]
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    if text.starts_with("failed to lookup") {
        return "the name of its host leads nowhere".into();
    }
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// The breaker of reads or writes has opened. Logged once, as its closing is, and loudly when an operator is needed. The
/// fields have the names that `/readyz` has.
pub fn breaker_opened(operation: Operation, trouble: Trouble, cause: &impl Display) {
    metrics::breaker_is_open(operation, true);
    let (what, meanwhile) = match operation {
        Operation::Read => ("the store can't be read", "answers are computed"),
        Operation::Write => ("the store can't be written", "what is new waits"),
        Operation::WriteLarge => ("large values can't be written to the store", "they wait"),
    };
    let cause_of = |concerned| (operation == concerned).then(|| field::display(cause));
    let (reads, writes) = (cause_of(Operation::Read), cause_of(Operation::Write));
    let large_writes = cause_of(Operation::WriteLarge);
    if trouble.needs_operator() {
        error!(reads, writes, large_writes, "cache: {what}: {cause}; {meanwhile} until that is mended");
    } else {
        warn!(reads, writes, large_writes, "cache: {what}: {cause}; {meanwhile} until that is over");
    }
}

/// The breaker has closed.
pub fn breaker_closed(operation: Operation) {
    metrics::breaker_is_open(operation, false);
    match operation {
        Operation::Read => info!(reads = "ok", "cache: the store is read again"),
        Operation::Write => info!(writes = "ok", "cache: the store is written again"),
        Operation::WriteLarge => info!(large_writes = "ok", "cache: large values are written to the store again"),
    }
}

/// Nothing bounds the memory of the store.
pub fn store_is_unbounded() {
    info!("cache: nothing bounds the memory of Redis; set its maxmemory, and maxmemory-policy allkeys-lfu");
}

/// The key of the mark holds something that is no mark.
pub fn mark_is_taken(key: &str) {
    error!(
        "cache: the key {key} holds something else; delete it with phipi check --repair, or choose another --cache-prefix"
    );
}

/// A file that is no cache, or no longer a sound one, was moved aside; a new one takes its place.
pub fn file_moved_aside(path: &Path, aside: &Path, cause: &impl Display) {
    let (path, aside) = (path.display(), aside.display());
    warn!("cache: {path} is moved to {aside}, and a new file takes its place: {cause}");
}

/// The log of an SQLite file, or the index of the log, was deleted or replaced while in use. Its content is in the
/// file now, unless that failed.
pub fn log_replaced(path: &Path, failure: Option<&impl Display>) {
    let path = path.display();
    match failure {
        None => warn!("cache: somebody deleted or replaced what is beside {path}: its log is saved and begun anew"),
        Some(failure) => {
            warn!("cache: somebody deleted or replaced what is beside {path}, and its log is lost: {failure}");
        }
    }
}

/// The queue is full: the oldest entry is not stored. Logged at the first of a row.
pub fn write_dropped(bytes: usize, is_one_of_many: bool) {
    metrics::dropped(bytes);
    if !is_one_of_many {
        warn!("cache: too much waits for the store: the oldest answers are not stored");
    }
}

/// The store has refused an entry again and again, and took others: it is not stored.
pub fn write_refused(key: &str, bytes: usize, cause: &impl Display) {
    metrics::dropped(bytes);
    warn!("cache: the store refuses {key}, which is not stored: {cause}");
}

/// The process ends, and the store did not take the rest.
pub fn writes_lost(bytes: usize) {
    warn!("cache: {bytes} bytes of answers are not stored: the process ends and the store does not take them");
}

/// A stored entry was not what its key says. It is evaluated anew and written again.
pub fn proof_failed(key: &impl Display) {
    metrics::proof_failed();
    warn!("cache: the entry {key} is not what it should be; it is evaluated anew");
}

/// An evaluation did not pass its own proof, which no known input brings about.
pub fn evaluation_wrong(question: &impl Display) {
    error!("the evaluation of {question} failed its proof and is not served: check this machine's memory");
}

/// No connection can be accepted for now. Logged at the first of a row.
pub fn accepting_rests(listener: Listener, cause: &impl Display) {
    let connections = match listener {
        Listener::Public => "connections",
        Listener::Admin => "the operator's connections",
    };
    warn!("new {connections} wait: {cause}; accepting is tried again until it succeeds");
}

/// The process was asked to stop.
pub fn draining() {
    info!("draining: open requests are answered, then the process ends");
}

/// The drain took too long.
pub fn drain_cut() {
    warn!("drain: the deadline cut what was still open");
}

/// The collector does not take spans. Logged once, as its taking them again is.
pub(super) fn spans_not_taken(collector: &impl Display, cause: &impl Display) {
    warn!("spans are lost: {collector} does not take them: {cause}");
}

/// The collector takes spans again.
pub(super) fn spans_taken_again() {
    info!("spans are taken again");
}
