//! F(n) as a decimal string: phipi's kernels against malachite, num-bigint and GMP.
//!
//! In this folder:
//!
//! - `cargo run --release` compares at the powers of ten from 10^3 to 10^7, `cargo run --release -- N …` at others. It
//!   takes minutes, and wants a machine that does nothing else. The contenders run side by side, round by round, so that
//!   a busy machine slows all of them alike; the figure is the median of the rounds, and "×" is how many times faster
//!   than malachite.
//! - `cargo run --release -- --alone N …` compares phipi's kernels and numbers of threads with the first of them, while no
//!   rival disturbs them.
//! - `cargo run -- --check` lets each of them run once, where n is small, and takes seconds.
//!
//! Every answer is compared with phipi's portable kernel's. GMP takes part where `libgmp-dev` is installed.

use std::{
    env,
    hint::black_box,
    time::{Duration, Instant},
};

use malachite_nz::natural::Natural;
use num_bigint::BigUint;
use phipi::math::{
    Kernel,
    fib::{Index, evaluate},
};

mod rounds;

use self::rounds::pool;

/// Rounds are repeated until they have taken this long …
const TIME_FOR_EACH: Duration = Duration::from_secs(4);
/// … and there are this many …
const MIN_ROUNDS: usize = 5;
/// … but no more than these.
const MAX_ROUNDS: usize = 201;
/// A sample takes at least this long: short computations are repeated.
const MIN_SAMPLE: Duration = Duration::from_micros(200);
/// Above this index num-bigint takes minutes.
const NUM_BIGINT_UP_TO: u32 = 10_000_000;

/// A way to compute F(n) as text.
struct Contender {
    name: String,
    threads: usize,
    text: Box<dyn Fn(u32) -> Vec<u8> + Send + Sync>,
    up_to: u32,
}

/// Where all are checked: below, at and above the crossover to transforms.
const CHECKED: [u32; 8] = [0, 1, 173, 174, 1_000, 10_000, 20_000, 200_000];

fn main() {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let mut contenders = contenders();
    if arguments.first().is_some_and(|first| first == "--alone") {
        arguments.remove(0);
        contenders.retain(|contender| contender.name.starts_with("phipi"));
    }
    if arguments == ["--check"] {
        for n in CHECKED {
            check(n, &contenders);
        }
        let names: Vec<&str> = contenders.iter().map(|contender| &*contender.name).collect();
        return println!("All agree: {}.", names.join("; "));
    }
    let mut indices: Vec<u32> = arguments.iter().map(|n| n.parse().expect("--check, --alone, or indices")).collect();
    if indices.is_empty() {
        indices = (3..=7).map(|log10| 10_u32.pow(log10)).collect();
    }
    for n in indices {
        compare(n, &contenders);
    }
}

/// malachite first: it is the measure of the others.
fn contenders() -> Vec<Contender> {
    let mut all = vec![
        rival("malachite", u32::MAX, |n| malachite(n).to_string().into_bytes()),
        rival("num-bigint", NUM_BIGINT_UP_TO, |n| num_bigint(n).to_string().into_bytes()),
    ];
    #[cfg(gmp)]
    all.push(rival("GMP", u32::MAX, gmp::fibonacci));
    for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_available()) {
        for threads in [1, 2] {
            let name = format!("phipi, {kernel}, {threads} thr.");
            all.push(Contender { name, threads, text: Box::new(move |n| phipi(n, kernel)), up_to: u32::MAX });
        }
    }
    all
}

fn rival(name: &str, up_to: u32, text: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static) -> Contender {
    Contender { name: name.to_owned(), threads: 1, text: Box::new(text), up_to }
}

/// Lets each contender run once, and returns the number of digits that all found.
fn check(n: u32, contenders: &[Contender]) -> usize {
    let expected = phipi(n, Kernel::Portable);
    for contender in contenders.iter().filter(|contender| n <= contender.up_to) {
        let text = pool(contender.threads).install(|| (contender.text)(n));
        assert!(text == expected, "{} is wrong at {n}", contender.name);
    }
    expected.len()
}

/// One line of the table for each contender. The check warms them up.
fn compare(n: u32, contenders: &[Contender]) {
    let digits = check(n, contenders);
    let running: Vec<_> = contenders.iter().filter(|contender| n <= contender.up_to).collect();
    let goes_on = |rounds, elapsed| rounds < MIN_ROUNDS || (elapsed < TIME_FOR_EACH && rounds < MAX_ROUNDS);
    let (medians, rounds) =
        rounds::medians(&running, |contender| contender.threads, |contender| sample(n, contender), goes_on);
    println!("n = {n}, {digits} digits, {rounds} rounds");
    for (contender, median) in running.iter().zip(&medians) {
        println!("  {:<28}{:>14.1} µs{:>8.2} ×", contender.name, median * 1e6, medians[0] / median);
    }
}

/// Seconds of one computation.
fn sample(n: u32, contender: &Contender) -> f64 {
    let start = Instant::now();
    let mut runs = 0;
    while runs == 0 || start.elapsed() < MIN_SAMPLE {
        black_box((contender.text)(black_box(n)));
        runs += 1;
    }
    start.elapsed().as_secs_f64() / f64::from(runs)
}

fn phipi(n: u32, kernel: Kernel) -> Vec<u8> {
    let value = evaluate(Index::new(n).expect("an index"), kernel, &mut |_| ());
    value.digits().into_bytes()
}

/// malachite has the function itself.
fn malachite(n: u32) -> Natural {
    use malachite_base::num::arithmetic::traits::Fibonacci;
    Natural::fibonacci(n.into())
}

/// Fast doubling by F(2k) = F(k)·(2F(k+1) − F(k)) and F(2k+1) = F(k)² + F(k+1)².
fn num_bigint(n: u32) -> BigUint {
    let (mut here, mut next) = (BigUint::ZERO, BigUint::from(1_u32));
    for bit in (0..u32::BITS - n.leading_zeros()).rev() {
        let even = &here * ((&next << 1) - &here);
        let odd = &here * &here + &next * &next;
        (here, next) = if n >> bit & 1 == 1 { (odd.clone(), even + odd) } else { (even, odd) };
    }
    here
}

/// GMP through the few functions of its C interface that are needed.
#[cfg(gmp)]
mod gmp {
    use std::{
        ffi::{CStr, c_char, c_int, c_ulong, c_void},
        mem::MaybeUninit,
        ptr,
    };

    /// `mpz_t`.
    #[repr(C)]
    struct Integer {
        allocated: c_int,
        size: c_int,
        limbs: *mut c_void,
    }

    #[link(name = "gmp")]
    unsafe extern "C" {
        #[link_name = "__gmpz_init"]
        fn init(integer: *mut Integer);
        #[link_name = "__gmpz_clear"]
        fn clear(integer: *mut Integer);
        #[link_name = "__gmpz_fib_ui"]
        fn fib_ui(integer: *mut Integer, n: c_ulong);
        #[link_name = "__gmpz_sizeinbase"]
        fn size_in_base(integer: *const Integer, base: c_int) -> usize;
        #[link_name = "__gmpz_get_str"]
        fn get_str(text: *mut c_char, base: c_int, integer: *const Integer) -> *mut c_char;
    }

    pub(crate) fn fibonacci(n: u32) -> Vec<u8> {
        let mut integer = MaybeUninit::uninit();
        // SAFETY: `init` makes the integer valid, it is cleared once, and the text has room for the digits, a sign and
        // the end, as GMP's manual demands.
        unsafe {
            init(integer.as_mut_ptr());
            fib_ui(integer.as_mut_ptr(), n.into());
            let mut text = vec![0_u8; size_in_base(integer.as_ptr(), 10) + 2];
            let start = get_str(text.as_mut_ptr().cast(), 10, integer.as_ptr());
            debug_assert!(ptr::eq(start.cast(), text.as_ptr()));
            let length = CStr::from_ptr(start).count_bytes();
            clear(integer.as_mut_ptr());
            text.truncate(length);
            text
        }
    }
}
