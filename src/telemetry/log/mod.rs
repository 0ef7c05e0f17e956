//! The log of this process, on stderr: events as `tracing` writes them, and requests, a line each, between them.

mod line;
mod outlet;
mod settings;

use std::{
    io::{self, IsTerminal, Write},
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::filter_fn,
    fmt::{self, FormatFields, MakeWriter, format::debug_fn},
    registry::LookupSpan,
};

use self::outlet::Outlet;
pub use self::settings::{LogFormat, LogSettings};
use super::{account::Request, metrics};

/// The time that the process waits at its end for a slow log reader.
const FAREWELL: Duration = Duration::from_secs(1);

static OUTLET: Outlet = Outlet::new();

/// The format of the lines of requests; none is written before it is set, or when the log has none.
static FORMAT_OF_REQUESTS: OnceLock<LogFormat> = OnceLock::new();

/// The log. Its buffer is written when this is dropped.
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
pub(super) fn open(settings: LogSettings) -> io::Result<Log> {
    OUTLET.start(io::stderr())?;
    if settings.level >= Level::INFO {
        FORMAT_OF_REQUESTS.get_or_init(|| settings.format);
    }
    Ok(Log(()))
}

/// Writes events, and leaves spans alone.
pub(super) fn events<S>(settings: LogSettings) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = fmt::layer().with_writer(Events).with_target(false);
    let layer = match settings.format {
        LogFormat::Text => {
            let is_colourful = settings.is_colourful && io::stderr().is_terminal();
            layer.fmt_fields(message()).with_ansi(is_colourful).boxed()
        }
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    let level = settings.level;
    layer.with_filter(
        filter_fn(move |metadata| has(level, metadata)).with_max_level_hint(LevelFilter::from_level(level)),
    )
}

/// The message of an event on one line, and nothing of the fields that repeat what it says.
fn message() -> impl for<'writer> FormatFields<'writer> + Send + Sync + 'static {
    debug_fn(|writer, field, value| match field.name() {
        "message" => writer.write_str(&in_one_line(&format!("{value:?}"))),
        _ => Ok(()),
    })
}

/// A text without line breaks and other control characters: it may quote another program, or a panic.
fn in_one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Whether the log has an event.
fn has(level: Level, metadata: &Metadata<'_>) -> bool {
    let (target, of_event) = (metadata.target(), *metadata.level());
    let is_ours = target.starts_with(env!("CARGO_PKG_NAME"));
    // Libraries log input of clients in events below INFO; that of HTTP/2 in a warning for each of some frames too.
    let is_of_clients = !is_ours && (of_event > Level::INFO || target.starts_with("h2::"));
    metadata.is_event() && of_event <= level && !is_of_clients
}

/// Writes the line of a request.
pub(super) fn answered(request: &Request) {
    let Some(&format) = FORMAT_OF_REQUESTS.get() else { return };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        assert_eq!(in_one_line("π: it says \"a\r\nb\" \u{1b}[31m"), "π: it says \"a  b\"  [31m");
    }
}
