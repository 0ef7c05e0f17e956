//! The metrics of the public listener: connections, sockets, buffers, and the responses to requests.

use std::sync::LazyLock;

use prometheus::{
    Histogram, IntCounter, IntCounterVec, IntGauge, register_histogram_vec, register_int_counter_vec,
    register_int_gauge, register_int_gauge_vec,
};

use crate::telemetry::account::{Kind, Request};

/// A listener of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The listener for clients. Its connections are counted.
    Public,
    /// The listener for operators.
    Admin,
}

/// Why a connection was closed before its client did so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// No whole head of a request arrived in time.
    Idle,
    /// The client did not read the response.
    Stalled,
}

/// The direction of bytes that the process buffers for its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From clients: heads, bodies and messages.
    Incoming,
    /// To clients: responses, and what they are made from.
    Outgoing,
}

impl Direction {
    const ALL: [Self; 2] = [Self::Incoming, Self::Outgoing];

    pub(in crate::telemetry) fn label(self) -> &'static str {
        match self {
            Self::Incoming => "in",
            Self::Outgoing => "out",
        }
    }
}

/// Each row that requests write is at hand.
struct Metrics {
    /// By the class of the status: 2xx, 4xx and 5xx.
    responses: [IntCounter; 3],
    /// By kind.
    durations: [Histogram; Kind::ALL.len()],
    connections: IntGauge,
    timeouts: [IntCounter; 2],
    websockets: IntGauge,
    websockets_closed: IntCounterVec,
    buffered: [IntGauge; 2],
    overloads: [IntCounter; 2],
}

/// The bounds of the histogram, in seconds: a response from the response cache takes some microseconds, and none takes
/// more than the deadline of thirty seconds.
const BOUNDS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

static METRICS: LazyLock<Metrics> =
    LazyLock::new(|| Metrics::new().expect("each name is registered once, and well-formed"));

impl Metrics {
    fn new() -> prometheus::Result<Self> {
        let responses = register_int_counter_vec!(
            "phipi_http_responses_total",
            "Responses to requests and to operations on WebSockets, by the class of the status: 2xx has 101, 304 and 308 too.",
            &["status"]
        )?;
        let durations = register_histogram_vec!(
            "phipi_http_request_duration_seconds",
            "Seconds from the head of a request to the head of its response, or from an operation on a WebSocket to its first \
             response, by kind of operation.",
            &["operation"],
            BOUNDS.to_vec()
        )?;
        let timeouts = register_int_counter_vec!(
            "phipi_http_connection_timeouts_total",
            "Connections that were closed, and HTTP/2 streams that were reset, at a timeout, by cause: idle when no request \
             arrived, stalled when the client did not read a response.",
            &["cause"]
        )?;
        let websockets_closed = register_int_counter_vec!(
            "phipi_http_websockets_closed_total",
            "WebSockets that this process closed, by close code.",
            &["code"]
        )?;
        for code in [1001, 1002, 1007, 1008, 1009, 1013, 3008, 4400, 4401, 4406, 4408, 4409, 4429_u16] {
            websockets_closed.with_label_values(&[&code.to_string()]);
        }
        let buffered = register_int_gauge_vec!(
            "phipi_http_buffered_bytes",
            "Bytes that are buffered for clients and count against the shared budgets, by direction.",
            &["direction"]
        )?;
        let overloads = register_int_counter_vec!(
            "phipi_http_overloads_total",
            "Requests and messages that were refused as overloaded because a shared budget was full, by direction.",
            &["direction"]
        )?;
        Ok(Self {
            responses: ["2xx", "4xx", "5xx"].map(|class| responses.with_label_values(&[class])),
            durations: Kind::ALL.map(|kind| durations.with_label_values(&[kind.label()])),
            connections: register_int_gauge!("phipi_http_connections", "Connections of clients that are open.")?,
            timeouts: ["idle", "stalled"].map(|cause| timeouts.with_label_values(&[cause])),
            websockets: register_int_gauge!("phipi_http_websockets", "WebSockets of clients that are open.")?,
            websockets_closed,
            buffered: Direction::ALL.map(|direction| buffered.with_label_values(&[direction.label()])),
            overloads: Direction::ALL.map(|direction| overloads.with_label_values(&[direction.label()])),
        })
    }
}

pub(super) fn register() {
    LazyLock::force(&METRICS);
}

/// Counts and measures a request that was answered. (A redirect and a 304 count as successes.)
pub(in crate::telemetry) fn request_answered(request: &Request) {
    let class = match request.status {
        ..400 => 0,
        // A method or a coding that nobody implements is a mistake of the client's too, and must not wake an operator.
        400..500 | 501 => 1,
        500.. => 2,
    };
    METRICS.responses[class].inc();
    METRICS.durations[request.account.kind as usize].observe(request.took.as_secs_f64());
}

pub(in crate::telemetry) fn connections_changed(difference: i64) {
    METRICS.connections.add(difference);
}

pub(in crate::telemetry) fn timed_out(cause: Timeout) {
    METRICS.timeouts[cause as usize].inc();
}

/// Counts a WebSocket as open until it is dropped.
#[must_use]
pub struct OpenSocket(());

impl Drop for OpenSocket {
    fn drop(&mut self) {
        METRICS.websockets.dec();
    }
}

/// Counts a WebSocket that was opened.
pub fn socket_opened() -> OpenSocket {
    METRICS.websockets.inc();
    OpenSocket(())
}

/// Counts a WebSocket that is closed with this code.
pub fn socket_closed(code: u16) {
    METRICS.websockets_closed.with_label_values(&[&code.to_string()]).inc();
}

/// Counts bytes of a shared budget that are buffered from now on.
pub fn buffered(direction: Direction, bytes: usize) {
    METRICS.buffered[direction as usize].add(i64::try_from(bytes).unwrap_or(i64::MAX));
}

/// Counts bytes of a shared budget that are buffered no longer.
pub fn released(direction: Direction, bytes: usize) {
    METRICS.buffered[direction as usize].sub(i64::try_from(bytes).unwrap_or(i64::MAX));
}

pub(in crate::telemetry) fn overloaded(direction: Direction) {
    METRICS.overloads[direction as usize].inc();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_histogram() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place, "{kind:?}");
        }
    }
}
