//! Telemetry: every event of the log, every metric and every span has its name and its content here and nowhere else.
//!
//! # The report of a request
//!
//! Each answered request of a client is one line of the [`log`]: its method, the route of its path, the kind of its
//! operation, the status, its duration, the bytes of its answer, whether all of it was cached, and the id of its trace,
//! if spans are exported. The same goes into the [`metrics`]; [`spans`] show the steps that it went through.
//!
//! # Privacy
//!
//! Input of a client is neither logged nor made a label or an attribute: no body, no document, no name of an operation,
//! no variable and no other value, long or short, no query of a URL and no path beyond its route, no header and no
//! address. An unusual method, or a path that phipi does not serve, is `other`. There are two exceptions, neither of which
//! has room for a secret: the id of the caller's trace, in hexadecimal digits, and the key of an entry or the question
//! whose proof failed, which holds one number. Of the operator's settings the log shows the locations of the store and
//! the collector, without passwords. A panic is logged with its place and message, which hold nothing of a client's.

mod account;
mod events;
mod log;
mod metrics;
mod spans;
mod start;

pub use tracing::Level;

pub use self::{
    account::{Account, Kind, Request, Spent},
    events::{
        accept_failed, breaker_closed, breaker_opened, cache_chosen, connection_closed, connection_opened,
        connection_timed_out, drain_cut, draining, evaluation_wrong, file_made, file_moved_aside, ladder_lost,
        log_replaced, mark_is_taken, nothing_is_kept, overloaded, plain, proof_failed, request_answered,
        store_is_unbounded, write_dropped, write_refused, writes_lost,
    },
    log::{Log, LogFormat, LogSettings},
    metrics::{
        EXPOSITION_TYPE,
        cache::{
            Operation, Tier, Trouble, budget_exceeded, connection_replaced, evaluated, joined, looked_up, oversize,
            queue_grew, queue_shrank, store_failed,
        },
        exposition,
        http::{Direction, Listener, Timeout, buffered, released, socket_closed, socket_opened},
    },
    spans::{Collector, CollectorError, RequestSpan, Step, done_within, flush_spans, within},
    start::{StartError, start},
};

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
