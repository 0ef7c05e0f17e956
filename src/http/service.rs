//! The state that all handlers share, and the limits of a request.

use std::{sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    gate::{Gate, MESSAGE_BYTES},
    response_cache::ResponseCache,
    values::Values,
};
use crate::{evaluator::Evaluator, graphql::Api, workers::Workers};

/// The longest body of a request: far more than a document with a hundred aliases takes.
pub(super) const BODY_BYTES: usize = 1024 * 1024;

/// The timeout for reading a body, or a message of a socket.
pub(super) const BODY_TIME: Duration = Duration::from_secs(20);

/// The deadline of a request, from its head to its answer.
pub(super) const REQUEST_TIME: Duration = Duration::from_secs(30);

/// The state of the handlers.
pub(super) struct Service {
    pub(super) api: Api,
    pub(super) evaluator: Arc<Evaluator>,
    pub(super) workers: Arc<Workers>,
    pub(super) response_cache: ResponseCache,
    pub(super) values: Values,
    /// The gate of the messages of sockets.
    pub(super) messages: Arc<Gate>,
    /// Cancelled when the process is asked to stop.
    pub(super) leaving: CancellationToken,
    /// Cancelled after the delay of the drain, when no request is accepted any more.
    pub(super) draining: CancellationToken,
    /// The open sockets, for which a drain waits.
    pub(super) sockets: TaskTracker,
}

impl Service {
    /// The state of a server that answers with `evaluator`.
    pub(super) fn new(evaluator: Arc<Evaluator>, workers: Arc<Workers>) -> Self {
        Self {
            api: Api::new(Arc::clone(&evaluator)),
            evaluator,
            workers,
            response_cache: ResponseCache::new(),
            values: Values::default(),
            messages: Gate::new(MESSAGE_BYTES, 0),
            leaving: CancellationToken::new(),
            draining: CancellationToken::new(),
            sockets: TaskTracker::new(),
        }
    }
}

#[cfg(test)]
impl Service {
    /// The state of a server without a store, with the limits that a server has by default.
    pub(super) fn in_memory() -> Arc<Self> {
        use phipi_math::{fib::Index, pi_digits::Count};

        let limits = crate::evaluator::Limits {
            max_n: Index::new(10_000_000).unwrap(),
            max_pi_digits: Count::new(1_000_000).unwrap(),
        };
        let workers = Arc::new(Workers::start(limits.work()).unwrap());
        Arc::new(Self::new(Evaluator::in_memory(limits, Arc::clone(&workers)), workers))
    }
}
