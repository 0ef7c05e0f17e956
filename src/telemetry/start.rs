//! Starts the reports of a process: its log, the panics in it, and its spans.

use std::{io, panic::PanicHookInfo};

use thiserror::Error;
use tracing::error;
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

use super::{
    log::{self, Log, LogSettings},
    spans::{self, Collector, CollectorError},
};

/// Why the reports of a process can't start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The system started no thread for the log.
    #[error("the log can't be written: {0}")]
    Log(#[from] io::Error),
    /// The collector can't be used.
    #[error(transparent)]
    Collector(#[from] CollectorError),
}

/// Starts the log of this process on stderr, which includes panics, and sends its spans to the collector, if there is
/// one. Call it once, inside a tokio runtime.
///
/// # Errors
/// When the system can't start a thread for it, or the collector can't be used as the environment asks.
pub fn start(settings: LogSettings, collector: Option<Collector>) -> Result<Log, StartError> {
    let log = log::open(settings)?;
    let subscriber = tracing_subscriber::registry().with(log::events(settings));
    match collector {
        // Without a layer that takes spans they cost nothing.
        None => subscriber.init(),
        Some(collector) => subscriber.with(spans::exported(collector)?).init(),
    }
    std::panic::set_hook(Box::new(panicked));
    Ok(log)
}

fn panicked(panic: &PanicHookInfo<'_>) {
    error!("a thread panicked, which is a bug of phipi; please report it: {panic}");
}
