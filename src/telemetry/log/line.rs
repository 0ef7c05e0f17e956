//! The log line of a request, in the form that events have.
//!
//! Everything in it is a number or one of a few words of our own, so that nothing needs escapes, and nothing of a
//! client's can get into the log.

use std::{
    cell::RefCell,
    mem,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tracing_subscriber::fmt::{
    format::Writer,
    time::{self, FormatTime},
};

use super::settings::LogFormat;
use crate::telemetry::account::{Request, push_milliseconds};

/// No line is longer.
const LINE_BYTES: usize = 384;

/// The line of a request that is answered now, its end included.
pub(super) fn of(format: LogFormat, request: &Request) -> String {
    let mut line = Line { text: String::with_capacity(LINE_BYTES), format };
    let (beginning, message, end) = match format {
        LogFormat::Text => ("", "  INFO request answered", "\n"),
        LogFormat::Json => (r#"{"timestamp":""#, r#"","level":"INFO","message":"request answered""#, "}\n"),
    };
    line.text.push_str(beginning);
    push_now(&mut line.text);
    line.text.push_str(message);
    line.word("method", request.method);
    line.word("route", request.route);
    line.word("operation", request.account.kind.label());
    line.value("status", itoa::Buffer::new().format(request.status));
    line.name("duration_ms");
    push_milliseconds(&mut line.text, request.took);
    if let Some(bytes) = request.bytes {
        line.value("response_bytes", itoa::Buffer::new().format(bytes));
    }
    line.value("cached", if request.account.cached { "true" } else { "false" });
    if let Some(trace) = &request.trace {
        line.word("trace_id", trace);
    }
    line.text.push_str(end);
    line.text
}

/// The place of the fraction in a time such as 2000-02-29T00:00:00.000042Z.
const FRACTION: usize = 20;

thread_local! {
    /// A second since the epoch, and the text of its times up to their fraction.
    static SECOND: RefCell<(Option<u64>, String)> = RefCell::default();
}

/// Appends the present time, as events have it. Formatting the whole of it takes longer than the rest of the line, and is
/// done once a second.
fn push_now(text: &mut String) {
    let mut now = since_epoch();
    SECOND.with_borrow_mut(|(second, formatted)| {
        while *second != Some(now.as_secs()) {
            formatted.clear();
            let _ = time::SystemTime.format_time(&mut Writer::new(formatted));
            formatted.truncate(FRACTION);
            // Unless the next second has begun, it is the time of this one.
            let before = mem::replace(&mut now, since_epoch());
            *second = (before.as_secs() == now.as_secs()).then_some(now.as_secs());
        }
        text.push_str(formatted);
    });
    text.push_str(&itoa::Buffer::new().format(1_000_000 + now.subsec_micros())[1..]);
    text.push('Z');
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

struct Line {
    text: String,
    format: LogFormat,
}

impl Line {
    /// Adds a number or a truth value.
    fn value(&mut self, name: &str, value: &str) {
        self.name(name);
        self.text.push_str(value);
    }

    fn word(&mut self, name: &str, word: &str) {
        self.name(name);
        let quote = if self.format == LogFormat::Json { "\"" } else { "" };
        self.text.extend([quote, word, quote]);
    }

    fn name(&mut self, name: &str) {
        let (before, after) = match self.format {
            LogFormat::Text => (" ", "="),
            LogFormat::Json => (",\"", "\":"),
        };
        self.text.extend([before, name, after]);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::account::{Account, Kind};

    fn request() -> Request {
        Request {
            method: "POST",
            route: "/graphql",
            account: Account { kind: Kind::FibAndPi, cached: true, ..Account::default() },
            status: 200,
            took: Duration::from_micros(12_034),
            bytes: Some(85),
            trace: None,
        }
    }

    /// The line without the digits of its time.
    fn line(format: LogFormat, request: &Request) -> String {
        let line = of(format, request);
        let (start, time) = (line.find("20").unwrap(), "2000-02-29T00:00:00.000042Z");
        let (before, rest) = line.split_at(start);
        let digits = |text: &str| text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>();
        assert_eq!(digits(&rest[..time.len()]), digits(time));
        [before, &rest[time.len()..]].concat()
    }

    #[test]
    fn a_line_has_the_form_of_events() {
        assert_eq!(
            line(LogFormat::Text, &request()),
            "  INFO request answered method=POST route=/graphql operation=fib_and_pi status=200 duration_ms=12.034 \
             response_bytes=85 cached=true\n"
        );
        let traced = Request { bytes: None, trace: Some("0af7651916cd43dd8448eb211c80319c".into()), ..request() };
        assert_eq!(
            line(LogFormat::Json, &traced),
            concat!(
                r#"{"timestamp":"","level":"INFO","message":"request answered","#,
                r#""method":"POST","route":"/graphql","operation":"fib_and_pi","status":200,"duration_ms":12.034,"#,
                r#""cached":true,"trace_id":"0af7651916cd43dd8448eb211c80319c"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn no_line_is_longer_than_its_room() {
        let longest = Request {
            method: "OPTIONS",
            route: "/schema.graphql",
            status: u16::MAX,
            took: Duration::from_micros(u64::MAX),
            bytes: Some(u64::MAX),
            trace: Some("0".repeat(32).into()),
            ..request()
        };
        assert!(of(LogFormat::Json, &longest).len() <= LINE_BYTES);
    }
}
