//! The log line of a request, in the form that events have.
//!
//! Everything in it is a number or one of a few words of our own, so that nothing needs escapes, and nothing of a
//! client's can get into the log.

use std::fmt::{Arguments, Display, Write};

use tracing_subscriber::fmt::{
    format::Writer,
    time::{FormatTime, SystemTime},
};

use super::settings::LogFormat;
use crate::telemetry::account::{Milliseconds, Request};

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
    let _ = SystemTime.format_time(&mut Writer::new(&mut line.text));
    line.text.push_str(message);
    line.word("method", request.method);
    line.word("route", request.route);
    line.word("operation", request.account.kind.label());
    line.value("status", request.status);
    line.value("duration_ms", Milliseconds(request.took));
    if let Some(bytes) = request.bytes {
        line.value("response_bytes", bytes);
    }
    line.value("cached", request.account.cached);
    if let Some(trace) = &request.trace {
        line.word("trace_id", trace);
    }
    line.text.push_str(end);
    line.text
}

struct Line {
    text: String,
    format: LogFormat,
}

impl Line {
    /// Adds a number or a truth value.
    fn value(&mut self, name: &str, value: impl Display) {
        match self.format {
            LogFormat::Text => self.write(format_args!(" {name}={value}")),
            LogFormat::Json => self.write(format_args!(r#","{name}":{value}"#)),
        }
    }

    fn word(&mut self, name: &str, word: &str) {
        match self.format {
            LogFormat::Text => self.write(format_args!(" {name}={word}")),
            LogFormat::Json => self.write(format_args!(r#","{name}":"{word}""#)),
        }
    }

    fn write(&mut self, text: Arguments<'_>) {
        // A string takes whatever is written.
        let _ = self.text.write_fmt(text);
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
