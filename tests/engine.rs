//! The engine as its callers see it: every kernel against known hashes, against an independent library, and against the
//! residue check.

use std::convert::Infallible;

use num_bigint::BigUint;
use phipi::math::{
    Kernel,
    decimal::Decimal,
    fib::{Index, digit_count, evaluate, limb_count, proven},
    pi_digits::{self, BLOCKS, Block, Count, fingerprint},
    residue::Prime,
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

fn index(n: u32) -> Index {
    Index::new(n).unwrap()
}

fn kernels() -> impl Iterator<Item = Kernel> {
    Kernel::ALL.into_iter().filter(|kernel| kernel.is_available())
}

fn with(kernel: Kernel, n: u32) -> Decimal {
    evaluate(index(n), kernel, &mut |_| ())
}

fn in_pool<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

fn text(value: &Decimal) -> Vec<u8> {
    value.digits().into_bytes()
}

/// F(n) by another library: F(2k) = F(k)·(2F(k+1) − F(k)), F(2k+1) = F(k)² + F(k+1)².
fn independent(n: u32) -> Vec<u8> {
    let (mut here, mut next) = (BigUint::ZERO, BigUint::from(1_u32));
    for bit in (0..u32::BITS - n.leading_zeros()).rev() {
        let even = &here * ((&next << 1) - &here);
        let odd = &here * &here + &next * &next;
        (here, next) = if n >> bit & 1 == 1 { (odd.clone(), even + odd) } else { (even, odd) };
    }
    here.to_string().into_bytes()
}

#[test]
fn agrees_with_known_hashes() {
    let rows = [
        (1_000, 209, "30ad6e2a0cbbd0a636a53ce8df4f703ece426736cf4777519f1c5cffbea2e220"),
        (10_000, 2_090, "e9c83559a05641cfd86d6c192c53fdfda87b8e53470b63dc19d1d0d7526e987a"),
        (100_000, 20_899, "9fe22f691a91170da9006226d479ad986b2f92021b7045ecfb0a5091b641b802"),
        (1_000_000, 208_988, "aef6e8c19df607aa07940f2abde8460d1b34c18df1a6f46b5fc04dfe9be51706"),
        (10_000_000, 2_089_877, "dee686d8c2407fb7fae2c58f8096d07baa790709d489454691af77d29cf3fb4d"),
        (100_000_000, 20_898_764, "098ac40fa4f909c1162efa97ff10037049ee48befd4bc192d7197c538c2c193c"),
    ];
    for (n, digits, _) in rows {
        assert_eq!(digit_count(index(n)), digits, "F({n})");
    }
    for kernel in kernels() {
        for threads in [1, 2] {
            for (n, digits, hash) in rows {
                let text = in_pool(threads, || text(&with(kernel, n)));
                assert_eq!(text.len(), digits, "F({n}), {kernel}, {threads} threads");
                assert_eq!(hashed(&text), hash, "F({n}), {kernel}, {threads} threads");
            }
        }
    }
}

/// The SHA-256 of a text.
fn hashed(text: &[u8]) -> String {
    Sha256::digest(text).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The first digits of π, the 3 counted, as text.
fn pi_text(digits: usize, kernel: Kernel) -> Vec<u8> {
    let pi = pi_digits::evaluate(Count::new(digits).unwrap(), kernel, &mut |_| ());
    let mut text = Vec::new();
    pi.write(0..digits, &mut text);
    text
}

#[test]
fn the_digits_of_pi_agree_with_known_hashes() {
    let rows = [
        (1_000, "2f77ba99f311974f0d188c0b19710260c11c70d6f4d96d78570d4a59c3b0dbe0"),
        (10_000, "2a32257c1b63c17b152835a29b8f832c1beb4d04d1594e18632104cf29243309"),
        (100_000, "ad86ad5fd8620210bcb5785ed727acb572ed55b6089c65b9cc31960f728db38a"),
        (1_000_000, "387877db67fdddbde761c053c4376e0b411b10fd2b126fd8b1249963cb628877"),
    ];
    for (digits, hash) in rows {
        for kernel in kernels() {
            for threads in [1, 2] {
                let text = in_pool(threads, || pi_text(digits, kernel));
                assert_eq!(hashed(&text), hash, "{digits} digits, {kernel}, {threads} threads");
            }
        }
    }
}

#[test]
#[ignore = "takes a minute: scripts/prove runs it"]
fn ten_million_digits_of_pi_agree_with_a_known_hash() {
    for kernel in kernels() {
        for threads in [1, 2] {
            let text = in_pool(threads, || pi_text(10_000_000, kernel));
            let hash = "b9ab87d543b32442904b37922ef2145d112590db238d181a6cf81b9ea8d1dc59";
            assert_eq!(hashed(&text), hash, "{kernel}, {threads} threads");
        }
    }
}

/// Whether a block is the one that its fingerprint was made of.
fn is_proven(block: &Block, number: usize) -> bool {
    let mut bytes = Vec::new();
    block.write_bytes(&mut bytes);
    fingerprint(number).is_some_and(|print| Sha256::digest(&bytes)[..].starts_with(print))
}

#[test]
fn blocks_of_pi_have_their_fingerprints() {
    for kernel in kernels() {
        let pi = pi_digits::evaluate(Count::of_blocks(30).unwrap(), kernel, &mut |_| ());
        for number in 0..30 {
            let block = pi.block(number).unwrap();
            assert!(is_proven(&block, number), "block {number}, {kernel}");
            assert!(!is_proven(&block, number + 1), "block {number} is not the next one");
        }
        assert_eq!(pi.block(30), None);
    }
}

#[test]
#[ignore = "takes half a minute and 1.5 GB: scripts/prove runs it"]
fn all_blocks_of_pi_have_their_fingerprints() {
    let pi = in_pool(2, || pi_digits::evaluate(Count::MAX, Kernel::best(), &mut |_| ()));
    for number in 0..BLOCKS {
        assert!(is_proven(&pi.block(number).unwrap(), number), "block {number}");
    }
}

#[test]
fn agrees_with_sums_up_to_ten_thousand() {
    let (mut here, mut next) = (BigUint::ZERO, BigUint::from(1_u32));
    for n in 0..=10_000 {
        let expected = here.to_string();
        for kernel in kernels() {
            assert_eq!(with(kernel, n).to_string(), expected, "F({n}), {kernel}");
        }
        here += &next;
        std::mem::swap(&mut here, &mut next);
    }
}

#[test]
fn agrees_with_another_library_where_lengths_change() {
    // The factors of the last product have the limbs of F(⌈n/2⌉), and it needs a point less than twice as many.
    let lengths = (8..15).flat_map(|log2| [8, 9, 10, 12].map(|eighths| eighths << log2 >> 3));
    for limbs in lengths.map(|points: usize| points.div_ceil(2)) {
        let last = last_index_of(limbs);
        for n in [2 * last - 1, 2 * last, 2 * last + 1, 2 * last + 2] {
            let expected = independent(n);
            for kernel in kernels() {
                assert!(text(&with(kernel, n)) == expected, "F({n}), {kernel}");
            }
        }
    }
}

/// The last n for which F(n) has `limbs` limbs.
fn last_index_of(limbs: usize) -> u32 {
    let (mut low, mut high) = (1_u32, 100_000_000);
    while high - low > 1 {
        let middle = low.midpoint(high);
        if limb_count(index(middle)) <= limbs { low = middle } else { high = middle }
    }
    low
}

#[test]
fn a_fault_in_any_limb_is_found() {
    let prime = secret_prime();
    let n = index(1_000_000);
    let value = evaluate(n, Kernel::best(), &mut |_| ());
    assert!(prime.proves(n, &value));
    let limbs = value.limbs().len();
    let mut bytes = Vec::new();
    value.write_bytes(&mut bytes);
    for limb in (0..limbs).step_by(97).chain([limbs - 1]) {
        let mut bytes = bytes.clone();
        bytes[limb * 8] ^= 1;
        let faulty = Decimal::from_bytes(&bytes, limbs).unwrap();
        assert!(!prime.proves(n, &faulty), "a fault in limb {limb}");
    }
}

fn secret_prime() -> Prime {
    let mut seed = 1_u64;
    let Ok(prime) = Prime::draw(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Ok::<_, Infallible>(seed)
    });
    prime
}

#[test]
fn progress_ends_with_the_work() {
    let mut reports = Vec::new();
    let value = proven(index(30_000_000), &secret_prime(), &mut |part| reports.push(part));
    assert_eq!(value.map(|value| value.digit_count()), Some(6_269_629));
    assert!(reports.is_sorted() && reports.last() == Some(&1.0), "{reports:?}");
    // Nor does it stand still within a long product.
    assert!(reports.windows(2).all(|pair| pair[1] - pair[0] < 0.1), "{reports:?}");
}

#[test]
#[ignore = "takes seconds and 0.9 GB: scripts/prove runs it"]
fn the_largest_index() {
    let prime = secret_prime();
    for kernel in kernels() {
        let value = in_pool(2, || evaluate(Index::MAX, kernel, &mut |_| ()));
        assert_eq!(value.digit_count(), 208_987_640);
        assert!(prime.proves(Index::MAX, &value), "{kernel}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn agrees_with_another_library(n in 10_000_u32..4_000_000) {
        let expected = independent(n);
        prop_assert_eq!(digit_count(index(n)), expected.len());
        for kernel in kernels() {
            for threads in [1, 2] {
                prop_assert!(in_pool(threads, || text(&with(kernel, n))) == expected, "{}", kernel);
            }
        }
    }
}
