//! A limb is a digit in base 10^18: eighteen decimal digits in a word.

/// Decimal digits in a limb.
pub const LIMB_DIGITS: usize = 18;

/// The base: every limb is below it.
pub const BASE: u64 = 10_u64.pow(18);

/// Bytes of a limb in the stored form.
pub const LIMB_BYTES: usize = size_of::<u64>();
