//! The byte stream of a connection, which takes permits for long heads while they are read.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use smallvec::SmallVec;
use tokio::{net::TcpStream, sync::OwnedSemaphorePermit};

use super::{activity::Activity, limits::BUFFER_BYTES, pause::Pause, slot::Slot};
use crate::http::gate::{Client, Permit};

/// The bytes that are read at once, and the part of a head that needs no permit: the smallest buffer of a connection,
/// which is part of its memory.
const READ_BYTES: usize = 8 * 1024;

/// The bytes that are written before other connections have their turn, and that are written at once: less than a tenth of a
/// millisecond of work.
const WRITE_BYTES: usize = 256 * 1024;

/// The first bytes of every HTTP/2 connection, and of no HTTP/1.1 request.
const PREFACE: &[u8] = b"PRI";

/// The response to a long head when the budget is full.
const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// The response to a request line that fills the buffer of a head (RFC 9112, section 3).
const URI_TOO_LONG: &[u8] = b"HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// The response to an HTTP/2 connection beyond the limit: settings, and GOAWAY with the code `ENHANCE_YOUR_CALM`.
const ENHANCE_YOUR_CALM: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0b";

/// A stream that takes a permit for a long head before it reads on. It holds the slot of its connection as long as the
/// socket is open, after an upgrade too.
pub(super) struct Stream {
    // The first field, so that the file is closed before the slot is free.
    socket: TokioIo<TcpStream>,
    activity: Arc<Activity>,
    client: Arc<Client>,
    protocol: Protocol,
    head: Head,
    /// The pause after a read that filled its buffer.
    reading: Pause,
    /// The pause after many bytes were written.
    writing: Pause,
    /// The bytes that were written since the last pause.
    written: usize,
    slot: Slot,
}

/// The protocol of a connection, by its first bytes.
enum Protocol {
    /// So far, this number of bytes of the HTTP/2 preface has arrived.
    Open(usize),
    Http1,
    /// HTTP/2, with the permit for such a connection.
    Http2 {
        _place: OwnedSemaphorePermit,
    },
    /// The connection was refused. The rest of its bytes is read and discarded: closing a socket with unread bytes
    /// resets it, and the client would lose the response.
    Refused,
}

/// The response to a connection that is refused before a handler sees it.
struct Refusal(&'static [u8]);

/// The part of a head that was read.
#[derive(Default)]
struct Head {
    /// The number of requests before this one.
    after: u64,
    bytes: usize,
    /// Whether a line has ended.
    has_line: bool,
    permit: Option<Permit>,
}

impl Stream {
    pub(super) fn new(socket: TcpStream, activity: Arc<Activity>, client: Arc<Client>, slot: Slot) -> Self {
        let (protocol, head) = (Protocol::Open(0), Head::default());
        Self {
            socket: TokioIo::new(socket),
            activity,
            client,
            protocol,
            head,
            reading: Pause::default(),
            writing: Pause::default(),
            written: 0,
            slot,
        }
    }

    /// Checks bytes that were read, before they are handed on.
    fn received(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if let Protocol::Open(matched) = self.protocol {
            self.recognize(matched, bytes)?;
        }
        let is_http1 = !matches!(self.protocol, Protocol::Http2 { .. } | Protocol::Refused);
        if !is_http1 || !self.activity.reads_head() || self.client.is_ending() {
            return Ok(());
        }
        self.head.bytes += bytes.len();
        self.head.has_line = self.head.has_line || bytes.contains(&b'\n');
        if self.head.bytes >= BUFFER_BYTES as usize && !self.head.has_line {
            return Err(Refusal(URI_TOO_LONG));
        }
        // A head that has ended is parsed at once; what follows it is a body.
        let has_ended = || bytes.windows(4).any(|four| four == b"\r\n\r\n");
        if self.head.bytes > READ_BYTES && self.head.permit.is_none() && !has_ended() {
            let permit = self.client.receive(BUFFER_BYTES as usize).map_err(|_| Refusal(BUSY))?;
            self.head.permit = Some(permit);
        }
        Ok(())
    }

    /// Recognizes HTTP/2 by its preface, of which `matched` bytes have arrived before.
    fn recognize(&mut self, matched: usize, bytes: &[u8]) -> Result<(), Refusal> {
        let (expected, length) = (&PREFACE[matched..], bytes.len().min(PREFACE.len() - matched));
        self.protocol = if bytes[..length] != expected[..length] {
            Protocol::Http1
        } else if length < expected.len() {
            Protocol::Open(matched + length)
        } else {
            let place =
                Arc::clone(&self.slot.shared.http2).try_acquire_owned().map_err(|_| Refusal(ENHANCE_YOUR_CALM))?;
            // Heads of HTTP/2 are bounded by the size of their header lists.
            self.head = Head::default();
            self.activity.speak_http2();
            Protocol::Http2 { _place: place }
        };
        Ok(())
    }

    /// Responds in place of the handlers, as far as the system takes that at once, and sends nothing more.
    fn refuse(&mut self, Refusal(answer): &Refusal, cx: &mut Context<'_>) {
        let _ = self.socket.inner().try_write(answer);
        let _ = Pin::new(&mut self.socket).poll_shutdown(cx);
        self.protocol = Protocol::Refused;
    }

    /// Writes by `write`. Fairness: an answer of megabytes, to a client that takes it as fast as it comes, would otherwise
    /// hold a thread for milliseconds, and a hundred such clients would delay everybody.
    fn write_fairly(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TokioIo<TcpStream>>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.writing.poll(cx));
        let bytes = ready!(write(Pin::new(&mut self.socket), cx))?;
        self.written += bytes;
        if self.written >= WRITE_BYTES {
            self.written = 0;
            self.writing.begin();
        }
        Poll::Ready(Ok(bytes))
    }

    /// Forgets the head whose request has begun.
    fn settle(&mut self) {
        let begun = self.activity.begun();
        if self.head.after != begun {
            self.head = Head { after: begun, ..Head::default() };
        }
    }
}

/// The first [`WRITE_BYTES`] of the pieces, or all of them.
fn first_bytes<'a>(pieces: &'a [IoSlice<'_>]) -> SmallVec<[IoSlice<'a>; 8]> {
    let mut room = WRITE_BYTES;
    let first = pieces.iter().map(|piece| {
        let length = piece.len().min(room);
        room -= length;
        IoSlice::new(&piece[..length])
    });
    first.collect()
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, mut out: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        // Fairness: a thousand clients that send megabytes would otherwise be read a hundred kilobytes each before a
        // small request is.
        ready!(self.reading.poll(cx));
        self.settle();
        let mut space = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut read = ReadBuf::uninit(&mut space[..READ_BYTES.min(out.remaining())]);
        ready!(Pin::new(&mut self.socket).poll_read(cx, read.unfilled()))?;
        if let Err(refusal) = self.received(read.filled()) {
            self.refuse(&refusal, cx);
        }
        // Requests that are served go before the rest of a refused one.
        let is_discarded = matches!(self.protocol, Protocol::Refused) && !read.filled().is_empty();
        if is_discarded || read.filled().len() == READ_BYTES {
            self.reading.begin();
        }
        if is_discarded {
            return self.poll_read(cx, out);
        }
        out.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let bytes = &bytes[..bytes.len().min(WRITE_BYTES)];
        self.write_fairly(cx, |socket, cx| socket.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = first_bytes(pieces);
        self.write_fairly(cx, |socket, cx| socket.poll_write_vectored(cx, &first))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_write_is_longer_than_a_turn() {
        let (head, body) = (vec![b'h'; 300], vec![b'x'; 2 * WRITE_BYTES]);
        for (pieces, expected) in [
            (vec![&head[..], &head], vec![300, 300]),
            (vec![&head, &body], vec![300, WRITE_BYTES - 300]),
            (vec![&[], &body, &head], vec![0, WRITE_BYTES, 0]),
            (vec![], vec![]),
        ] {
            let pieces: Vec<_> = pieces.into_iter().map(IoSlice::new).collect();
            let lengths: Vec<_> = first_bytes(&pieces).iter().map(|piece| piece.len()).collect();
            assert_eq!(lengths, expected);
        }
    }
}
