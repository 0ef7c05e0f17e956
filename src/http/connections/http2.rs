//! The streams of HTTP/2 are bounded in number over all connections, and each in the time without progress.

use std::{sync::Arc, time::Duration};

use hyper::rt::Executor;
use tokio::sync::Semaphore;

use super::{limits::Limits, progress::Watch};
use crate::telemetry::{self, Listener, Timeout};

/// Runs the streams of HTTP/2, each until it has ended or its client leaves the answer alone: to drop a stream resets it.
#[derive(Clone)]
pub(super) struct Streams {
    listener: Listener,
    stall: Duration,
    /// The places of all streams.
    places: Arc<Semaphore>,
}

impl Streams {
    pub(super) fn new(listener: Listener, limits: &Limits) -> Self {
        Self { listener, stall: limits.stall, places: Arc::new(Semaphore::new(limits.http2_streams)) }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let (listener, stall, watch) = (self.listener, self.stall, Arc::new(Watch::default()));
        // To drop a stream resets it.
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return };
        tokio::spawn(async move {
            let _place = place;
            tokio::select! {
                () = Arc::clone(&watch).over(stream) => {}
                () = watch.stalled(stall) => telemetry::connection_timed_out(listener, Timeout::Stalled),
            }
        });
    }
}
