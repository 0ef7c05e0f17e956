//! The Fibonacci numbers, F(0) = 0, F(1) = 1, F(n) = F(n−1) + F(n−2).

use super::{
    decimal::{BASE, Decimal, LIMB_DIGITS},
    multiply::{product, sum},
};

/// The index of a Fibonacci number: 0 to [`Index::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(u32);

impl Index {
    /// The largest index: F(10^9) has 208,987,640 digits.
    pub const MAX: Self = Self(1_000_000_000);

    /// `None` beyond [`Index::MAX`].
    #[must_use]
    pub const fn new(n: u32) -> Option<Self> {
        if n <= Self::MAX.0 { Some(Self(n)) } else { None }
    }

    /// The index as a number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The largest index whose value fits one limb: F(87) = 679,891,637,638,612,258 < 10^18 < F(88).
const LAST_OF_ONE_LIMB: u32 = 87;

/// F(0) to F(87).
const ONE_LIMB: [u64; LAST_OF_ONE_LIMB as usize + 1] = {
    let mut table = [0; LAST_OF_ONE_LIMB as usize + 1];
    table[1] = 1;
    let mut n = 2;
    while n < table.len() {
        table[n] = table[n - 1] + table[n - 2];
        n += 1;
    }
    table
};

/// F(n), exact.
///
/// Fast doubling: from A = F(k) and B = F(k−1) follow F(2k) = A(A+2B), F(2k−1) = A²+B² and F(2k+1) = A²+(A+B)²
/// (D. E. Knuth, TAOCP 1, 1.2.8, exercise 27 and its kin), so nothing is ever subtracted. Time: a few products of
/// numbers as long as the result. Memory: some four times the result.
#[must_use]
pub fn fibonacci(n: Index) -> Decimal {
    let Index(n) = n;
    if let Some(&value) = ONE_LIMB.get(n as usize) {
        return Decimal::from(value);
    }
    // The last doubling needs but one of its two values.
    let (a, b) = limbs_of_pair(n / 2);
    Decimal::from_limbs(if n % 2 == 0 { even(&a, &b) } else { odd(&a, &b) })
}

/// (F(k), F(k−1)) for k ≥ 1. Time and memory as for [`fibonacci`].
pub(super) fn pair(k: u32) -> (Decimal, Decimal) {
    let (a, b) = limbs_of_pair(k);
    (Decimal::from_limbs(a), Decimal::from_limbs(b))
}

fn limbs_of_pair(k: u32) -> (Vec<u64>, Vec<u64>) {
    debug_assert!(k >= 1);
    // The top bits of k, up to six of them, are looked up; each one below doubles.
    let doublings = (u32::BITS - k.leading_zeros()).saturating_sub(6);
    let first = (k >> doublings) as usize;
    let mut pair = (vec![ONE_LIMB[first]], vec![ONE_LIMB[first - 1]]);
    for bit in (0..doublings).rev() {
        let (a, b) = pair;
        pair = if (k >> bit) & 1 == 0 { (even(&a, &b), sum_of_squares(&a, &b)) } else { (odd(&a, &b), even(&a, &b)) };
        pair.0.truncate(length(&pair.0));
        pair.1.truncate(length(&pair.1));
    }
    pair
}

/// F(2k) = A(A+2B).
fn even(a: &[u64], b: &[u64]) -> Vec<u64> {
    product(a, &sum(&sum(a, b), b))
}

/// F(2k+1) = A²+(A+B)².
fn odd(a: &[u64], b: &[u64]) -> Vec<u64> {
    sum_of_squares(a, &sum(a, b))
}

fn sum_of_squares(a: &[u64], b: &[u64]) -> Vec<u64> {
    sum(&product(a, a), &product(b, b))
}

/// Limbs without the zeros at the top.
fn length(limbs: &[u64]) -> usize {
    limbs.iter().rposition(|&limb| limb != 0).map_or(0, |top| top + 1)
}

/// log10 φ and log10 √5, in units of 2^−96, rounded down.
const LOG10_PHI: u128 = 16_557_706_725_197_925_994_019_937_059;
const LOG10_SQRT_5: u128 = 27_689_054_548_065_073_289_135_761_812;

/// How many decimal digits F(n) has, in constant time: ⌊n·log10 φ − log10 √5⌋ + 1, since F(n) is φ^n/√5 but for a
/// relative error of φ^−2n.
///
/// The fraction is known to n·2^−96 < 2^−66, and φ^−2n < 2^−122 beyond one limb. Over all n ≤ 10^9 the fraction never
/// comes closer to a whole number than 2^−32 (test `no_length_is_in_doubt`), so the floor is never in doubt.
#[must_use]
pub fn digit_count(n: Index) -> usize {
    match ONE_LIMB.get(n.0 as usize) {
        Some(&value) => value.checked_ilog10().map_or(1, |log| log as usize + 1),
        None => (logarithm(n) >> 96) as usize + 1,
    }
}

/// How many limbs F(n) has, in constant time; F(0) has none.
#[must_use]
pub fn limb_count(n: Index) -> usize {
    if n.0 == 0 { 0 } else { digit_count(n).div_ceil(LIMB_DIGITS) }
}

/// log10 F(n) in units of 2^−96, for n beyond one limb.
fn logarithm(Index(n): Index) -> u128 {
    u128::from(n) * LOG10_PHI - LOG10_SQRT_5
}

const _: () = assert!(ONE_LIMB[87] < BASE && ONE_LIMB[87] + ONE_LIMB[86] >= BASE);

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    fn index(n: u32) -> Index {
        Index::new(n).unwrap()
    }

    #[test]
    fn agrees_with_the_naive_sum() {
        let (mut here, mut next) = (vec![], vec![1]);
        for n in 0..=3000 {
            let naive = Decimal::from_limbs(here.clone());
            assert_eq!(fibonacci(index(n)), naive, "F({n})");
            assert_eq!(digit_count(index(n)), naive.digit_count(), "digits of F({n})");
            assert_eq!(limb_count(index(n)), naive.limbs().len(), "limbs of F({n})");
            let after = sum(&here, &next);
            here = std::mem::replace(&mut next, after);
        }
    }

    #[test]
    fn agrees_with_known_hashes() {
        let rows = [
            (1_000, 209, "30ad6e2a0cbbd0a636a53ce8df4f703ece426736cf4777519f1c5cffbea2e220"),
            (10_000, 2_090, "e9c83559a05641cfd86d6c192c53fdfda87b8e53470b63dc19d1d0d7526e987a"),
            (100_000, 20_899, "9fe22f691a91170da9006226d479ad986b2f92021b7045ecfb0a5091b641b802"),
            (1_000_000, 208_988, "aef6e8c19df607aa07940f2abde8460d1b34c18df1a6f46b5fc04dfe9be51706"),
        ];
        for (n, digits, hash) in rows {
            let text = fibonacci(index(n)).to_string();
            assert_eq!(text.len(), digits, "F({n})");
            assert_eq!(digit_count(index(n)), digits, "F({n})");
            let digest = Sha256::digest(text.as_bytes());
            let found = digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
            assert_eq!(found, hash, "F({n})");
        }
    }

    #[test]
    fn neighbours_obey_cassini() {
        // F(k)² − F(k)·F(k−1) − F(k−1)² = (−1)^(k+1), an identity that the doubling formulas do not use.
        for k in [1, 2, 87, 88, 89, 127, 128, 4_095, 4_096, 65_537] {
            let (a, b) = pair(k);
            let (a, b) = (a.limbs(), b.limbs());
            let (square, mut rest) = (product(a, a), sum(&product(a, b), &product(b, b)));
            let mut larger = square;
            let plus_one = |limbs: &[u64]| sum(limbs, &[1]);
            let one_short = if k % 2 == 0 { &mut larger } else { &mut rest };
            *one_short = plus_one(one_short);
            assert_eq!(Decimal::from_limbs(larger), Decimal::from_limbs(rest), "k = {k}");
        }
    }

    #[test]
    fn an_index_is_bounded() {
        assert_eq!(Index::new(1_000_000_000), Some(Index::MAX));
        assert_eq!(Index::new(1_000_000_001), None);
        assert_eq!(digit_count(Index::MAX), 208_987_640);
    }

    #[test]
    #[ignore = "visits 10^9 indices: run with --ignored --release after a change of the constants"]
    fn no_length_is_in_doubt() {
        let fraction = (1_u128 << 96) - 1;
        let nearest = (LAST_OF_ONE_LIMB + 1..=Index::MAX.0)
            .map(|n| logarithm(Index(n)) & fraction)
            .map(|part| part.min(fraction - part))
            .min()
            .unwrap();
        println!("nearest: 2^-{}", 96 - nearest.ilog2());
        assert!(nearest > 1 << (96 - 33));
    }
}
