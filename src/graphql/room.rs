//! Room for the digits of answers that are under way: printed, and not yet taken by their clients.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::code::{Code, Fault};

/// All digits under way, in bytes: four of the longest answers that any server gives, and thirty by default.
const ROOM_BYTES: usize = 256 * 1024 * 1024;

/// What has fewer digits takes no place: a connection has larger buffers.
const SHORT_BYTES: usize = 16 * 1024;

/// The room of a process.
pub(super) struct Room(Arc<Semaphore>);

/// The place of an answer. Others take it when it is dropped.
#[derive(Debug, Default)]
pub struct Place {
    _held: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ROOM_BYTES)))
    }

    /// A place for so many digits.
    ///
    /// # Errors
    /// When there is none: clients are slow to take what they asked for.
    pub(super) fn place(&self, digits: usize) -> Result<Place, Fault> {
        if digits < SHORT_BYTES {
            return Ok(Place::default());
        }
        let held =
            u32::try_from(digits).ok().and_then(|digits| Arc::clone(&self.0).try_acquire_many_owned(digits).ok());
        let full = "the server has too many digits under way; ask for fewer, or try again in a second";
        held.map(|held| Place { _held: Some(held) }).ok_or_else(|| Fault::new(Code::Overloaded, full))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_full_has_room_again_when_an_answer_is_gone() {
        let room = Room::new();
        let places: Vec<_> = (0..4).map(|_| room.place(64_000_000).unwrap()).collect();
        assert_eq!(room.place(64_000_000).unwrap_err().code, Code::Overloaded);
        assert!(room.place(1_000).is_ok(), "what is short always has room");
        drop(places);
        assert!(room.place(64_000_000).is_ok());
    }
}
