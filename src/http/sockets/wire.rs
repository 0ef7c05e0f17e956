//! The bytes of a socket, whose messages have permits before the library makes room for them.
//!
//! The library reserves memory for a frame as soon as its header has come, and keeps fragments until the last of them has.
//! So the headers of frames are read here first (RFC 6455, section 5.2).

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::gate::{Client, Permit};

/// A message is held twice at most: in its frames, and put together.
const COPIES: usize = 2;

/// The longest header of a frame, with its mask.
const HEADER_BYTES: usize = 14;

/// The longest payload of a frame of control.
const CONTROL_BYTES: u64 = 125;

/// A stream that counts the message which comes in on it.
pub(super) struct Wire<S> {
    stream: S,
    client: Arc<Client>,
    frame: Frame,
    message: Option<Incoming>,
    /// Whether the message has come to its end: its permit is given back when more is read.
    is_whole: bool,
    /// Whether there was no room for a message: nothing is read after it.
    is_refused: bool,
}

/// Where in a frame the next byte is.
enum Frame {
    Header { bytes: [u8; HEADER_BYTES], length: usize },
    Payload { left: u64, ends_message: bool },
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
        Self { stream, client, frame: Frame::START, message: None, is_whole: false, is_refused: false }
    }

    /// The time at which the unfinished message began; `None` when there is none.
    pub(super) fn unfinished_since(&self) -> Option<Instant> {
        self.message.as_ref().filter(|_| !self.is_whole).map(|message| message.since)
    }

    /// Follows bytes that were read, before anybody gets them.
    fn follow(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some((&first, rest)) = bytes.split_first() {
            match &mut self.frame {
                Frame::Header { bytes: header, length } => {
                    header[*length] = first;
                    *length += 1;
                    bytes = rest;
                    if let Some(head) = head_of(&header[..*length]) {
                        self.begin(head)?;
                    }
                }
                Frame::Payload { left, ends_message } => {
                    let length = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= length as u64;
                    bytes = &bytes[length..];
                    if *left == 0 {
                        self.is_whole |= *ends_message;
                        self.frame = Frame::START;
                    }
                }
            }
        }
        Ok(())
    }

    /// Begins the payload of a frame. Frames of control come between those of a message; they are short, and never kept.
    fn begin(&mut self, Head { is_control, is_final, length }: Head) -> io::Result<()> {
        if is_control && (length > CONTROL_BYTES || !is_final) {
            // The library would make room for its payload before it looks at its kind.
            return Err(io::ErrorKind::InvalidData.into());
        }
        let ends_message = is_final && !is_control;
        if !is_control {
            self.grow(usize::try_from(length).unwrap_or(usize::MAX))?;
        }
        self.is_whole |= ends_message && length == 0;
        self.frame = if length == 0 { Frame::START } else { Frame::Payload { left: length, ends_message } };
        Ok(())
    }

    /// Takes the permit for more bytes of the message.
    fn grow(&mut self, bytes: usize) -> io::Result<()> {
        self.release();
        if self.message.is_none() {
            let permit = self.client.receive(0).map_err(io::Error::other)?;
            self.message = Some(Incoming { since: Instant::now(), bytes: 0, permit });
        }
        let Some(message) = &mut self.message else { return Ok(()) };
        message.bytes = message.bytes.saturating_add(bytes);
        message.permit.resize(message.bytes.saturating_mul(COPIES)).map_err(io::Error::other)
    }

    /// Gives back the permit of a message that was read to its end.
    fn release(&mut self) {
        if std::mem::take(&mut self.is_whole) {
            self.message = None;
        }
    }
}

/// What the header of a frame says.
struct Head {
    is_control: bool,
    is_final: bool,
    length: u64,
}

/// Reads the header of a frame; `None` while bytes of it are missing.
fn head_of(header: &[u8]) -> Option<Head> {
    let [first, second, ..] = *header else { return None };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (length, end) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(header.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(header.get(2..10)?.try_into().ok()?), 10),
        short => (u64::from(short), 2),
    };
    (header.len() == end + mask).then_some(Head { is_control: first & 0x08 != 0, is_final: first & 0x80 != 0, length })
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Whoever reads on has done with the message before.
        self.release();
        let before = out.filled().len();
        loop {
            ready!(Pin::new(&mut self.stream).poll_read(cx, out))?;
            if !self.is_refused || out.filled().len() == before {
                let followed = self.follow(&out.filled()[before..]);
                self.is_refused = followed.is_err();
                return Poll::Ready(followed);
            }
            // The rest of a refused message is read, so that its sender gets the reason, and nobody sees it.
            out.set_filled(before);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
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

    #[test]
    fn a_message_has_its_permit_when_it_is_announced() {
        for length in [1, 125, 126, 65_535, 65_536, 500_000] {
            let mut wire = wire();
            let mut bytes = header(TEXT, length).into_iter();
            let last = bytes.next_back().unwrap();
            bytes.for_each(|byte| wire.follow(&[byte]).unwrap());
            assert_eq!(held(&wire), None, "the header is not whole");
            wire.follow(&[last]).unwrap();
            assert_eq!(held(&wire), Some(2 * usize::try_from(length).unwrap()));
        }
        for too_long in [600_000, u64::MAX] {
            let mut wire = wire();
            assert!(wire.follow(&header(TEXT, too_long)).is_err(), "there is room for 500,000 bytes, held twice");
            assert!(wire.client.receive(SHARE_BYTES).is_ok());
        }
    }

    #[test]
    fn a_message_ends_with_its_last_fragment_whatever_comes_between() {
        let mut wire = wire();
        wire.follow(&frame(TEXT_TO_GO_ON, 1_000)).unwrap();
        let since = wire.unfinished_since().unwrap();
        for bytes in [frame(PING, 10), frame(0, 500), frame(PING, 0), header(CONTINUATION, 20), vec![0; 19]] {
            wire.follow(&bytes).unwrap();
            assert_eq!(wire.unfinished_since(), Some(since));
        }
        assert_eq!(held(&wire), Some(2 * 1_520));
        wire.follow(b"x").unwrap();
        assert_eq!(wire.unfinished_since(), None);
        wire.release();
        assert_eq!(held(&wire), None);
        wire.follow(&[frame(TEXT, 5), frame(TEXT, 0), frame(TEXT, 7)].concat()).unwrap();
        assert_eq!((held(&wire), wire.unfinished_since()), (Some(14), None), "several may come at once");
        wire.follow(&frame(PING, 125)).unwrap();
        assert_eq!(held(&wire), Some(14));
    }

    #[test]
    fn a_long_frame_of_control_is_none() {
        for opcode in 8..16 {
            assert!(wire().follow(&header(0x80 + opcode, CONTROL_BYTES)).is_ok());
            assert!(wire().follow(&header(0x80 + opcode, CONTROL_BYTES + 1)).is_err());
            assert!(wire().follow(&header(opcode, 0)).is_err(), "and it has no fragments");
        }
    }

    #[tokio::test]
    async fn after_a_message_without_room_nothing_is_read() {
        let (mut client, server) = tokio::io::duplex(100);
        let mut wire = Wire::new(server, Client::new(&Gate::new(0, 0)));
        client.write_all(&header(TEXT, 1_000_000)).await.unwrap();
        let mut buffer = [0; 50];
        assert!(wire.read(&mut buffer).await.unwrap_err().get_ref().unwrap().is::<crate::http::gate::Full>());
        client.write_all(&[b'x'; 90]).await.unwrap();
        drop(client);
        assert_eq!(wire.read(&mut buffer).await.unwrap(), 0);
    }
}
