//! Each connection has a slot, as long as it is open, and all of a listener share a shared.

use std::sync::Arc;

use hyper_util::server::conn::auto;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{http2::Streams, limits::Limits};
use crate::{
    http::gate::Gate,
    telemetry::{self, Listener},
};

/// Shared by the connections of a listener.
pub(super) struct ListenerState {
    pub(super) listener: Listener,
    pub(super) limits: Limits,
    pub(super) gate: Arc<Gate>,
    /// The places of connections of HTTP/2.
    pub(super) http2: Arc<Semaphore>,
    pub(super) protocols: auto::Builder<Streams>,
    pub(super) draining: CancellationToken,
    /// Woken when a connection has ended, and its file is free.
    pub(super) ended: Notify,
}

/// A connection's place among those that may be open; free again when it is dropped.
pub(super) struct Slot {
    _permit: OwnedSemaphorePermit,
    pub(super) shared: Arc<ListenerState>,
}

impl Slot {
    pub(super) fn new(permit: OwnedSemaphorePermit, shared: Arc<ListenerState>) -> Self {
        telemetry::connection_opened(shared.listener);
        Self { _permit: permit, shared }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        telemetry::connection_closed(self.shared.listener);
        self.shared.ended.notify_one();
    }
}
