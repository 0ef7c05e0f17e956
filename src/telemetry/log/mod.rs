//! The log of this process, on stderr: events as `tracing` writes them, and requests, a line each, between them.

mod line;
mod outlet;

use std::{
    io::{self, IsTerminal, Write},
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::{FilterFn, filter_fn},
    fmt::{self, MakeWriter},
    registry::LookupSpan,
};

pub(super) use self::line::milliseconds;
use self::outlet::Outlet;
use super::{metrics, requests::Request};

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// How long the end of the process waits for who reads the log.
const FAREWELL: Duration = Duration::from_secs(1);

static OUTLET: Outlet = Outlet::new();

/// How lines look; nothing is logged of requests before it is known.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// The log. What it still holds is written when this is dropped.
#[must_use]
pub struct Log(());

impl Drop for Log {
    fn drop(&mut self) {
        OUTLET.flush(FAREWELL);
    }
}

/// Begins the log.
///
/// # Errors
/// When the system starts no thread for it.
pub(super) fn open(format: LogFormat) -> io::Result<Log> {
    OUTLET.start(io::stderr())?;
    FORMAT.get_or_init(|| format);
    Ok(Log(()))
}

/// What writes events, and leaves spans alone.
pub(super) fn events<S>(format: LogFormat) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = fmt::layer().with_writer(Events).with_target(false);
    let layer = match format {
        LogFormat::Text => layer.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => layer.json().with_current_span(false).with_span_list(false).boxed(),
    };
    layer.with_filter(told())
}

fn told() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    let is_told: fn(&Metadata<'_>) -> bool = |metadata| {
        // The library of HTTP/2 warns of what clients send, with a line for each frame.
        let is_of_a_client = metadata.target().starts_with("h2::");
        metadata.is_event() && *metadata.level() <= Level::INFO && !is_of_a_client
    };
    filter_fn(is_told).with_max_level_hint(LevelFilter::INFO)
}

/// Writes the line of a request.
pub(super) fn answered(request: &Request) {
    let Some(&format) = FORMAT.get() else { return };
    if !OUTLET.put(&line::of(format, SystemTime::now(), request)) {
        metrics::line_dropped();
    }
}

/// Takes events, each in one piece.
struct Events;

impl MakeWriter<'_> for Events {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

impl Write for Events {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !OUTLET.put_event(line) {
            metrics::line_dropped();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
