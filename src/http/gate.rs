//! Backpressure: every byte that a client makes the process hold has a permit before it is held.
//!
//! Each listener has one budget for incoming bytes (heads, bodies, messages) and one for outgoing ones (answers, and
//! their ingredients). Beside them each connection has a small share of its own in both directions, which nobody else
//! can take: small requests pass while large ones fill the budgets. A permit takes from the share if it fits in there,
//! and else from the budget.
//!
//! No request waits for a permit. When a budget is full it is refused as overloaded, with 503: there is no queue, and
//! holding one permit while taking another can't deadlock. Bytes that several responses share have one permit
//! ([`Shared`]).

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use tokio::{sync::Semaphore, task::yield_now};

use crate::telemetry::{self, Direction};

/// The budget of the public listener for incoming bytes: forty of the longest bodies. With ten thousand connections
/// beside them, heads and bodies take 300 MB.
pub(super) const INCOMING_BYTES: usize = 40 * 1024 * 1024;

/// The budget of the public listener for outgoing bytes: two of the longest answers that any server gives, and fifteen
/// of the longest by default.
pub(super) const OUTGOING_BYTES: usize = 128 * 1024 * 1024;

/// The budget of all sockets for incoming messages. It is a separate one, since a message takes its permit when its
/// header arrives: a client that sends headers alone takes nothing from clients that send bodies.
pub(super) const MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// The budgets of the admin listener, where probes read some bytes and Prometheus some tens of kilobytes.
pub(super) const ADMIN_BYTES: usize = 4 * 1024 * 1024;

/// The share of a connection in each direction: the head and the body of a usual request, and its plan and answer.
pub(super) const SHARE_BYTES: usize = 16 * 1024;

/// The budgets that the connections of a listener share.
#[derive(Debug)]
pub(super) struct Gate {
    budgets: Budgets,
    /// Held by the one discarded body that yields at present.
    discard: Semaphore,
}

impl Gate {
    /// Creates a gate with budgets of these sizes, in bytes.
    pub(super) fn new(incoming: usize, outgoing: usize) -> Arc<Self> {
        Arc::new(Self { budgets: Budgets::new(incoming, outgoing), discard: Semaphore::new(1) })
    }
}

/// A budget for each direction.
#[derive(Debug)]
struct Budgets {
    incoming: Budget,
    outgoing: Budget,
}

impl Budgets {
    fn new(incoming: usize, outgoing: usize) -> Self {
        Self { incoming: Budget::new(incoming), outgoing: Budget::new(outgoing) }
    }

    fn of(&self, direction: Direction) -> &Budget {
        match direction {
            Direction::Incoming => &self.incoming,
            Direction::Outgoing => &self.outgoing,
        }
    }
}

/// The share of one connection, and its access to the budgets.
#[derive(Debug)]
pub(super) struct Client {
    gate: Arc<Gate>,
    share: Budgets,
    /// Whether the connection ends with the response to the present request.
    is_ending: AtomicBool,
}

/// The budget is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server's buffers for clients are full")]
pub(super) struct Full;

impl Client {
    /// Creates the share of a new connection.
    pub(super) fn new(gate: &Arc<Gate>) -> Arc<Self> {
        let share = Budgets::new(SHARE_BYTES, SHARE_BYTES);
        Arc::new(Self { gate: Arc::clone(gate), share, is_ending: AtomicBool::new(false) })
    }

    /// Ends the connection with the response to the present request: no head is read any more.
    pub(super) fn end(&self) {
        self.is_ending.store(true, Relaxed);
    }

    /// Whether the connection ends with the response to the present request.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Relaxed)
    }

    /// Yields to all other tasks, one discarded body at a time: a thousand of them delay requests that are served no
    /// more than one does.
    pub(super) async fn make_way(&self) {
        let _turn = self.gate.discard.acquire().await;
        yield_now().await;
    }

    /// Takes a permit for bytes that the client sends.
    ///
    /// # Errors
    /// [`Full`] when neither the share of the connection nor the common budget has room for them.
    pub(super) fn receive(self: &Arc<Self>, bytes: usize) -> Result<Permit, Full> {
        self.permit(Direction::Incoming, bytes)
    }

    /// Takes a permit for bytes that are sent to the client, or that its response is made from.
    ///
    /// # Errors
    /// [`Full`], as [`receive`](Self::receive).
    pub(super) fn send(self: &Arc<Self>, bytes: usize) -> Result<Permit, Full> {
        self.permit(Direction::Outgoing, bytes)
    }

    /// Takes bytes from the share of the connection, or else from the common budget.
    fn permit(self: &Arc<Self>, direction: Direction, bytes: usize) -> Result<Permit, Full> {
        let is_common = !self.share.of(direction).take(bytes);
        if is_common {
            if !self.gate.budgets.of(direction).take(bytes) {
                telemetry::overloaded(direction);
                return Err(Full);
            }
            telemetry::buffered(direction, bytes);
        }
        Ok(Permit { client: Arc::clone(self), direction, bytes, is_common })
    }
}

/// A permit to hold bytes, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    client: Arc<Client>,
    direction: Direction,
    bytes: usize,
    is_common: bool,
}

impl Permit {
    /// The number of bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Changes the number of bytes. While it grows, the permit for the old bytes is held as well, since they are
    /// copied.
    ///
    /// # Errors
    /// [`Full`] when neither the share nor the budget has room for them; the permit is unchanged.
    pub(super) fn resize(&mut self, bytes: usize) -> Result<(), Full> {
        if bytes > self.bytes {
            *self = self.client.permit(self.direction, bytes)?;
        } else {
            self.give(self.bytes - bytes);
            self.bytes = bytes;
        }
        Ok(())
    }

    fn give(&self, bytes: usize) {
        if self.is_common {
            self.client.gate.budgets.of(self.direction).give(bytes);
            telemetry::released(self.direction, bytes);
        } else {
            self.client.share.of(self.direction).give(bytes);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.give(self.bytes);
    }
}

/// One permit for bytes that several responses send concurrently.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<Weak<Permit>>);

impl Shared {
    /// Returns the permit that the senders share, which `take` takes for the first of them.
    ///
    /// # Errors
    /// The error of `take`.
    pub(super) fn permit(&self, take: impl FnOnce() -> Result<Permit, Full>) -> Result<Arc<Permit>, Full> {
        // A panic leaves no inconsistent state: there is one assignment.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(permit) = held.upgrade() {
            return Ok(permit);
        }
        let permit = Arc::new(take()?);
        *held = Arc::downgrade(&permit);
        Ok(permit)
    }

    /// Whether a sender holds the permit.
    pub(super) fn is_held(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).strong_count() > 0
    }
}

/// The bytes that are left of a budget. They order no other memory, so that all accesses are relaxed.
#[derive(Debug)]
struct Budget {
    left: AtomicUsize,
}

impl Budget {
    const fn new(bytes: usize) -> Self {
        Self { left: AtomicUsize::new(bytes) }
    }

    fn take(&self, bytes: usize) -> bool {
        self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }

    fn give(&self, bytes: usize) {
        self.left.fetch_add(bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rest of a gate: of its common budgets, and of the share of one connection.
    fn left(client: &Client) -> [usize; 4] {
        [&client.gate.budgets.incoming, &client.gate.budgets.outgoing, &client.share.incoming, &client.share.outgoing]
            .map(|budget| budget.left.load(Relaxed))
    }

    const BUDGET: usize = 10 * SHARE_BYTES;

    fn client() -> Arc<Client> {
        Client::new(&Gate::new(BUDGET, BUDGET))
    }

    #[test]
    fn small_permits_come_from_the_share_and_large_ones_from_the_budget() {
        let client = client();
        let (small, large) = (client.receive(SHARE_BYTES).unwrap(), client.receive(SHARE_BYTES + 1).unwrap());
        assert_eq!(left(&client), [BUDGET - SHARE_BYTES - 1, BUDGET, 0, SHARE_BYTES]);
        let second = client.receive(1).unwrap();
        assert!(second.is_common, "the share is taken");
        drop((small, large, second));
        assert_eq!(left(&client), [BUDGET, BUDGET, SHARE_BYTES, SHARE_BYTES]);
    }

    #[test]
    fn a_full_budget_leaves_every_connection_its_share() {
        let client = client();
        let all = client.send(BUDGET).unwrap();
        let other = Client::new(&client.gate);
        assert_eq!(other.send(SHARE_BYTES + 1).unwrap_err(), Full);
        assert!(other.send(SHARE_BYTES).is_ok() && other.receive(BUDGET).is_ok());
        drop(all);
        assert!(other.send(BUDGET).is_ok());
        assert_eq!(other.send(usize::MAX).unwrap_err(), Full);
    }

    #[test]
    fn a_permit_that_can_not_grow_stays_as_it_was() {
        let client = client();
        let mut permit = client.send(1).unwrap();
        assert_eq!(permit.resize(BUDGET + 1), Err(Full));
        assert_eq!((permit.bytes(), permit.is_common), (1, false));
        permit.resize(BUDGET).unwrap();
        assert_eq!(left(&client), [BUDGET, 0, SHARE_BYTES, SHARE_BYTES]);
        permit.resize(10).unwrap();
        assert_eq!(left(&client)[1], BUDGET - 10);
        drop(permit);
        assert_eq!(left(&client)[1], BUDGET);
    }

    #[test]
    fn what_is_shared_is_counted_once() {
        let (client, shared) = (client(), Shared::default());
        let permits = [(); 3].map(|()| shared.permit(|| client.send(BUDGET)).unwrap());
        assert!(shared.is_held());
        assert_eq!(left(&client)[1], 0);
        drop(permits);
        assert!(!shared.is_held());
        assert_eq!(left(&client)[1], BUDGET);
    }
}
