//! All reports of a process begin here: the log, the panics in it, and the spans.

use std::{io, panic::PanicHookInfo};

use thiserror::Error;
use tracing::error;
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

use super::{
    log::{self, Log, LogSettings},
    spans::{self, Collector, CollectorError},
};

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

fn panicked(panic: &PanicHookInfo<'_>) {
    error!("{panic}");
}
