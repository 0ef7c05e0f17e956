//! Every event that the log may hold, every metric and every span, by name, in one place: the content of all reports is
//! decided here and nowhere else.
//!
//! # The report of a request
//!
//! Each answered request of a client is one line of the [`log`]: its method, the route of its path, the kind of its
//! operation, the status, its duration, the bytes of its answer, whether all of it was cached, and its trace, if spans
//! are exported. The same goes into the metrics of [`requests`]; [`spans`] show the steps that it went through.
//!
//! # Never reported
//!
//! Input of a client is neither logged nor made a label or an attribute: no body, no document, no name of an operation,
//! no variable and no other value, long or short, no query of a URL and no path beyond its route, no header and no
//! address. An unusual method, or a path that is none of ours, is `other`. There are two exceptions, neither of which
//! has room for a secret: the id of the caller's trace, in hexadecimal digits, and the key of an entry or the question
//! whose proof failed, which holds one number. Of the operator's settings the log shows where the store and the
//! collector are, without passwords. A panic is logged with its place and message, which hold nothing of a client's.

mod log;
mod metrics;
mod requests;
mod spans;
mod traffic;

use std::{fmt::Display, io, panic::PanicHookInfo, path::Path};

use thiserror::Error;
pub use tracing::Level;
use tracing::{error, field, info, warn};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

pub use self::{
    log::{Log, LogFormat, LogSettings},
    metrics::{
        EXPOSITION_TYPE, Tier, budget_exceeded, connection_replaced, evaluated, exposition, joined, looked_up,
        oversize, queue_grew, queue_shrank, store_failed,
    },
    requests::{Account, Kind, Request, Spent, answered},
    spans::{Collector, CollectorError, RequestSpan, Step, done_within, flush_spans, within},
    traffic::{
        Direction, answer_was_kept, connection_closed, connection_cut, connection_opened, gate_was_full, held,
        released, socket_closed, socket_opened,
    },
};

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why nothing can be reported.
#[derive(Debug, Error)]
pub enum StartError {
    /// There is no thread for the log.
    #[error("the log can't be written: {0}")]
    Log(#[from] io::Error),
    /// Spans can't be sent.
    #[error(transparent)]
    Collector(#[from] CollectorError),
}

/// Begins the log of this process, panics included, on stderr, and sends its spans to the collector, if there is one.
/// Call it once, inside of a tokio runtime.
///
/// # Errors
/// When the system starts no thread for it, or the collector can't be used as the environment asks.
pub fn start(settings: LogSettings, collector: Option<Collector>) -> Result<Log, StartError> {
    let log = log::open(settings)?;
    let subscriber = tracing_subscriber::registry().with(log::events(settings));
    match collector {
        // Without the layer for spans nothing wants them, and they cost nothing.
        None => subscriber.init(),
        Some(collector) => subscriber.with(spans::exported(collector)?).init(),
    }
    std::panic::set_hook(Box::new(panicked));
    Ok(log)
}

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
    error.to_string().split(" (os error").next().unwrap_or_default().to_owned()
}

/// An operation on the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Looking up.
    Read,
    /// Keeping.
    Write,
    /// Keeping a value too large to go with the rest.
    WriteLarge,
}

/// Why the store did not do what it should, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It took longer than it may.
    Late,
    /// It can't be reached, or its words make no sense.
    Broken,
    /// It answers, but not now.
    Busy,
    /// It can be read, but takes nothing in.
    RefusesWrites,
    /// It asks for a password or a right, which an operator has to give.
    Denied,
    /// It does not match the settings.
    Unfit,
    /// It answered with another error.
    Other,
}

impl Trouble {
    /// Whether it lasts until an operator does something.
    #[must_use]
    pub fn needs_operator(self) -> bool {
        matches!(self, Self::Denied | Self::Unfit)
    }
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

/// Where connections come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The one for clients. Its connections are counted.
    Public,
    /// The operator's.
    Admin,
}

/// Why a connection was closed before its client did so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// No request came in time, or not the whole of its head.
    Silent,
    /// A request was not sent on, or its answer not read.
    Stalled,
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
fn spans_not_taken(collector: &impl Display, cause: &impl Display) {
    warn!("spans are lost: {collector} does not take them: {cause}");
}

/// The collector takes spans again.
fn spans_taken_again() {
    info!("spans are taken again");
}

fn panicked(panic: &PanicHookInfo<'_>) {
    error!("{panic}");
}
