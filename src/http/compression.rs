//! Compresses responses piece by piece, off the async threads.

use std::{
    io::{self, Write},
    sync::Arc,
};

use axum::body::Bytes;
use brotli::CompressorWriter;
use flate2::{Compression, write::GzEncoder};
use futures_util::{Stream, TryStreamExt, stream};

use super::negotiation::Coding;
use crate::workers::{Panicked, Workers};

/// Responses up to this length are not compressed, since they fit one packet.
pub(super) const SHORT_BYTES: usize = 1024;

/// The bytes that are compressed at a time, which takes some milliseconds.
const PIECE_BYTES: usize = 128 * 1024;

/// The level of gzip, of 9. Digits compress to 0.47 at all levels from here on.
const GZIP_LEVEL: u32 = 4;

/// The quality of Brotli, of 11. From 5 on it takes several times as long for a few percent.
const BROTLI_QUALITY: u32 = 4;

/// The base-2 logarithm of Brotli's window, which takes 256 KiB for a response.
const BROTLI_WINDOW: u32 = 18;

/// The memory of an encoder, estimated from the window and the tables of Brotli's, which is the larger one.
pub(super) const ENCODER_BYTES: usize = 5 * 1024 * 1024 / 4;

/// The memory for compressing a response of up to `text` bytes, beside its text: half of the text, and an encoder if it
/// is compressed in several pieces.
pub(super) fn bytes(coding: Coding, text: usize) -> usize {
    match coding {
        Coding::Identity => 0,
        Coding::Gzip | Coding::Brotli if text <= PIECE_BYTES => text / 2,
        Coding::Gzip | Coding::Brotli => text / 2 + ENCODER_BYTES,
    }
}

/// Compresses a whole response. A short one is one piece of work, so that no encoder is held while it waits for a
/// worker.
///
/// # Errors
/// When the work panics.
pub(super) async fn whole(coding: Coding, workers: &Arc<Workers>, pieces: Vec<Bytes>) -> Result<Vec<Bytes>, Panicked> {
    if coding == Coding::Identity {
        return Ok(pieces);
    }
    let bytes = pieces.iter().map(Bytes::len).sum();
    if bytes > PIECE_BYTES {
        return Box::pin(compressed(coding, Arc::clone(workers), pieces.into_iter()).try_collect()).await;
    }
    let work = move || {
        let Some(mut encoder) = Encoder::new(coding) else { return pieces };
        let mut output: Vec<Bytes> = pieces.iter().map(|piece| encoder.encode(piece)).collect();
        output.push(encoder.finish());
        output
    };
    workers.run(bytes, work).await
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
}

/// Compresses the pieces of a response as a stream, whose pieces need not be those of the input.
pub(super) fn compressed(
    coding: Coding,
    workers: Arc<Workers>,
    pieces: impl Iterator<Item = Bytes> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, Panicked>> + Send {
    let pieces = pieces.flat_map(|piece| {
        let starts = (0..piece.len()).step_by(PIECE_BYTES);
        starts.map(move |start| piece.slice(start..piece.len().min(start + PIECE_BYTES)))
    });
    stream::try_unfold((Encoder::new(coding), pieces, workers), async |(encoder, mut pieces, workers)| {
        let Some(mut encoder) = encoder else { return Ok(None) };
        let piece = pieces.next();
        // A byte takes about as long as a limb. The end is never inline, since the encoder still buffers a piece.
        let limbs = piece.as_ref().map_or(PIECE_BYTES, Bytes::len);
        let work = move || match piece {
            Some(piece) => (encoder.encode(&piece), Some(encoder)),
            None => (encoder.finish(), None),
        };
        let (output, encoder) = workers.run(limbs, work).await?;
        Ok(Some((output, (encoder, pieces, workers))))
    })
}

impl Encoder {
    /// `None` for identity.
    fn new(coding: Coding) -> Option<Self> {
        Some(match coding {
            Coding::Identity => return None,
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL))),
            Coding::Brotli => {
                let encoder = CompressorWriter::new(Vec::new(), 4096, BROTLI_QUALITY, BROTLI_WINDOW);
                Self::Brotli(Box::new(encoder))
            }
        })
    }

    /// Compresses a piece, and returns the output so far.
    fn encode(&mut self, piece: &[u8]) -> Bytes {
        match self {
            Self::Gzip(encoder) => taken(&encoder.write_all(piece), encoder.get_mut()),
            Self::Brotli(encoder) => taken(&encoder.write_all(piece), encoder.get_mut()),
        }
    }

    /// Returns the rest of the output.
    fn finish(self) -> Bytes {
        match self {
            Self::Gzip(encoder) => encoder.finish().unwrap_or_default().into(),
            Self::Brotli(encoder) => encoder.into_inner().into(),
        }
    }
}

/// The output in memory, to which writes never fail.
fn taken(written: &io::Result<()>, output: &mut Vec<u8>) -> Bytes {
    debug_assert!(written.is_ok(), "writes to memory never fail");
    std::mem::take(output).into()
}
