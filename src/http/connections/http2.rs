//! Bounds HTTP/2 streams, in their number over all connections, and each by the stall timeout.

use std::{sync::Arc, time::Duration};

use hyper::rt::Executor;
use tokio::sync::Semaphore;

use super::{limits::Limits, progress::Watch};
use crate::telemetry::{self, Listener, Timeout};

/// Runs HTTP/2 streams, each until it has ended or its response has stalled. Dropping a stream resets it.
#[derive(Clone)]
pub(super) struct Streams {
    listener: Listener,
    stall: Duration,
    /// The permits of all streams.
    permits: Arc<Semaphore>,
}

impl Streams {
    pub(super) fn new(listener: Listener, limits: &Limits) -> Self {
        Self { listener, stall: limits.stall, permits: Arc::new(Semaphore::new(limits.http2_streams)) }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        // Dropping the stream resets it.
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { return };
        let (listener, stall, watch) = (self.listener, self.stall, Arc::new(Watch::over_stream(permit)));
        tokio::spawn(async move {
            tokio::select! {
                () = Arc::clone(&watch).over(stream) => {}
                () = watch.stalled(stall) => telemetry::connection_timed_out(listener, Timeout::Stalled),
            }
        });
    }
}
