//! The report of an answered request: all that the log, the metrics, its span and its client get of it.

use std::time::Duration;

/// The kind of a request. There are few, so that each has a row in the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// GraphQL that asks for Fibonacci numbers.
    Fib,
    /// GraphQL that asks for approximations of π.
    Pi,
    /// GraphQL that asks for both.
    FibAndPi,
    /// GraphQL that asks for digits of π.
    PiDigits,
    /// GraphQL that asks for digits of π and for others.
    Several,
    /// GraphQL that asks for none of them, but for the schema or the limits of this server.
    Introspection,
    /// GraphQL whose response came from the response cache.
    ResponseCache,
    /// A GraphQL subscription over server-sent events, up to its first event, or the handshake of a WebSocket.
    Subscription,
    /// Fibonacci numbers over REST.
    RestFib,
    /// An approximation of π over REST.
    RestPi,
    /// Digits of π over REST.
    RestPiDigits,
    /// Requests of a browser: for pages and their assets, and CORS preflights.
    #[default]
    Page,
    /// A request that was refused, whatever it asked for.
    Refused,
}

impl Kind {
    pub(super) const ALL: [Self; 13] = [
        Self::Fib,
        Self::Pi,
        Self::FibAndPi,
        Self::PiDigits,
        Self::Several,
        Self::Introspection,
        Self::ResponseCache,
        Self::Subscription,
        Self::RestFib,
        Self::RestPi,
        Self::RestPiDigits,
        Self::Page,
        Self::Refused,
    ];

    /// The kind of a request of GraphQL that asks for what requests of both kinds ask for.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Introspection, kind) | (kind, Self::Introspection) => kind,
            (one, other) if one == other => one,
            (Self::PiDigits | Self::Several, _) | (_, Self::PiDigits | Self::Several) => Self::Several,
            _ => Self::FibAndPi,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Fib => "fib",
            Self::Pi => "pi",
            Self::FibAndPi => "fib_and_pi",
            Self::PiDigits => "pi_digits",
            Self::Several => "several",
            Self::Introspection => "introspection",
            Self::ResponseCache => "response_cache",
            Self::Subscription => "subscription",
            Self::RestFib => "rest_fib",
            Self::RestPi => "rest_pi",
            Self::RestPiDigits => "rest_pi_digits",
            Self::Page => "page",
            Self::Refused => "refused",
        }
    }
}

/// The parts of the duration of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// The lookup in the cache, and the write of new entries as long as the request waited for it.
    pub cache: Duration,
    /// The evaluation, or the wait for one in flight; `None` when all was cached.
    pub evaluate: Option<Duration>,
}

/// The report of an answer, beside its status and size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The request's kind.
    pub kind: Kind,
    /// Whether values were asked for, and all of them were cached.
    pub cached: bool,
    /// The parts of its duration; `None` when it used neither the cache nor the workers.
    pub spent: Option<Spent>,
}

impl Account {
    /// The account of a response from the response cache: all of its values were cached.
    pub const RESPONSE_CACHE: Self = Self { kind: Kind::ResponseCache, cached: true, spent: None };

    /// The account of a subscription, each answer of which may be cached or not.
    pub const SUBSCRIPTION: Self = Self { kind: Kind::Subscription, cached: false, spent: None };

    /// The account of a refusal.
    pub const REFUSED: Self = Self { kind: Kind::Refused, cached: false, spent: None };

    /// The header `Server-Timing`: the total duration and its parts in milliseconds. A response from the response cache
    /// has no parts, and says so.
    #[must_use]
    pub fn server_timing(&self, total: Duration) -> String {
        let parts = [
            ("total;dur=", Some(total)),
            (", cache;dur=", self.spent.map(|spent| spent.cache)),
            (", evaluate;dur=", self.spent.and_then(|spent| spent.evaluate)),
        ];
        let mut text = String::with_capacity(96);
        for (name, duration) in parts {
            let Some(duration) = duration else { continue };
            text.push_str(name);
            push_milliseconds(&mut text, duration);
        }
        if self.kind == Kind::ResponseCache {
            text.push_str(", response-cache");
        }
        text
    }
}

/// Appends a duration in milliseconds, with three decimals.
pub(super) fn push_milliseconds(text: &mut String, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    text.push_str(itoa::Buffer::new().format(micros / 1_000));
    text.push('.');
    // The digit in front keeps the zeros.
    text.push_str(&itoa::Buffer::new().format(1_000 + micros % 1_000)[1..]);
}

/// A request that was answered, with all that the log has of it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method, or `other`.
    pub method: &'static str,
    /// The route of its path, or `other`.
    pub route: &'static str,
    /// Its account.
    pub account: Account,
    /// The status of the answer.
    pub status: u16,
    /// The duration from its head to the head of the answer.
    pub took: Duration,
    /// The length of the answer's body, if it is known.
    pub bytes: Option<u64>,
    /// The id of its trace, if spans are exported.
    pub trace: Option<Box<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_timing_has_the_parts_that_there_were() {
        let [total, cache, evaluate] = [1_234_567, 30_000, 1_000].map(Duration::from_nanos);
        let timing = |spent| Account { spent, ..Account::default() }.server_timing(total);
        assert_eq!(timing(None), "total;dur=1.234");
        assert_eq!(timing(Some(Spent { cache, evaluate: None })), "total;dur=1.234, cache;dur=0.030");
        let all = Some(Spent { cache, evaluate: Some(evaluate) });
        assert_eq!(timing(all), "total;dur=1.234, cache;dur=0.030, evaluate;dur=0.001");
        assert_eq!(Account::RESPONSE_CACHE.server_timing(cache), "total;dur=0.030, response-cache");
    }
}
