//! The two listeners: the public one for clients, and the operator's.
//!
//! This module owns neither ports nor signals: it serves on the listeners that it is given, until `shutdown` resolves.

mod access;
mod admin;
mod answers;
mod body;
mod caching;
mod compression;
mod connections;
mod cors;
mod events;
mod gate;
mod graphql;
mod head;
mod health;
mod held;
mod labels;
mod negotiation;
mod pages;
mod parameters;
mod preconditions;
mod refusal;
mod reply;
mod response_cache;
mod rest;
mod service;
mod site;
mod sockets;
mod values;

use std::{sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    task::spawn_blocking,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use self::{connections::Limits, gate::Gate, service::Service, site::Site};
pub use self::{
    cors::Origins,
    health::{Unhealthy, health},
};
use crate::{
    evaluator::Evaluator,
    telemetry::{self, Listener},
    workers::Workers,
};

/// The deadline of a drain, from `shutdown` on. Orchestrators grant more before they kill.
const DRAIN: Duration = Duration::from_secs(10);

/// The end of the drain, reserved for the write-behind queue of the cache.
const CACHE_DRAIN: Duration = Duration::from_millis(2_500);

/// The timeout of a write during the drain: after this long without one the rest of the queue is dropped.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// The timeout of the last export of spans, within the deadline of the drain.
const SPANS_TIMEOUT: Duration = Duration::from_secs(1);

/// The memory that this room may hold, in bytes, by what it is held for. docs/operating.md adds the rooms up.
pub const MEMORY: [(&str, usize); 7] = [
    ("10,000 connections", Limits::PUBLIC.connections * connections::CONNECTION_BYTES),
    ("10,000 streams of HTTP/2", Limits::PUBLIC.http2_streams * connections::STREAM_BYTES),
    ("heads and bodies of requests", gate::INCOMING_BYTES),
    ("messages of sockets", gate::MESSAGE_BYTES),
    ("answers, and what they are made from", gate::OUTGOING_BYTES),
    ("answers that are sent again", response_cache::CAPACITY_BYTES),
    ("pages, unpacked", pages::UNPACKED_BYTES),
];

/// Serves until `shutdown`, then drains (graceful shutdown).
///
/// From `shutdown` on `/readyz` is 503, and each response of HTTP/1.1 closes its connection, so that a proxy never
/// sends a request to a connection that is being closed. New connections are accepted for `drain_delay` more, the time
/// in which load balancers learn of the drain. Then open requests are answered, the cache writes its write-behind
/// queue, and this returns. Requests and writes that are open at the deadline of ten seconds are cut. Dropping the
/// future cuts all.
pub async fn serve(
    public: TcpListener,
    admin: TcpListener,
    evaluator: Arc<Evaluator>,
    workers: Arc<Workers>,
    origins: Origins,
    shutdown: impl Future<Output = ()>,
    drain_delay: Duration,
) {
    let service = Arc::new(Service::new(Arc::clone(&evaluator), workers));
    let (leaving, draining, sockets) = (&service.leaving, &service.draining, &service.sockets);
    let site = Site::new(Arc::clone(&service), origins);
    let gate = Gate::new(gate::INCOMING_BYTES, gate::OUTGOING_BYTES);
    let clients = connections::serve(Listener::Public, public, site, Limits::PUBLIC, gate, draining.clone());
    let clients = AbortOnDropHandle::new(tokio::spawn(clients));
    // The admin listener outlives the public one, so that probes see the drain.
    let is_local = admin.local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback());
    let operators = admin::router(leaving.clone(), Arc::clone(&evaluator), is_local);
    let gate = Gate::new(gate::ADMIN_BYTES, gate::ADMIN_BYTES);
    let operators =
        connections::serve(Listener::Admin, admin, operators, Limits::ADMIN, gate, CancellationToken::new());
    let _operators = AbortOnDropHandle::new(tokio::spawn(operators));

    shutdown.await;
    telemetry::draining();
    leaving.cancel();
    sleep(drain_delay).await;
    draining.cancel();
    let deadline = Instant::now() + DRAIN;
    let answered = timeout_at(deadline - CACHE_DRAIN, async {
        let _ = clients.await;
        sockets.close();
        sockets.wait().await;
    });
    let answered = answered.await;
    let kept = timeout_at(deadline, evaluator.drain(STORE_TIMEOUT)).await;
    // Spans that a collector does not take before the timeout are lost.
    let _ = timeout_at(deadline.min(Instant::now() + SPANS_TIMEOUT), spawn_blocking(telemetry::flush_spans)).await;
    if answered.is_err() || kept.is_err() {
        telemetry::drain_cut();
    }
}
