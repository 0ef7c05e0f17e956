//! The buffer before stderr: lines are batched in memory, and a thread of its own writes them.
//!
//! A slow log reader never blocks a thread that logs, and a thousand lines cost one system call.

use std::{
    io::{self, Write},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// The capacity of the buffer. Lines of requests are dropped while it is full.
const FULL_BYTES: usize = 1024 * 1024;

/// The capacity beyond it for events, which are few and matter more.
const EVENT_BYTES: usize = 64 * 1024;

/// A buffer of this size is written at once.
const MANY_BYTES: usize = 64 * 1024;

/// The longest time that a line waits for others in its batch.
const BATCH_TIME: Duration = Duration::from_millis(100);

/// The buffer of lines for stderr.
pub(super) struct Outlet {
    waiting: Mutex<Waiting>,
    /// Wakes the thread that writes.
    came: Condvar,
    /// Wakes threads that wait in `flush`.
    wrote: Condvar,
}

struct Waiting {
    lines: Vec<u8>,
    /// Whether they are written at once, without waiting for others.
    is_urgent: bool,
    is_writing: bool,
}

impl Outlet {
    /// Creates an empty buffer, which nobody writes yet.
    pub(super) const fn new() -> Self {
        let waiting = Waiting { lines: Vec::new(), is_urgent: false, is_writing: false };
        Self { waiting: Mutex::new(waiting), came: Condvar::new(), wrote: Condvar::new() }
    }

    /// Starts the thread that writes to `output`.
    ///
    /// # Errors
    /// When the system can't start it.
    pub(super) fn start(&'static self, mut output: impl Write + Send + 'static) -> io::Result<()> {
        let writing = move || {
            let mut lines = Vec::new();
            loop {
                self.take(&mut lines);
                // The reader is gone, or its disk is full: there is nowhere to report that.
                let _ = output.write_all(&lines);
                lines.clear();
            }
        };
        thread::Builder::new().name("log".into()).spawn(writing).map(drop)
    }

    /// Takes the line of a request, to be written within [`BATCH_TIME`]. False when the buffer is full.
    pub(super) fn put(&self, line: &[u8]) -> bool {
        let mut waiting = self.waiting();
        let before = waiting.lines.len();
        if before + line.len() > FULL_BYTES {
            return false;
        }
        waiting.lines.extend_from_slice(line);
        let are_many = before < MANY_BYTES && waiting.lines.len() >= MANY_BYTES;
        waiting.is_urgent |= are_many;
        drop(waiting);
        if before == 0 || are_many {
            self.came.notify_one();
        }
        true
    }

    /// Takes an event, to be written at once. False when the buffer is full.
    pub(super) fn put_event(&self, line: &[u8]) -> bool {
        let mut waiting = self.waiting();
        if waiting.lines.len() + line.len() > FULL_BYTES + EVENT_BYTES {
            return false;
        }
        waiting.lines.extend_from_slice(line);
        waiting.is_urgent = true;
        self.came.notify_one();
        true
    }

    /// Waits until everything is written, for `limit` at most.
    pub(super) fn flush(&self, limit: Duration) {
        let mut waiting = self.waiting();
        waiting.is_urgent = true;
        self.came.notify_one();
        let is_under_way = |waiting: &mut Waiting| waiting.is_writing || !waiting.lines.is_empty();
        drop(self.wrote.wait_timeout_while(waiting, limit, is_under_way));
    }

    /// Waits for lines, swaps them with the empty buffer `lines`, and reports those taken before as written.
    fn take(&self, lines: &mut Vec<u8>) {
        let mut waiting = self.waiting();
        waiting.is_writing = false;
        self.wrote.notify_all();
        waiting = recovered(self.came.wait_while(waiting, |waiting| waiting.lines.is_empty()));
        let until = Instant::now() + BATCH_TIME;
        while !waiting.is_urgent
            && let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
        {
            waiting = recovered(self.came.wait_timeout(waiting, left)).0;
        }
        std::mem::swap(&mut waiting.lines, lines);
        waiting.is_urgent = false;
        waiting.is_writing = true;
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        recovered(self.waiting.lock())
    }
}

/// The buffer is never left half done, not even by a panic.
fn recovered<T>(locked: Result<T, PoisonError<T>>) -> T {
    locked.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Hands on the output, piece by piece.
    struct Pipe(Sender<Vec<u8>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn outlet() -> (&'static Outlet, Receiver<Vec<u8>>) {
        let outlet: &'static Outlet = Box::leak(Box::new(Outlet::new()));
        let (sender, receiver) = channel();
        outlet.start(Pipe(sender)).unwrap();
        (outlet, receiver)
    }

    #[test]
    fn lines_are_gathered_and_an_event_takes_them_along() {
        let (outlet, written) = outlet();
        assert!(outlet.put(b"one\n") && outlet.put(b"two\n") && outlet.put_event(b"event\n"));
        let mut text = Vec::new();
        while text.len() < 14 {
            text.extend(written.recv_timeout(PATIENCE).unwrap());
        }
        assert_eq!(text, b"one\ntwo\nevent\n");
        assert!(outlet.put(b"three\n"));
        assert_eq!(written.recv_timeout(PATIENCE).unwrap(), b"three\n", "written without anything else coming");
    }

    #[test]
    fn what_waits_is_bounded_and_events_have_room_left() {
        let (outlet, line) = (Outlet::new(), [b'x'; 1024]);
        let taken = (0..2_000).filter(|_| outlet.put(&line)).count();
        assert_eq!(taken, FULL_BYTES / line.len());
        assert!(outlet.put_event(&line), "nobody reads, and still there is room");
        let taken = (0..2_000).filter(|_| outlet.put_event(&line)).count();
        assert_eq!(taken, EVENT_BYTES / line.len() - 1);
    }

    #[test]
    fn a_flush_waits_for_all_but_not_forever() {
        let (outlet, written) = outlet();
        assert!(outlet.put(b"last\n"));
        outlet.flush(PATIENCE);
        assert_eq!(written.try_recv().unwrap(), b"last\n");
        let silent = Outlet::new();
        assert!(silent.put(b"line\n"));
        silent.flush(Duration::from_millis(10));
    }
}
