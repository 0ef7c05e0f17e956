//! Each event of the log is a function of its name here, which also counts it in the metrics.
//!
//! A message is a sentence behind the name of its part of the program. A warning or an error says what happened, where,
//! and what an operator can do. In JSON, the fields hold what the message says of the place and the cause.

use std::{fmt::Display, io, path::Path, sync::OnceLock};

use tracing::{debug, error, field, info, warn};

use super::{
    VERSION,
    account::Request,
    log,
    metrics::{
        cache::{self, Operation, Trouble},
        http::{self, Direction, Listener, Timeout},
    },
};

/// The store of this process, for the messages about it.
static LOCATION: OnceLock<String> = OnceLock::new();

fn location() -> &'static str {
    LOCATION.get().map_or("the store", String::as_str)
}

/// The first line of the log: the version, the location of the cache, and advice on that for an operator.
pub fn cache_chosen(store: &impl Display, advice: Option<&str>) {
    let location = LOCATION.get_or_init(|| store.to_string());
    let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
    info!(version = VERSION, location, "phipi {VERSION} starts, cache: {store}{advice}");
}

/// The first line of the log, when nobody named a store and there is no folder for a file.
pub fn nothing_is_kept() {
    warn!(
        version = VERSION,
        location = "memory:",
        "phipi {VERSION} starts, cache: memory:; this user has no home folder for a file, so that a restart forgets all \
         entries; set --cache sqlite:PATH"
    );
}

/// A new file was created for the cache.
pub fn file_made(path: &Path) {
    let path = path.display();
    info!(%path, "cache: the file {path} was created");
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

/// The circuit breaker of an operation has opened. It is logged once, as its closing is: as an error if an operator is
/// needed, else as a warning. The fields have the names that `/readyz` has.
pub fn breaker_opened(operation: Operation, trouble: Trouble, cause: &impl Display) {
    cache::circuit_breaker_is_open(operation, true);
    let (what, meanwhile) = match operation {
        Operation::Read => ("the store can't be read", "requests are answered by evaluation"),
        Operation::Write => ("the store can't be written", "new entries wait in the write-behind queue"),
        Operation::WriteLarge => ("large values can't be written to the store", "they wait in the write-behind queue"),
    };
    let cause_of = |concerned| (operation == concerned).then(|| field::display(cause));
    let (reads, writes) = (cause_of(Operation::Read), cause_of(Operation::Write));
    let large_writes = cause_of(Operation::WriteLarge);
    let location = location();
    let message = format!("cache: {what}: {cause}; {meanwhile} until a retry succeeds");
    if trouble.needs_operator() {
        error!(location, reads, writes, large_writes, "{message}; correct {location}, or what --cache says of it");
    } else {
        warn!(location, reads, writes, large_writes, "{message}; check {location} if this lasts");
    }
}

/// The circuit breaker of an operation has closed.
pub fn breaker_closed(operation: Operation) {
    cache::circuit_breaker_is_open(operation, false);
    let location = location();
    match operation {
        Operation::Read => info!(location, reads = "ok", "cache: the store is read again"),
        Operation::Write => info!(location, writes = "ok", "cache: the store is written again"),
        Operation::WriteLarge => {
            info!(location, large_writes = "ok", "cache: large values are written to the store again");
        }
    }
}

/// The memory of the store has no limit.
pub fn store_is_unbounded() {
    let location = location();
    info!(
        location,
        "cache: nothing bounds the memory of Redis; set its maxmemory, and maxmemory-policy allkeys-lfu, at {location}"
    );
}

/// The key of the mark holds something that phipi can't have written.
pub fn mark_is_taken(key: &str) {
    let location = location();
    error!(
        location,
        key,
        "cache: the key {key} holds something that phipi did not write; delete it from {location} with phipi check --repair, \
         or choose another --cache-prefix"
    );
}

/// A file that is no cache, or no longer a sound one, was moved aside, and a new one takes its place.
pub fn file_moved_aside(path: &Path, aside: &Path, cause: &impl Display) {
    let (path, aside) = (path.display(), aside.display());
    warn!(
        %path, %aside, %cause,
        "cache: {path} was moved to {aside}, and a new file takes its place; inspect it there or delete it; it was moved \
         because {cause}"
    );
}

/// The write-ahead log of an SQLite file, or the index of that log, was deleted or replaced while in use. Its content
/// is in the file now, unless that failed.
pub fn log_replaced(path: &Path, failure: Option<&impl Display>) {
    let path = path.display();
    let outcome = match failure {
        None => "the entries of the old log are in the file".to_owned(),
        Some(failure) => format!("the entries of the old log are lost, and will be evaluated again: {failure}"),
    };
    warn!(
        %path,
        "cache: somebody deleted or replaced {path}-wal or {path}-shm while phipi used them, and a new log was begun; \
         {outcome}; leave both files to phipi"
    );
}

/// The write-behind queue is full, and its oldest entry is dropped. The first of a row is logged.
pub fn write_dropped(bytes: usize, is_one_of_many: bool) {
    cache::write_dropped(bytes);
    if !is_one_of_many {
        let location = location();
        warn!(
            location,
            "cache: the write-behind queue is full, and its oldest entries are dropped; check why {location} takes writes \
             too slowly"
        );
    }
}

/// The store has refused an entry at every retry, and took others: the entry is dropped.
pub fn write_refused(key: &str, bytes: usize, cause: &impl Display) {
    cache::write_dropped(bytes);
    let location = location();
    warn!(
        location, key, bytes, %cause,
        "cache: the store refuses {key}, which is not stored: {cause}; check at {location} that the server of this key is \
         up, and takes values of {bytes} bytes"
    );
}

/// Entries below a mark have left memory before the store took them, so that the mark is not raised.
pub fn ladder_lost(mark: u32) {
    cache::write_dropped(0);
    let location = location();
    warn!(
        location,
        "cache: entries below the mark {mark} left the memory of this process before the store took them, and will be \
         evaluated again; check why {location} takes writes too slowly"
    );
}

/// The process ends with entries in the write-behind queue.
pub fn writes_lost(bytes: usize) {
    let location = location();
    warn!(
        location,
        bytes,
        "cache: the process ends with {bytes} bytes in the write-behind queue, which are lost and will be evaluated again; \
         check why {location} takes no writes"
    );
}

/// A stored entry failed its proof. It is evaluated anew and written.
pub fn proof_failed(key: &impl Display) {
    cache::proof_failed();
    let location = location();
    warn!(
        location, %key,
        "cache: the entry {key} failed its proof and is evaluated anew; if this repeats, find out what else writes to \
         {location}, and run phipi check"
    );
}

/// An evaluation failed its own proof, which no known input brings about.
pub fn evaluation_wrong(question: &impl Display) {
    error!("evaluation: the evaluation of {question} failed its proof and is not served; check this machine's memory");
}

/// A listener can't accept connections for now. The first failure of a row is logged.
pub fn accept_failed(listener: Listener, cause: &io::Error) {
    let listener = match listener {
        Listener::Public => "public",
        Listener::Admin => "admin",
    };
    let cause = plain(cause);
    warn!(
        listener, %cause,
        "http: the {listener} listener can't accept connections: {cause}; new ones wait in its backlog, and accepting is \
         retried; raise the limit of open files (ulimit -n) if this lasts"
    );
}

/// A connection was accepted.
pub fn connection_opened(listener: Listener) {
    if listener == Listener::Public {
        http::connections_changed(1);
        debug!("http: a connection was accepted");
    }
}

/// A connection has ended.
pub fn connection_closed(listener: Listener) {
    if listener == Listener::Public {
        http::connections_changed(-1);
        debug!("http: a connection has ended");
    }
}

/// A connection, or a stream of HTTP/2, was closed at a timeout.
pub fn connection_timed_out(listener: Listener, timeout: Timeout) {
    if listener == Listener::Public {
        http::timed_out(timeout);
        match timeout {
            Timeout::Idle => debug!("http: a connection was closed because no request arrived before its timeout"),
            Timeout::Stalled => debug!("http: a connection was closed because its client does not read the response"),
        }
    }
}

/// A request or a message was refused because the shared budget of its direction is full.
pub fn overloaded(direction: Direction) {
    http::overloaded(direction);
    let direction = direction.label();
    debug!(direction, "http: a request was refused because the budget of buffered bytes ({direction}) is full");
}

/// A request was answered: it is counted, measured and logged.
pub fn request_answered(request: &Request) {
    http::request_answered(request);
    log::request_answered(request);
}

/// The process was asked to stop.
pub fn draining() {
    info!("drain: the process was asked to stop; it answers open requests and writes the write-behind queue first");
}

/// The drain took too long.
pub fn drain_cut() {
    warn!("drain: the deadline cut requests or writes that were open; look for slow clients or a slow store");
}

/// The collector does not take spans. It is logged once, as its taking them again is.
pub(super) fn spans_not_taken(collector: &impl Display, cause: &impl Display) {
    warn!(
        %collector, %cause,
        "telemetry: spans are lost because {collector} does not take them: {cause}; check the collector, or unset \
         OTEL_EXPORTER_OTLP_ENDPOINT"
    );
}

/// The collector takes spans again.
pub(super) fn spans_taken_again() {
    info!("telemetry: spans are taken again");
}
