//! The limits of connections: their number, their timeouts and their memory.

use std::time::Duration;

use crate::http::gate::SHARE_BYTES;

/// The longest head of a request, and the largest buffer of a connection. A long document in a URL fits.
pub(super) const BUFFER_BYTES: u32 = 64 * 1024;

/// The memory of a connection without its requests: 20 KiB for its task and buffers (26 KiB were measured after a
/// request, 8 of them its head), and its share of the gate in both directions.
pub(in crate::http) const CONNECTION_BYTES: usize = 20 * 1024 + 2 * SHARE_BYTES;

/// The memory of the task of an open HTTP/2 stream, measured with ten thousand of them.
pub(in crate::http) const STREAM_BYTES: usize = 21 * 1024;

/// The limits of the connections of a listener.
#[derive(Clone, Debug)]
pub(in crate::http) struct Limits {
    /// The connections that may be open; further ones wait in the backlog.
    pub(in crate::http) connections: usize,
    /// The connections that may speak HTTP/2: each of those has a window, tables, and a list of a hundred streams.
    pub(in crate::http) http2_connections: usize,
    /// The HTTP/2 streams that may be open on all connections; further ones are reset.
    pub(in crate::http) http2_streams: usize,
    /// The timeout of the first head, from accepting the connection.
    pub(in crate::http) head: Duration,
    /// The timeout of the next head, from the end of the last response.
    pub(in crate::http) idle: Duration,
    /// The timeout of a response of which the client reads nothing.
    pub(in crate::http) stall: Duration,
    /// The time in which a head that is in flight when a drain begins is still served.
    pub(in crate::http) grace: Duration,
}

impl Limits {
    /// The limits of the public listener.
    pub(in crate::http) const PUBLIC: Self = Self {
        connections: 10_000,
        http2_connections: 1_000,
        http2_streams: 10_000,
        head: Duration::from_secs(10),
        // It is longer than the keep-alive timeout of nginx and AWS, 60 s: the side that sends requests has to close
        // first, or a request races with the close.
        idle: Duration::from_secs(75),
        // It is longer than a network outage that recovers by itself.
        stall: Duration::from_secs(35),
        grace: Duration::from_secs(1),
    };

    /// The limits of the admin listener, for some probes and scrapers.
    pub(in crate::http) const ADMIN: Self = Self { connections: 100, ..Self::PUBLIC };
}
