//! Every event that the log may hold, every metric and every span, by name, in one place: the content of all reports is
//! decided here and nowhere else.
//!
//! # The report of a request
//!
//! Each answered request of a client is one line of the [`log`]: its method, the route of its path, the kind of its
//! operation, the status, its duration, the bytes of its answer, whether all of it was cached, and its trace, if spans
//! are exported. The same goes into the metrics of [`requests`]; [`spans`] show the steps that it went through.
//!
//! # Never reported
//!
//! Input of a client is neither logged nor made a label or an attribute: no body, no document, no name of an operation,
//! no variable and no other value, long or short, no query of a URL and no path beyond its route, no header and no
//! address. An unusual method, or a path that is none of ours, is `other`. There are two exceptions, neither of which
//! has room for a secret: the id of the caller's trace, in hexadecimal digits, and the key of an entry or the question
//! whose proof failed, which holds one number. Of the operator's settings the log shows where the store and the
//! collector are, without passwords. A panic is logged with its place and message, which hold nothing of a client's.

mod account;
mod digits;
mod events;
mod exposition;
mod log;
mod metrics;
mod requests;
mod spans;
mod start;
mod traffic;

pub use tracing::Level;

pub use self::{
    account::{Account, Kind, Request, Spent},
    events::{
        accepting_rests, breaker_closed, breaker_opened, cache_chosen, drain_cut, draining, evaluation_wrong,
        file_made, file_moved_aside, log_replaced, mark_is_taken, nothing_is_kept, plain, proof_failed,
        store_is_unbounded, write_dropped, write_refused, writes_lost,
    },
    exposition::{EXPOSITION_TYPE, exposition},
    log::{Log, LogFormat, LogSettings},
    metrics::{
        Operation, Tier, Trouble, budget_exceeded, connection_replaced, evaluated, joined, looked_up, oversize,
        queue_grew, queue_shrank, store_failed,
    },
    requests::answered,
    spans::{Collector, CollectorError, RequestSpan, Step, done_within, flush_spans, within},
    start::{StartError, start},
    traffic::{
        Cut, Direction, Listener, answer_was_kept, connection_closed, connection_cut, connection_opened, gate_was_full,
        held, released, socket_closed, socket_opened,
    },
};

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
