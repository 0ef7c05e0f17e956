//! The metrics of clients: their connections, and the answers to their requests.

use std::sync::LazyLock;

use prometheus::{
    IntCounter, IntCounterVec, IntGauge, register_int_counter, register_int_counter_vec, register_int_gauge,
    register_int_gauge_vec,
};
use tracing::debug;

/// Where connections come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The one for clients. Its connections are counted.
    Public,
    /// The operator's.
    Admin,
}

/// Why a connection was closed before its client did so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// No request came in time, or not the whole of its head.
    Silent,
    /// A request was not sent on, or its answer not read.
    Stalled,
}

/// Each row at hand, since every request counts.
struct Traffic {
    successes: IntCounter,
    refusals: IntCounter,
    failures: IntCounter,
    kept: IntCounter,
    connections: IntGauge,
    silent: IntCounter,
    stalled: IntCounter,
    sockets: IntGauge,
    socket_closes: IntCounterVec,
    held: [IntGauge; 2],
    full: [IntCounter; 2],
}

/// The way of the bytes that the process holds for its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From clients: heads, bodies and messages.
    Incoming,
    /// To clients: answers, and their ingredients.
    Outgoing,
}

static TRAFFIC: LazyLock<Traffic> =
    LazyLock::new(|| Traffic::register().expect("each name is registered once, and well-formed"));

impl Traffic {
    fn register() -> prometheus::Result<Self> {
        let answers = register_int_counter_vec!(
            "phipi_http_answers_total",
            "Requests of clients that were answered, by the class of the status.",
            &["status"]
        )?;
        let cuts = register_int_counter_vec!(
            "phipi_http_connections_cut_total",
            "Connections that were closed since no request came, or one stood still, by cause.",
            &["cause"]
        )?;
        let held = register_int_gauge_vec!(
            "phipi_http_held_bytes",
            "Bytes held for clients, out of the budget that all connections share, by direction.",
            &["direction"]
        )?;
        let full = register_int_counter_vec!(
            "phipi_http_budget_full_total",
            "Times that a budget for the bytes of clients was full, by direction.",
            &["direction"]
        )?;
        Ok(Self {
            successes: answers.with_label_values(&["2xx"]),
            refusals: answers.with_label_values(&["4xx"]),
            failures: answers.with_label_values(&["5xx"]),
            kept: register_int_counter!(
                "phipi_http_kept_answers_total",
                "Answers that were sent as they were sent before, without looking anything up."
            )?,
            connections: register_int_gauge!("phipi_http_connections", "Connections of clients that are open now.")?,
            silent: cuts.with_label_values(&["silent"]),
            stalled: cuts.with_label_values(&["stalled"]),
            sockets: register_int_gauge!("phipi_http_sockets", "WebSockets of clients that are open now.")?,
            socket_closes: register_int_counter_vec!(
                "phipi_http_sockets_closed_total",
                "WebSockets that were closed by this process, by code.",
                &["code"]
            )?,
            held: DIRECTIONS.map(|direction| held.with_label_values(&[direction])),
            full: DIRECTIONS.map(|direction| full.with_label_values(&[direction])),
        })
    }
}

/// The labels of the directions, in their order.
const DIRECTIONS: [&str; 2] = ["in", "out"];

/// Shows all rows from the start, as the other metrics do.
pub(super) fn show() {
    for code in [1001, 1002, 1007, 1008, 1009, 1013, 3008, 4400, 4401, 4406, 4408, 4409, 4429_u16] {
        TRAFFIC.socket_closes.with_label_values(&[&code.to_string()]);
    }
}

/// A client's request was answered with this status. (A redirect and a 304 count as successes.)
pub(super) fn answered(status: u16) {
    match status {
        ..400 => TRAFFIC.successes.inc(),
        // A method or a coding that nobody implements is a mistake of the client's too, and must not wake an operator.
        400..500 | 501 => TRAFFIC.refusals.inc(),
        500.. => TRAFFIC.failures.inc(),
    }
}

/// An answer was sent as it was before.
pub fn answer_was_kept() {
    TRAFFIC.kept.inc();
}

/// A connection was accepted.
pub fn connection_opened(listener: Listener) {
    if listener == Listener::Public {
        TRAFFIC.connections.inc();
        debug!("a connection is open");
    }
}

/// A connection has ended.
pub fn connection_closed(listener: Listener) {
    if listener == Listener::Public {
        TRAFFIC.connections.dec();
        debug!("a connection has ended");
    }
}

/// A connection was cut for the inactivity of its client.
pub fn connection_cut(listener: Listener, cause: Cut) {
    if listener == Listener::Public {
        match cause {
            Cut::Silent => {
                TRAFFIC.silent.inc();
                debug!("a connection is closed: no whole head came in time");
            }
            Cut::Stalled => {
                TRAFFIC.stalled.inc();
                debug!("a connection is closed: its client does not take the answer");
            }
        }
    }
}

/// A WebSocket, as long as it is open.
#[must_use]
pub struct OpenSocket(());

impl Drop for OpenSocket {
    fn drop(&mut self) {
        TRAFFIC.sockets.dec();
    }
}

/// A WebSocket was opened.
pub fn socket_opened() -> OpenSocket {
    TRAFFIC.sockets.inc();
    OpenSocket(())
}

/// A WebSocket is closed with this code.
pub fn socket_closed(code: u16) {
    TRAFFIC.socket_closes.with_label_values(&[&code.to_string()]).inc();
}

/// Bytes of the common budget are held.
pub fn held(direction: Direction, bytes: usize) {
    TRAFFIC.held[direction as usize].add(i64::try_from(bytes).unwrap_or(i64::MAX));
}

/// Bytes of the common budget are held no longer.
pub fn released(direction: Direction, bytes: usize) {
    TRAFFIC.held[direction as usize].sub(i64::try_from(bytes).unwrap_or(i64::MAX));
}

/// There was no room for the bytes of a client.
pub fn gate_was_full(direction: Direction) {
    TRAFFIC.full[direction as usize].inc();
    debug!("there is no room for more bytes {}", DIRECTIONS[direction as usize]);
}
