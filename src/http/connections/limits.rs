//! The limits of connections bound their number, their time and their memory.

use std::time::Duration;

use crate::http::gate::SHARE_BYTES;

/// The longest head of a request, and the largest buffer of a connection: room for a long document in a URL.
pub(super) const BUFFER_BYTES: u32 = 64 * 1024;

/// The memory that a connection may take by itself: 20 KiB for its task and buffers (26 KiB were measured after a request, 8 of them
/// its head), and its share at the gate in both directions.
pub(in crate::http) const CONNECTION_BYTES: usize = 20 * 1024 + 2 * SHARE_BYTES;

/// The memory that an open stream of HTTP/2 takes by itself: its task. Measured with ten thousand of them.
pub(in crate::http) const STREAM_BYTES: usize = 21 * 1024;

/// The limits of the connections of a listener.
#[derive(Clone, Debug)]
pub(in crate::http) struct Limits {
    /// The most that may be open; the rest waits in the backlog.
    pub(in crate::http) connections: usize,
    /// The most that may speak HTTP/2: each of those has a window, tables, and a list of a hundred streams.
    pub(in crate::http) http2_connections: usize,
    /// The most streams of HTTP/2 on all connections; one more is reset.
    pub(in crate::http) http2_streams: usize,
    /// From being accepted to the end of the first head.
    pub(in crate::http) head: Duration,
    /// From the last answer to the end of the next head.
    pub(in crate::http) idle: Duration,
    /// For an answer none of which the client takes.
    pub(in crate::http) stall: Duration,
    /// For a head that is on its way when a drain begins.
    pub(in crate::http) grace: Duration,
}

impl Limits {
    /// Those of the public listener.
    pub(in crate::http) const PUBLIC: Self = Self {
        connections: 10_000,
        http2_connections: 1_000,
        http2_streams: 10_000,
        head: Duration::from_secs(10),
        // Longer than the 60 s for which nginx and AWS keep a connection to use it again: the side that sends requests has to
        // be the one that closes, or a request meets a connection that was just closed.
        idle: Duration::from_secs(75),
        // Longer than the loss of a network that recovers by itself.
        stall: Duration::from_secs(35),
        grace: Duration::from_secs(1),
    };

    /// Those of the operator's listener: for some probes and some that scrape.
    pub(in crate::http) const ADMIN: Self = Self { connections: 100, ..Self::PUBLIC };
}
