//! What is true, found in other ways than the program's own.

use std::collections::BTreeSet;

use num_bigint::BigUint;

/// F(n) in another library, by F(2k) = F(k)·(2F(k+1) − F(k)) and F(2k+1) = F(k)² + F(k+1)².
pub fn fibonacci(n: u32) -> String {
    let (mut here, mut next) = (BigUint::ZERO, BigUint::from(1_u32));
    for bit in (0..u32::BITS - n.leading_zeros()).rev() {
        let even = &here * (2_u32 * &next - &here);
        let odd = &here * &here + &next * &next;
        (here, next) = if n >> bit & 1 == 0 { (even, odd) } else { (odd.clone(), even + odd) };
    }
    here.to_string()
}

/// What `cached` must say, by the design.
#[derive(Debug, Default)]
pub struct Model {
    top: Option<u32>,
    values: BTreeSet<u32>,
    approximations: BTreeSet<u32>,
}

const LADDER_TOP: u32 = 100_000;

impl Model {
    pub fn fib_cached(&self, n: u32) -> bool {
        n <= 1 || (n <= LADDER_TOP && self.top >= Some(n)) || self.values.contains(&n)
    }

    pub fn pi_cached(&self, terms: u32) -> bool {
        self.approximations.contains(&terms)
    }

    pub fn fib_answered(&mut self, n: u32) {
        if n > 1 {
            self.top = self.top.max(Some(n.min(LADDER_TOP)));
        }
        if n > LADDER_TOP {
            self.values.insert(n);
        }
    }

    pub fn pi_answered(&mut self, terms: u32) {
        self.approximations.insert(terms);
    }
}
