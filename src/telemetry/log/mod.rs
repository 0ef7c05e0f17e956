//! The log of this process on stderr: events as `tracing` writes them, and between them a line for each request.

mod line;
mod outlet;
mod settings;

use std::{
    io::{self, IsTerminal, Write},
    sync::OnceLock,
    time::Duration,
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

/// The timeout of the last write, at the end of the process.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

static OUTLET: Outlet = Outlet::new();

/// The format of the lines of requests. None is written before it is set, or when the level leaves them out.
static FORMAT_OF_REQUESTS: OnceLock<LogFormat> = OnceLock::new();

/// The log. Its buffer is written when this is dropped.
#[must_use]
pub struct Log(());

impl Drop for Log {
    fn drop(&mut self) {
        OUTLET.flush(FLUSH_TIMEOUT);
    }
}

/// Starts the log.
///
/// # Errors
/// When the system can't start a thread for it.
pub(super) fn open(settings: LogSettings) -> io::Result<Log> {
    OUTLET.start(io::stderr())?;
    if settings.level >= Level::INFO {
        FORMAT_OF_REQUESTS.get_or_init(|| settings.format);
    }
    Ok(Log(()))
}

/// The layer that writes events; it ignores spans.
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

/// Writes the message of an event on one line, without its fields, since the message says the same.
fn message() -> impl for<'writer> FormatFields<'writer> + Send + Sync + 'static {
    debug_fn(|writer, field, value| match field.name() {
        "message" => writer.write_str(&in_one_line(&format!("{value:?}"))),
        _ => Ok(()),
    })
}

/// Replaces line breaks and other control characters: a message may quote another program, or a panic.
fn in_one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Whether the log takes an event.
fn has(level: Level, metadata: &Metadata<'_>) -> bool {
    let (target, of_event) = (metadata.target(), *metadata.level());
    let is_ours = target.starts_with(env!("CARGO_PKG_NAME"));
    // Libraries log input of clients in events below INFO. The one for HTTP/2 also logs a warning for some frames.
    let is_of_clients = !is_ours && (of_event > Level::INFO || target.starts_with("h2::"));
    metadata.is_event() && of_event <= level && !is_of_clients
}

/// Writes the line of a request.
pub(super) fn request_answered(request: &Request) {
    let Some(&format) = FORMAT_OF_REQUESTS.get() else { return };
    if !OUTLET.put(line::of(format, request).as_bytes()) {
        metrics::log_line_dropped();
    }
}

/// Takes events, each of which comes in one write.
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
            metrics::log_line_dropped();
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
