//! The slot of an open connection, and the state that all connections of a listener share.

use std::sync::Arc;

use hyper_util::server::conn::auto;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{http2::Streams, limits::Limits};
use crate::{
    http::gate::Gate,
    telemetry::{self, Listener},
};

/// The state that the connections of a listener share.
pub(super) struct ListenerState {
    pub(super) listener: Listener,
    pub(super) limits: Limits,
    pub(super) gate: Arc<Gate>,
    /// The permits of HTTP/2 connections.
    pub(super) http2: Arc<Semaphore>,
    pub(super) protocols: auto::Builder<Streams>,
    pub(super) draining: CancellationToken,
    /// Notified when a connection has ended, and its file is free.
    pub(super) ended: Notify,
}

/// The permit of an open connection; dropping it lets another one be accepted.
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
