//! The line of a request, in the form that events have.
//!
//! Everything in it is a number or one of a few words of our own: nothing needs escapes, and nothing of a client's
//! can get into the log.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::settings::LogFormat;
use crate::telemetry::{
    account::Request,
    digits::{digits, milliseconds},
};

/// Longer than any line.
const LINE_BYTES: usize = 384;

/// The line of a request that is answered now, its end included.
pub(super) fn of(format: LogFormat, now: SystemTime, request: &Request) -> Vec<u8> {
    let mut line = Line { text: Vec::with_capacity(LINE_BYTES), format };
    line.raw(match format {
        LogFormat::Text => "",
        LogFormat::Json => r#"{"timestamp":""#,
    });
    line.time(now);
    line.raw(match format {
        LogFormat::Text => "  INFO answered",
        LogFormat::Json => r#"","level":"INFO","message":"answered""#,
    });
    line.word("method", request.method);
    line.word("path", request.route);
    line.word("operation", request.account.kind.label());
    line.number("status", request.status.into());
    line.name("ms");
    line.milliseconds(request.took);
    if let Some(bytes) = request.bytes {
        line.number("bytes", bytes);
    }
    line.name("cached");
    line.raw(if request.account.cached { "true" } else { "false" });
    if let Some(trace) = &request.trace {
        line.word("trace", trace);
    }
    line.raw(match format {
        LogFormat::Text => "\n",
        LogFormat::Json => "}\n",
    });
    line.text
}

struct Line {
    text: Vec<u8>,
    format: LogFormat,
}

impl Line {
    fn raw(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    fn name(&mut self, name: &str) {
        let (before, after) = match self.format {
            LogFormat::Text => (" ", "="),
            LogFormat::Json => (",\"", "\":"),
        };
        [before, name, after].into_iter().for_each(|text| self.raw(text));
    }

    fn word(&mut self, name: &str, word: &str) {
        self.name(name);
        let quote = match self.format {
            LogFormat::Text => "",
            LogFormat::Json => "\"",
        };
        [quote, word, quote].into_iter().for_each(|text| self.raw(text));
    }

    fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        self.raw(itoa::Buffer::new().format(number));
    }

    /// With three decimals.
    fn milliseconds(&mut self, duration: Duration) {
        milliseconds(&mut self.text, duration);
    }

    /// In UTC, to the microsecond, as RFC 3339 has it.
    fn time(&mut self, time: SystemTime) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, day) = date(days);
        self.digits(year, 4);
        for (before, number) in [("-", month), ("-", day), ("T", second / 3_600), (":", second / 60 % 60)] {
            self.raw(before);
            self.digits(number, 2);
        }
        self.raw(":");
        self.digits(second % 60, 2);
        self.raw(".");
        self.digits(since.subsec_micros().into(), 6);
        self.raw("Z");
    }

    fn digits(&mut self, number: u64, count: u32) {
        digits(&mut self.text, number, count);
    }
}

/// The year, month and day `days` days after the first of January 1970. Years are counted from the first of March, so
/// that a leap day is their last; 146,097 days are 400 years. (Howard Hinnant, `civil_from_days`.)
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months from March on have 31, 30, 31, 30 and 31 days, over and over.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, is_next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + is_next, month, day)
}

#[cfg(test)]
mod tests {
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

    fn line(format: LogFormat, request: &Request) -> String {
        let time = UNIX_EPOCH + Duration::from_micros(951_782_400_000_042);
        String::from_utf8(of(format, time, request)).unwrap()
    }

    #[test]
    fn a_line_has_the_form_of_events() {
        assert_eq!(
            line(LogFormat::Text, &request()),
            "2000-02-29T00:00:00.000042Z  INFO answered method=POST path=/graphql operation=fib_and_pi status=200 \
             ms=12.034 bytes=85 cached=true\n"
        );
        let traced = Request { bytes: None, trace: Some("0af7651916cd43dd8448eb211c80319c".into()), ..request() };
        assert_eq!(
            line(LogFormat::Json, &traced),
            concat!(
                r#"{"timestamp":"2000-02-29T00:00:00.000042Z","level":"INFO","message":"answered","#,
                r#""method":"POST","path":"/graphql","operation":"fib_and_pi","status":200,"ms":12.034,"#,
                r#""cached":true,"trace":"0af7651916cd43dd8448eb211c80319c"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn dates_are_right_where_they_are_irregular() {
        let rows = [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (364, (1970, 12, 31)),
            // A leap day, in a year that a century's rule would take it from.
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (11_322, (2000, 12, 31)),
            (20_512, (2026, 2, 28)),
            (20_513, (2026, 3, 1)),
            // A century without one.
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ];
        for (days, civil) in rows {
            assert_eq!(date(days), civil, "{days}");
        }
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
        assert!(line(LogFormat::Json, &longest).len() <= LINE_BYTES);
    }
}
