//! Shared by the kernels in doubles.

/// The integer as a double, exactly: it must be below 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "integers below 2⁵³ are doubles")]
pub(super) const fn exact(integer: u64) -> f64 {
    integer as f64
}

/// The number of least magnitude that is congruent to the residue modulo p < 2⁵³.
pub(super) const fn balanced(residue: u64, p: u64) -> f64 {
    if residue > p / 2 { -exact(p - residue) } else { exact(residue) }
}
