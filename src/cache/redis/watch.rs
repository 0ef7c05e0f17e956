//! Watches over questions to a server, so that one that hangs is noticed.

use std::{pin::pin, time::Duration};

use tokio::time::sleep;

/// The timeout after which a connection that has not answered is suspected, and that of the PING that it then has to
/// answer: beyond every budget. Bytes that are under way may come first, at no less than 4 MiB a second.
pub(super) const SILENCE: Duration = Duration::from_millis(500);
const BYTES_PER_MS: usize = 4 * 1024;

/// [`SILENCE`] while a number of bytes may be under way.
pub(super) fn silence_with(bytes: usize) -> Duration {
    SILENCE + Duration::from_millis((bytes / BYTES_PER_MS).try_into().unwrap_or(u64::MAX))
}

/// The outcome of a question. Its connection is suspected when the outcome is late, and when nobody waits for it any longer.
pub(super) async fn watched<T>(question: impl Future<Output = T>, suspect: impl Fn()) -> T {
    let mut waiting = Waiting { suspect: &suspect, is_over: false };
    let mut question = pin!(question);
    let outcome = loop {
        tokio::select! {
            outcome = &mut question => break outcome,
            () = sleep(SILENCE) => suspect(),
        }
    };
    waiting.is_over = true;
    outcome
}

/// A waiter for an outcome. One that is dropped before that makes the connection suspect.
struct Waiting<'a, S: Fn()> {
    suspect: &'a S,
    is_over: bool,
}

impl<S: Fn()> Drop for Waiting<'_, S> {
    fn drop(&mut self) {
        if !self.is_over {
            (self.suspect)();
        }
    }
}
