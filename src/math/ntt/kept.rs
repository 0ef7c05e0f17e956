//! Multipliers that are kept for the evaluations to come: the allocator gives freed memory back to the system at once, and
//! fresh pages would take a third of the time of F(10⁷).

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use super::{kernel::Kernel, multiplier::Multiplier};
use crate::parallel::Parallel;

/// The bytes that are kept at most: two multipliers for F(10⁷), or two for a million digits of π.
pub(crate) const KEPT_BYTES: usize = 20 * 1024 * 1024;

/// Multipliers that are not in use, the least recently used first.
static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

fn kept() -> MutexGuard<'static, Vec<Kept>> {
    // A panic leaves no inconsistent state.
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Kept {
    kernel: Kernel,
    /// The limbs of the longest product that it can make.
    limbs: usize,
    bytes: usize,
    multiplier: Box<dyn Multiplier>,
}

fn shortest(kernel: Kernel, limbs: usize) -> Option<Kept> {
    let mut kept = kept();
    let suffice = kept.iter().enumerate().filter(|(_, kept)| kept.kernel == kernel && kept.limbs >= limbs);
    let shortest = suffice.min_by_key(|(_, kept)| kept.limbs).map(|(place, _)| place)?;
    (!is_disabled()).then(|| kept.remove(shortest))
}

/// A multiplier, which is kept when this is dropped.
pub(crate) struct Lent(Option<Kept>);

impl Lent {
    /// The shortest that is kept and suffices for products of up to `limbs` limbs, or else a new one.
    pub(super) fn new(
        kernel: Kernel,
        limbs: usize,
        threads: Parallel,
        make: impl FnOnce() -> Box<dyn Multiplier>,
    ) -> Self {
        let mut kept = shortest(kernel, limbs).unwrap_or_else(|| Kept { kernel, limbs, bytes: 0, multiplier: make() });
        kept.multiplier.share(threads);
        Self(Some(kept))
    }
}

impl Deref for Lent {
    type Target = dyn Multiplier;

    fn deref(&self) -> &Self::Target {
        &*self.0.as_ref().expect("it is there until it is dropped").multiplier
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut *self.0.as_mut().expect("it is there until it is dropped").multiplier
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut given) = self.0.take().filter(|_| !thread::panicking() && !is_disabled()) else { return };
        given.bytes = given.multiplier.shrink();
        let mut kept = kept();
        kept.push(given);
        let mut bytes: usize = kept.iter().map(|kept| kept.bytes).sum();
        let excess = kept.iter().take_while(|oldest| {
            let is_excess = bytes > KEPT_BYTES;
            bytes -= if is_excess { oldest.bytes } else { 0 };
            is_excess
        });
        let excess = excess.count();
        let gone: Vec<Kept> = kept.drain(..excess).collect();
        drop(kept);
        // Not under the lock: large buffers take time to free.
        drop(gone);
    }
}

#[cfg(not(test))]
const fn is_disabled() -> bool {
    false
}

#[cfg(test)]
thread_local! {
    static IS_DISABLED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

#[cfg(test)]
fn is_disabled() -> bool {
    IS_DISABLED.get()
}

/// Evaluates on this thread and keeps nothing, to measure what it allocates.
#[cfg(test)]
pub(crate) fn disabled<T>(evaluate: impl FnOnce() -> T) -> T {
    IS_DISABLED.set(true);
    let result = evaluate();
    IS_DISABLED.set(false);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ntt::multiplier;

    fn kept_bytes() -> usize {
        kept().iter().map(|kept| kept.bytes).sum()
    }

    #[test]
    fn the_bytes_that_are_kept_are_bounded() {
        // Other tests keep theirs meanwhile.
        for limbs in [1, 1_000, 100_000, 300_000, 100_000, 10] {
            let many = [(); 3].map(|()| multiplier(Kernel::Portable, limbs, Parallel::none()));
            drop(many);
            assert!(kept_bytes() <= KEPT_BYTES, "{limbs} limbs");
        }
    }

    #[test]
    fn one_that_is_kept_serves_shorter_products() {
        let nines = |count: usize| vec![crate::limb::BASE - 1; count];
        for count in [5_000, 300, 4_999, 1] {
            let square = multiplier(Kernel::Portable, 2 * count, Parallel::none()).square(&nines(count), &mut |_| ());
            // (Bⁿ − 1)² = Bⁿ·(Bⁿ − 2) + 1.
            assert_eq!((square[0], square[count], square.len()), (1, crate::limb::BASE - 2, 2 * count));
        }
    }
}
