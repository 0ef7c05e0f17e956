//! One WebSocket as RFC 6455 has it: messages in both directions, and an end in which both sides take part.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        error::ProtocolError,
        protocol::{CloseFrame, Role, WebSocketConfig},
    },
};

use super::{message::Close, wire::Wire};
use crate::{
    http::{
        connections::PACE,
        gate::{Client, OUTGOING_BYTES},
        service::BODY_BYTES,
    },
    telemetry::{self, Listener, Timeout},
};

/// The time in which a client has to take a message. What it takes gives time back at [`PACE`], up to the whole of this.
const STALL: Duration = Duration::from_secs(35);

/// The interval at which the progress of a client is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The time for which a closed socket waits for the client to close too: several round trips of a slow network. The
/// client has the Close by then, and neither a drain nor a flood is waited for any longer.
const CLOSING: Duration = Duration::from_secs(2);

/// The buffer for input: room for a usual message.
const READ_BYTES: usize = 4 * 1024;

/// A WebSocket on a stream of bytes.
pub(super) struct Transport<S>(WebSocketStream<Wire<S>>);

/// The cause of the end of a socket.
#[derive(Debug)]
pub(super) enum End {
    /// The client is told why.
    Close(Close),
    /// The client has closed it, and is answered.
    Closed,
    /// There is nobody to tell.
    Gone,
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Close(close)
    }
}

impl From<&Error> for End {
    fn from(error: &Error) -> Self {
        match error {
            Error::Capacity(_) => Close::TooLong.into(),
            Error::Utf8(_) => Close::NotText.into(),
            // The client ended the connection, and not the socket.
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Gone,
            Error::Protocol(_) => Close::Broken.into(),
            Error::Io(error) => {
                let refusal = error.get_ref().and_then(|cause| cause.downcast_ref::<Close>());
                refusal.map_or(Self::Gone, |&close| close.into())
            }
            _ => Self::Gone,
        }
    }
}

/// The limits of the library: buffers that are small, messages as long as bodies, and nothing to write that has no permit.
fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(OUTGOING_BYTES)
        .max_message_size(Some(BODY_BYTES))
        .max_frame_size(Some(BODY_BYTES))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    /// The server's side of a socket; `client` counts the messages that come in.
    pub(super) async fn new(stream: S, client: Arc<Client>) -> Self {
        let wire = Wire::new(stream, client);
        Self(WebSocketStream::from_raw_socket(wire, Role::Server, Some(config())).await)
    }

    /// The time at which the unfinished message began; `None` when there is none.
    pub(super) fn unfinished_since(&self) -> Option<Instant> {
        self.0.get_ref().unfinished_since().map(Instant::from_std)
    }

    /// The next message of the client, but for a Close, which is an end. Nothing is lost when it is cancelled. The library
    /// answers a Ping when it is asked for the next message.
    pub(super) async fn receive(&mut self) -> Result<Message, End> {
        match self.0.next().await {
            Some(Ok(Message::Close(_))) => Err(End::Closed),
            Some(Ok(message)) => Ok(message),
            Some(Err(error)) => Err(End::from(&error)),
            None => Err(End::Gone),
        }
    }

    /// Sends a message; it is an end when the client takes it more slowly than at [`PACE`].
    pub(super) async fn send(&mut self, message: impl Into<Message>) -> Result<(), End> {
        let sent = self.0.get_ref().sent();
        let (mut before, mut left) = (sent.load(Relaxed), STALL);
        let mut sending = pin!(self.0.send(message.into()));
        while !left.is_zero() {
            if let Ok(outcome) = timeout(LOOK, &mut sending).await {
                return outcome.map_err(|_| End::Gone);
            }
            let now = sent.load(Relaxed);
            let earned = Duration::from_secs(now - before) / PACE;
            left = (left + earned).saturating_sub(LOOK).min(STALL);
            before = now;
        }
        telemetry::connection_timed_out(Listener::Public, Timeout::Stalled);
        Err(End::Gone)
    }

    /// Ends the socket: tells the client, or answers its Close, and waits until the client has closed too.
    pub(super) async fn end(mut self, end: End) {
        let is_told = match end {
            End::Close(close) => {
                let (code, reason) = close.frame();
                telemetry::socket_closed(code);
                self.send(Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))).await.is_ok()
            }
            // The library has made the answer.
            End::Closed => matches!(timeout(STALL, self.0.flush()).await, Ok(Ok(()))),
            End::Gone => false,
        };
        if is_told {
            let _ = timeout(CLOSING, self.0.get_mut().finish()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, process::Command};

    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
        task::{AbortHandle, JoinSet, spawn_blocking},
        time::sleep,
    };
    use tokio_tungstenite::accept_async;

    use super::*;
    use crate::http::gate::{Gate, MESSAGE_BYTES};

    /// Sends every message back, as the cases of Autobahn want it. Handshakes have tests of their own.
    async fn echo(stream: TcpStream, gate: Arc<Gate>) {
        let Ok(socket) = accept_async(stream).await else { return };
        let mut transport = Transport::new(socket.into_inner(), Client::new(&gate)).await;
        let end = loop {
            let outcome = match transport.receive().await {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => transport.send(message).await,
                Ok(_) => Ok(()),
                Err(end) => Err(end),
            };
            if let Err(end) = outcome {
                break end;
            }
        };
        transport.end(end).await;
    }

    /// The clock goes on whenever all tasks wait.
    #[tokio::test(start_paused = true)]
    async fn a_message_may_take_as_long_as_its_client_makes_progress() {
        const LONG: usize = 1024 * 1024;
        const SHORT: usize = 100 * 1024;
        for (length, pace, is_taken) in [(LONG, 2 * PACE, true), (LONG, PACE / 2, false), (SHORT, PACE / 2, true)] {
            let (server, mut client) = tokio::io::duplex(1024);
            let mut transport = Transport::new(server, Client::new(&Gate::new(0, 0))).await;
            let reading = tokio::spawn(async move {
                let mut second = vec![0; pace as usize];
                while client.read_exact(&mut second).await.is_ok() {
                    sleep(Duration::from_secs(1)).await;
                }
            });
            let sent = transport.send("x".repeat(length)).await;
            assert_eq!(sent.is_ok(), is_taken, "{length} bytes, {pace} a second");
            reading.abort();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_reading_is_given_up_soon_however_fast_it_was() {
        let (server, mut client) = tokio::io::duplex(1024);
        let mut transport = Transport::new(server, Client::new(&Gate::new(0, 0))).await;
        let reading = tokio::spawn(async move {
            client.read_exact(&mut vec![0; 512 * 1024]).await.unwrap();
            (client, Instant::now())
        });
        assert!(matches!(transport.send("x".repeat(1024 * 1024)).await, Err(End::Gone)));
        let (_client, stopped) = reading.await.unwrap();
        assert!(stopped.elapsed() <= STALL + 2 * LOOK, "{:?}", stopped.elapsed());
    }

    fn serve_echo(listener: TcpListener) -> AbortHandle {
        let serve = async move {
            let (gate, mut sockets) = (Gate::new(MESSAGE_BYTES, 0), JoinSet::new());
            while let Ok((stream, _)) = listener.accept().await {
                sockets.spawn(echo(stream, Arc::clone(&gate)));
            }
        };
        tokio::spawn(serve).abort_handle()
    }

    /// The test suite of Autobahn, run by kosoku, which scripts/test installs.
    #[tokio::test]
    async fn the_cases_of_autobahn_pass() {
        /// Compression is not offered, and messages of 4 MiB and more are longer than any may be.
        const EXCLUDED: [&str; 10] =
            ["12.*", "13.*", "9.1.4", "9.1.5", "9.1.6", "9.2.4", "9.2.5", "9.2.6", "9.3.*", "9.4.*"];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = serve_echo(listener);
        let reports = tempfile::tempdir().unwrap();
        let kosoku = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/kosoku");
        let mut command = Command::new(kosoku);
        command.arg(address).arg("-o").arg(reports.path()).args(["-p", "4"]);
        command.args(EXCLUDED.iter().flat_map(|case| ["-x", case]));
        let output = spawn_blocking(move || command.output()).await.unwrap().unwrap();
        server.abort();
        let (told, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{failed}");
        assert!(told.ends_with("\n277 cases passed\n"), "{told}");
    }
}
