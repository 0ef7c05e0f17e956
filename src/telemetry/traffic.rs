//! The metrics of clients: their connections and how their requests were answered.

use std::sync::LazyLock;

use prometheus::{
    IntCounter, IntCounterVec, IntGauge, register_int_counter, register_int_counter_vec, register_int_gauge,
};

use super::{Cut, Listener};

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
        })
    }
}

/// Shows all rows from the start, as the other metrics do.
pub(super) fn show() {
    for code in [1001, 4400, 4401, 4406, 4408, 4409, 4429_u16] {
        TRAFFIC.socket_closes.with_label_values(&[&code.to_string()]);
    }
}

/// A client's request was answered with this status. (A redirect or what a client has already count as successes.)
pub(super) fn answered(status: u16) {
    match status {
        ..400 => TRAFFIC.successes.inc(),
        400..500 => TRAFFIC.refusals.inc(),
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
    }
}

/// A connection has ended.
pub fn connection_closed(listener: Listener) {
    if listener == Listener::Public {
        TRAFFIC.connections.dec();
    }
}

/// A connection is closed for what its client did not do.
pub fn connection_cut(listener: Listener, cause: Cut) {
    if listener == Listener::Public {
        match cause {
            Cut::Silent => TRAFFIC.silent.inc(),
            Cut::Stalled => TRAFFIC.stalled.inc(),
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
