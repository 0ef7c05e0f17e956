//! Every event that the log may hold, by name, in one place: what is logged is decided here and nowhere else.
//!
//! The log goes to stderr. Requests, values and secrets are never logged.

use std::{fmt::Display, io::IsTerminal, panic::PanicHookInfo};

use tracing::{error, info, warn};

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// Sends the log of this process, panics included, to stderr. Call it once.
pub fn start(format: LogFormat) {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
    match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().init(),
    }
    std::panic::set_hook(Box::new(panicked));
}

/// The first line of the log: where answers are kept.
pub fn cache_chosen(store: &impl Display, is_shared: bool) {
    if is_shared {
        info!("cache: {store}");
    } else {
        info!("cache: {store}; set REDIS_URL to share it");
    }
}

/// The store can't even be opened; the process goes on with its own memory.
pub fn store_unusable(store: &impl Display, cause: &impl Display) {
    error!("cache: {store} can't be opened: {cause}; answers are kept in memory alone");
}

/// The store can be read again, or no longer. Logged on the change alone, as the two below.
pub fn store_is_read(state: Result<(), &dyn Display>) {
    match state {
        Ok(()) => info!("cache: the store is read again"),
        Err(cause) => warn!("cache: the store can't be read: {cause}; answers are computed until it can"),
    }
}

/// The store can be written again, or no longer.
pub fn store_is_written(state: Result<(), &dyn Display>) {
    match state {
        Ok(()) => info!("cache: the store is written again"),
        Err(cause) => warn!("cache: the store can't be written: {cause}; answers are kept in memory until it can"),
    }
}

/// Writes are acknowledged while their answers wait, or no longer.
pub fn store_is_in_time(state: Result<(), &dyn Display>) {
    match state {
        Ok(()) => info!("cache: the store acknowledges in time again"),
        Err(cause) => warn!("cache: the store acknowledges too late: {cause}; answers go out before"),
    }
}

/// Something was not written, because too much was already waiting for a slow store.
pub fn write_dropped(bytes: usize) {
    warn!("cache: {bytes} bytes are not stored: too much is waiting for the store");
}

/// A stored entry was not what its key says. It is evaluated anew and written again.
pub fn proof_failed(key: &impl Display) {
    warn!("cache: the entry {key} is not what it should be; it is evaluated anew");
}

/// An evaluation did not pass its own proof, which no known input brings about.
pub fn evaluation_wrong(question: &impl Display) {
    error!("the evaluation of {question} failed its proof and is not served: check this machine's memory");
}

/// The process was asked to stop.
pub fn draining() {
    info!("draining: no new connections, open requests are answered");
}

/// The drain took too long.
pub fn drain_cut() {
    warn!("drain: the deadline cut what was still open");
}

fn panicked(panic: &PanicHookInfo<'_>) {
    error!("{panic}");
}
