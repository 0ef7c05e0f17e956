//! The bytes of a socket, whose messages have permits before the library makes room for them.
//!
//! The library reserves memory for a frame as soon as its header has come, and keeps fragments until the last of them has.
//! So the headers of frames are read here first (RFC 6455, section 5.2). A frame that is refused never reaches the library.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Instant,
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::message::Close;
use crate::http::{
    gate::{Client, Permit},
    service::BODY_BYTES,
};

/// A message is held twice at most: in its frames, and put together.
const COPIES: usize = 2;

/// The longest header of a frame, with its mask.
const HEADER_BYTES: usize = 14;

/// The longest payload of a control frame.
const CONTROL_BYTES: u64 = 125;

/// The buffer for bytes that are read and discarded.
const REST_BYTES: usize = 1024;

/// The opcode of a Close.
const CLOSE: u8 = 8;

/// A stream that counts the message which comes in on it.
pub(super) struct Wire<S> {
    stream: S,
    client: Arc<Client>,
    frame: Frame,
    message: Option<Incoming>,
    /// Whether the message has come to its end: its permit is given back when more is read.
    is_whole: bool,
    /// Why a frame was refused: the library sees neither it nor any later frame.
    refusal: Option<Close>,
    /// Whether a Close of the client has come to its end.
    has_closed: bool,
    /// The bytes that the client was sent.
    sent: Arc<AtomicU64>,
}

/// The position of the next byte in a frame.
enum Frame {
    Header { bytes: [u8; HEADER_BYTES], length: usize },
    Payload { left: u64, head: Head },
}

/// A message that has begun.
struct Incoming {
    since: Instant,
    bytes: usize,
    permit: Permit,
}

impl Frame {
    const START: Self = Self::Header { bytes: [0; HEADER_BYTES], length: 0 };
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, client: Arc<Client>) -> Self {
        let (frame, message) = (Frame::START, None);
        let sent = Arc::default();
        Self { stream, client, frame, message, is_whole: false, refusal: None, has_closed: false, sent }
    }

    /// The counter of the bytes that the client was sent.
    pub(super) fn sent(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent)
    }

    /// The time at which the unfinished message began; `None` when there is none.
    pub(super) fn unfinished_since(&self) -> Option<Instant> {
        self.message.as_ref().filter(|_| !self.is_whole).map(|message| message.since)
    }

    /// Follows bytes that were read, before anybody gets them; returns their number before a frame that is refused.
    fn follow(&mut self, bytes: &[u8]) -> usize {
        let (mut at, mut passed) = (0, 0);
        while at < bytes.len() {
            at += self.step(&bytes[at..]);
            if self.refusal.is_none() {
                passed = at;
            }
        }
        passed
    }

    /// Follows a byte of a header, or all that is there of a payload; returns the number of these bytes.
    fn step(&mut self, bytes: &[u8]) -> usize {
        match &mut self.frame {
            Frame::Header { bytes: header, length } => {
                header[*length] = bytes[0];
                *length += 1;
                if let Some(head) = Head::of(&header[..*length]) {
                    self.begin(head);
                }
                1
            }
            Frame::Payload { left, head } => {
                let length = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= length as u64;
                if *left == 0 {
                    let head = *head;
                    self.end(head);
                }
                length
            }
        }
    }

    /// Begins the payload of a frame. Control frames come between those of a message; they are short, and never kept.
    fn begin(&mut self, head: Head) {
        if self.refusal.is_none() {
            self.refusal = self.admit(head).err();
        }
        self.frame = Frame::Payload { left: head.length, head };
        if head.length == 0 {
            self.end(head);
        }
    }

    fn end(&mut self, head: Head) {
        self.is_whole |= head.is_final && !head.is_control();
        self.has_closed |= head.opcode == CLOSE;
        self.frame = Frame::START;
    }

    fn admit(&mut self, head: Head) -> Result<(), Close> {
        if !head.is_well_formed {
            return Err(Close::Broken);
        }
        if head.is_control() { Ok(()) } else { self.grow(usize::try_from(head.length).unwrap_or(usize::MAX)) }
    }

    /// Takes the permit for more bytes of the message.
    fn grow(&mut self, bytes: usize) -> Result<(), Close> {
        self.release();
        if self.message.is_none() {
            let permit = self.client.receive(0).map_err(|_| Close::Full)?;
            self.message = Some(Incoming { since: Instant::now(), bytes: 0, permit });
        }
        let Some(message) = &mut self.message else { return Ok(()) };
        message.bytes = message.bytes.saturating_add(bytes);
        if message.bytes > BODY_BYTES {
            return Err(Close::TooLong);
        }
        message.permit.resize(message.bytes * COPIES).map_err(|_| Close::Full)
    }

    /// Gives back the permit of a message that was read to its end.
    fn release(&mut self) {
        if std::mem::take(&mut self.is_whole) {
            self.message = None;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Ends the stream after a Close was sent. Reads until the client has closed too, then says that nothing more comes,
    /// and reads on until the client says the same: bytes that nobody reads would make the system reset the connection,
    /// and take the Close from a client that has not read it.
    pub(super) async fn finish(&mut self) {
        // No message begins any more, so that none takes a permit.
        self.refusal.get_or_insert(Close::Broken);
        let mut buffer = vec![0; REST_BYTES];
        while !self.has_closed && self.skip(&mut buffer).await {}
        if self.stream.shutdown().await.is_ok() {
            while self.skip(&mut buffer).await {}
        }
    }

    /// Reads and discards bytes; returns whether there may be more.
    async fn skip(&mut self, buffer: &mut [u8]) -> bool {
        let length = self.stream.read(buffer).await.unwrap_or(0);
        self.follow(&buffer[..length]);
        length > 0
    }
}

/// The header of a frame.
#[derive(Clone, Copy)]
struct Head {
    opcode: u8,
    is_final: bool,
    length: u64,
    /// Whether a client may send a frame with this header.
    is_well_formed: bool,
}

impl Head {
    /// Reads the header of a frame; `None` while bytes of it are missing.
    fn of(header: &[u8]) -> Option<Self> {
        let [first, second, ..] = *header else { return None };
        let is_masked = second & 0x80 != 0;
        let (length, end, least) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(header.get(2..4)?.try_into().ok()?)), 4, 126),
            127 => (u64::from_be_bytes(header.get(2..10)?.try_into().ok()?), 10, 1 << 16),
            short => (u64::from(short), 2, 0),
        };
        let (opcode, is_final) = (first & 0x0f, first & 0x80 != 0);
        let is_extended = first & 0x70 != 0;
        let fits = match opcode {
            0..=2 => (least..1 << 63).contains(&length),
            CLOSE..=10 => is_final && length <= CONTROL_BYTES && least == 0,
            _ => false,
        };
        let is_well_formed = is_masked && !is_extended && fits;
        (header.len() == end + if is_masked { 4 } else { 0 }).then_some(Self {
            opcode,
            is_final,
            length,
            is_well_formed,
        })
    }

    fn is_control(self) -> bool {
        self.opcode >= CLOSE
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // A reader that reads on is done with the message before.
        self.release();
        let (before, mut passed) = (out.filled().len(), 0);
        if self.refusal.is_none() {
            ready!(Pin::new(&mut self.stream).poll_read(cx, out))?;
            passed = self.follow(&out.filled()[before..]);
            out.set_filled(before + passed);
        }
        match self.refusal {
            // Bytes before the refused frame are read first.
            Some(refusal) if passed == 0 => Poll::Ready(Err(io::Error::other(refusal))),
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.sent.fetch_add(sent as u64, Relaxed);
        Poll::Ready(Ok(sent))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::http::gate::{Gate, SHARE_BYTES};

    const TEXT: u8 = 0x81;
    const TEXT_TO_GO_ON: u8 = 0x01;
    const CONTINUATION: u8 = 0x80;
    const PING: u8 = 0x89;

    /// A masked frame of this many bytes, of which only the header is given.
    fn header(first: u8, length: u64) -> Vec<u8> {
        let mut header = vec![first];
        match u16::try_from(length) {
            Ok(short) if short < 126 => header.push(0x80 + u8::try_from(short).unwrap()),
            Ok(medium) => {
                header.push(0x80 + 126);
                header.extend(medium.to_be_bytes());
            }
            Err(_) => {
                header.push(0x80 + 127);
                header.extend(length.to_be_bytes());
            }
        }
        header.extend([0; 4]);
        header
    }

    fn frame(first: u8, length: usize) -> Vec<u8> {
        [header(first, length as u64), vec![b'x'; length]].concat()
    }

    fn wire() -> Wire<()> {
        Wire::new((), Client::new(&Gate::new(1024 * 1024, 0)))
    }

    fn held(wire: &Wire<()>) -> Option<usize> {
        wire.message.as_ref().map(|message| message.permit.bytes())
    }

    /// Follows bytes of which none is refused.
    fn follow(wire: &mut Wire<()>, bytes: &[u8]) {
        assert_eq!((wire.follow(bytes), wire.refusal), (bytes.len(), None));
    }

    /// Why bytes are refused.
    fn refusal(bytes: &[u8]) -> Option<Close> {
        let mut wire = wire();
        wire.follow(bytes);
        wire.refusal
    }

    #[test]
    fn a_message_has_its_permit_when_it_is_announced() {
        for length in [1, 125, 126, 65_535, 65_536, 500_000] {
            let mut wire = wire();
            let mut bytes = header(TEXT, length).into_iter();
            let last = bytes.next_back().unwrap();
            bytes.for_each(|byte| follow(&mut wire, &[byte]));
            assert_eq!(held(&wire), None, "the header is not whole");
            follow(&mut wire, &[last]);
            assert_eq!(held(&wire), Some(2 * usize::try_from(length).unwrap()));
        }
        let mut wire = wire();
        wire.follow(&header(TEXT, 600_000));
        assert_eq!(wire.refusal, Some(Close::Full), "there is room for 500,000 bytes, held twice");
        assert!(wire.client.receive(SHARE_BYTES).is_ok());
    }

    #[test]
    fn a_message_has_a_greatest_length_however_it_is_cut() {
        let most = BODY_BYTES as u64;
        for too_long in [header(TEXT, most + 1), header(TEXT, (1 << 63) - 1)] {
            assert_eq!(refusal(&too_long), Some(Close::TooLong), "whether there is room for it or not");
        }
        let mut wire = Wire::new((), Client::new(&Gate::new(4 * BODY_BYTES, 0)));
        follow(&mut wire, &frame(TEXT_TO_GO_ON, BODY_BYTES));
        follow(&mut wire, &frame(0, 0));
        wire.follow(&header(CONTINUATION, 1));
        assert_eq!(wire.refusal, Some(Close::TooLong));
    }

    #[test]
    fn a_message_ends_with_its_last_fragment_whatever_comes_between() {
        let mut wire = wire();
        follow(&mut wire, &frame(TEXT_TO_GO_ON, 1_000));
        let since = wire.unfinished_since().unwrap();
        for bytes in [frame(PING, 10), frame(0, 500), frame(PING, 0), header(CONTINUATION, 20), vec![0; 19]] {
            follow(&mut wire, &bytes);
            assert_eq!(wire.unfinished_since(), Some(since));
        }
        assert_eq!(held(&wire), Some(2 * 1_520));
        follow(&mut wire, b"x");
        assert_eq!(wire.unfinished_since(), None);
        wire.release();
        assert_eq!(held(&wire), None);
        follow(&mut wire, &[frame(TEXT, 5), frame(TEXT, 0), frame(TEXT, 7)].concat());
        assert_eq!((held(&wire), wire.unfinished_since()), (Some(14), None), "several may come at once");
        follow(&mut wire, &frame(PING, 125));
        assert_eq!(held(&wire), Some(14));
    }

    #[test]
    fn a_frame_is_refused_by_its_header() {
        for opcode in 0..16 {
            let is_reserved = !matches!(opcode, 0..=2 | 8..=10);
            let refused = refusal(&header(0x80 + opcode, CONTROL_BYTES));
            assert_eq!(refused, is_reserved.then_some(Close::Broken), "opcode {opcode}");
            if opcode >= 8 {
                assert_eq!(refusal(&header(0x80 + opcode, CONTROL_BYTES + 1)), Some(Close::Broken));
                assert_eq!(refusal(&header(opcode, 0)), Some(Close::Broken), "a control frame has no fragments");
            }
        }
        for reserved in [0x40, 0x20, 0x10] {
            assert_eq!(refusal(&header(TEXT + reserved, 5)), Some(Close::Broken));
        }
        assert_eq!(refusal(&[TEXT, 5]), Some(Close::Broken), "there is no mask");
        let longer_than_needed =
            [&[TEXT, 0xfe, 0, 125, 0, 0, 0, 0][..], &[TEXT, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]];
        for length in longer_than_needed.into_iter().chain([&[TEXT, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..]]) {
            assert_eq!(refusal(length), Some(Close::Broken), "{length:?}");
        }
    }

    #[test]
    fn a_close_is_seen_behind_a_refused_frame() {
        for refused in [frame(TEXT + 0x40, 300), vec![TEXT, 2, b'x', b'x'], frame(TEXT, 600_000)] {
            let mut wire = wire();
            let good = frame(TEXT, 5);
            wire.follow(&[good, refused].concat());
            assert!(wire.refusal.is_some() && !wire.has_closed);
            wire.follow(&frame(0x80 + CLOSE, 2));
            assert!(wire.has_closed);
        }
    }

    #[tokio::test]
    async fn what_came_before_a_refused_frame_is_read_and_nothing_after_it() {
        let (mut client, server) = tokio::io::duplex(100);
        let mut wire = Wire::new(server, Client::new(&Gate::new(0, 0)));
        let good = frame(PING, 5);
        client.write_all(&[&good[..], &header(TEXT, 1_000_000), b"xx"].concat()).await.unwrap();
        let mut buffer = [0; 50];
        let length = wire.read(&mut buffer).await.unwrap();
        assert!(buffer[..length].starts_with(&good) && length < good.len() + header(TEXT, 1_000_000).len());
        for _ in 0..2 {
            let error = wire.read(&mut buffer).await.unwrap_err();
            assert_eq!(error.get_ref().unwrap().downcast_ref(), Some(&Close::Full));
        }
    }

    #[tokio::test]
    async fn a_stream_ends_when_both_sides_have_closed() {
        let (mut client, server) = tokio::io::duplex(100);
        let mut wire = Wire::new(server, Client::new(&Gate::new(0, 0)));
        let ((), ()) = tokio::join!(wire.finish(), async {
            let (mut buffer, close) = ([0; 1], frame(0x80 + CLOSE, 0));
            // More than fits into the pipe: it is read.
            client.write_all(&[frame(TEXT, 300), close, b"more".to_vec()].concat()).await.unwrap();
            assert_eq!(client.read(&mut buffer).await.unwrap(), 0, "the server ends its side first");
            drop(client);
        });
        assert!(wire.has_closed);
    }
}
