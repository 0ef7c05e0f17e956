//! An account says what is reported of an answer beside its status, and a request holds all that the log has of it.

use std::time::Duration;

use super::digits::milliseconds;

/// The kind of a request. There are few, so that each may be a row of a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// GraphQL that asks for Fibonacci numbers.
    Fib,
    /// GraphQL that asks for approximations of π.
    Pi,
    /// GraphQL that asks for both.
    FibAndPi,
    /// GraphQL that asks for neither, but about this server: its schema, or what it admits.
    Introspection,
    /// GraphQL with an answer that was sent before.
    Kept,
    /// GraphQL whose answers come one after the other, up to the first of them; or a WebSocket for such.
    Subscription,
    /// A Fibonacci number over REST.
    RestFib,
    /// An approximation of π over REST.
    RestPi,
    /// Requests of a browser: for pages, and for permissions.
    #[default]
    Page,
    /// A refused request, whatever it was about.
    Refused,
}

impl Kind {
    pub(super) const ALL: [Self; 10] = [
        Self::Fib,
        Self::Pi,
        Self::FibAndPi,
        Self::Introspection,
        Self::Kept,
        Self::Subscription,
        Self::RestFib,
        Self::RestPi,
        Self::Page,
        Self::Refused,
    ];

    /// The kind of a request of GraphQL that asks for what requests of both kinds ask for.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Introspection, kind) | (kind, Self::Introspection) => kind,
            (one, other) if one == other => one,
            _ => Self::FibAndPi,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Fib => "fib",
            Self::Pi => "pi",
            Self::FibAndPi => "fib_and_pi",
            Self::Introspection => "introspection",
            Self::Kept => "kept",
            Self::Subscription => "subscription",
            Self::RestFib => "rest_fib",
            Self::RestPi => "rest_pi",
            Self::Page => "page",
            Self::Refused => "refused",
        }
    }
}

/// The time that an answer took, in its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Asking the cache, and waiting until it has the new entries.
    pub cache: Duration,
    /// Evaluating, or waiting for another flight; nothing when all was cached.
    pub evaluate: Option<Duration>,
}

/// The report of an answer beside its status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The request's kind.
    pub kind: Kind,
    /// Whether something was asked, and all of it was cached.
    pub cached: bool,
    /// Its time; `None` when neither the cache nor the workers had to do with it.
    pub spent: Option<Spent>,
}

impl Account {
    /// Of an answer that was sent before: all of it was cached.
    pub const KEPT: Self = Self { kind: Kind::Kept, cached: true, spent: None };

    /// Of answers that come one after the other: each may be cached or not.
    pub const SUBSCRIPTION: Self = Self { kind: Kind::Subscription, cached: false, spent: None };

    /// Of a refusal.
    pub const REFUSED: Self = Self { kind: Kind::Refused, cached: false, spent: None };

    /// The time that it took in all and in its parts, in milliseconds, for the header `Server-Timing`. An answer that
    /// was sent before has no parts, and says so.
    #[must_use]
    pub fn server_timing(&self, total: Duration) -> Vec<u8> {
        let parts = [
            ("total;dur=", Some(total)),
            (", cache;dur=", self.spent.map(|spent| spent.cache)),
            (", evaluate;dur=", self.spent.and_then(|spent| spent.evaluate)),
        ];
        let mut text = Vec::with_capacity(64);
        for (name, duration) in parts {
            let Some(duration) = duration else { continue };
            text.extend_from_slice(name.as_bytes());
            milliseconds(&mut text, duration);
        }
        if self.kind == Kind::Kept {
            text.extend_from_slice(b", kept");
        }
        text
    }
}

/// A request that was answered: all that the log holds of it, and nothing else.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method, if it is a usual one.
    pub method: &'static str,
    /// The route of its path, if there is one.
    pub route: &'static str,
    /// Its account.
    pub account: Account,
    /// The status of the answer.
    pub status: u16,
    /// From its head to the head of the answer.
    pub took: Duration,
    /// The length of the answer, if that is known.
    pub bytes: Option<u64>,
    /// The trace that it is part of, if spans are exported.
    pub trace: Option<Box<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_timing_has_the_parts_that_there_were() {
        let [total, cache, evaluate] = [1_234_567, 30_000, 1_000].map(Duration::from_nanos);
        let timing = |spent| String::from_utf8(Account { spent, ..Account::default() }.server_timing(total)).unwrap();
        assert_eq!(timing(None), "total;dur=1.234");
        assert_eq!(timing(Some(Spent { cache, evaluate: None })), "total;dur=1.234, cache;dur=0.030");
        let all = Some(Spent { cache, evaluate: Some(evaluate) });
        assert_eq!(timing(all), "total;dur=1.234, cache;dur=0.030, evaluate;dur=0.001");
        assert_eq!(Account::KEPT.server_timing(cache), b"total;dur=0.030, kept");
    }
}
