//! The digits of π as text, beside Fibonacci numbers of as many digits.
//!
//! In this folder:
//!
//! - `cargo run --release --bin pi` compares at 10^6 and 10^7 digits, `cargo run --release --bin pi -- COUNT …` at other
//!   powers of ten. It takes a minute, and wants a machine that does nothing else. The contenders run side by side, round by
//!   round, so that a busy machine slows all of them alike; the figure is the median of the rounds, and "×" is how many times
//!   the time of the Fibonacci number on one thread.
//! - `cargo run --bin pi -- --check` lets each of them run once, where they are short, and takes seconds.
//! - `cargo run --release --bin pi -- --digits COUNT` prints the first digits, 3.14…, the 3 counted, and on stderr the time and
//!   the peak of memory.
//!
//! Every answer is compared with phipi's portable kernel's, and with the last of its digits as others know them.

use std::{
    env, fs,
    hint::black_box,
    io::{self, Write},
    time::Instant,
};

use phipi::math::{
    Kernel,
    fib::{self, Index},
    pi_digits::{self, Count},
};

mod rounds;

use self::rounds::pool;

/// Powers of ten, the last ten of so many digits of π, and an n of which F(n) has so many.
const ROWS: [(usize, &str, u32); 5] = [
    (1_000, "9216420198", 4_782),
    (10_000, "5525637567", 47_847),
    (100_000, "5549362464", 478_497),
    (1_000_000, "0577945815", 4_784_970),
    (10_000_000, "3534895589", 47_849_718),
];

/// The powers of ten that are compared by default.
const COMPARED: [usize; 2] = [1_000_000, 10_000_000];

/// The powers of ten that are checked, below and above the crossover to transforms.
const CHECKED: [usize; 3] = [1_000, 10_000, 100_000];

/// Rounds of a comparison.
const ROUNDS: usize = 7;

/// A way to compute as many digits as text.
struct Contender {
    name: String,
    threads: usize,
    text: Box<dyn Fn() -> Vec<u8> + Send + Sync>,
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--digits", count] => return print(number(count)),
        ["--check"] => CHECKED.into_iter().for_each(|digits| drop(checked(digits))),
        [] => COMPARED.into_iter().for_each(compare),
        ref counts => counts.iter().map(|count| number(count)).for_each(compare),
    }
    Ok(())
}

fn number(text: &str) -> usize {
    text.parse().expect("--check, --digits COUNT, or powers of ten")
}

/// F(n) on one thread first: it is the measure of the others.
fn contenders(digits: usize, n: u32) -> Vec<Contender> {
    let best = Kernel::best();
    let mut all = vec![Contender { name: format!("F({n}), {best}"), threads: 1, text: Box::new(move || fibonacci(n)) }];
    for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_available()) {
        for threads in [1, 2] {
            let name = format!("π, {kernel}, {threads} thr.");
            all.push(Contender { name, threads, text: Box::new(move || pi(digits, kernel)) });
        }
    }
    all
}

/// The contenders, after each has run once and was right.
fn checked(digits: usize) -> Vec<Contender> {
    let row = ROWS.into_iter().find(|(count, ..)| *count == digits);
    let (_, end, n) = row.expect("a power of ten from 10^3 to 10^7");
    let contenders = contenders(digits, n);
    let expected = pi(digits, Kernel::Portable);
    assert!(expected.starts_with(b"31415926535897932384626433832795") && expected.ends_with(end.as_bytes()));
    for contender in &contenders {
        let text = pool(contender.threads).install(|| (contender.text)());
        assert_eq!(text.len(), digits, "{} has another length", contender.name);
        assert!(text == expected || contender.name.starts_with("F("), "{} is wrong", contender.name);
    }
    println!("{digits} digits: {} ways agree", contenders.len());
    contenders
}

/// One line of the table for each contender.
fn compare(digits: usize) {
    let contenders = checked(digits);
    let (medians, _) = rounds::medians(&contenders, |contender| contender.threads, sample, |rounds, _| rounds < ROUNDS);
    for (contender, median) in contenders.iter().zip(&medians) {
        println!("  {:<28}{:>12.2} ms{:>8.2} ×", contender.name, median * 1e3, median / medians[0]);
    }
}

/// Seconds of one computation.
fn sample(contender: &Contender) -> f64 {
    let start = Instant::now();
    black_box((contender.text)());
    start.elapsed().as_secs_f64()
}

fn fibonacci(n: u32) -> Vec<u8> {
    let value = fib::evaluate(Index::new(n).expect("an index"), Kernel::best(), &mut |_| ());
    value.digits().into_bytes()
}

fn pi(digits: usize, kernel: Kernel) -> Vec<u8> {
    let count = Count::new(digits).expect("at most 10^8");
    let mut text = Vec::new();
    pi_digits::evaluate(count, kernel, &mut |_| ()).write(0..digits, &mut text);
    text
}

/// The digits with the point, on stdout.
fn print(digits: usize) -> io::Result<()> {
    let start = Instant::now();
    let mut text = pool(2).install(|| pi(digits, Kernel::best()));
    eprintln!("{digits} digits in {:.2?} with two threads; {}", start.elapsed(), peak_memory());
    if digits > 1 {
        text.insert(1, b'.');
    }
    text.push(b'\n');
    io::stdout().write_all(&text)
}

/// The peak of the process's memory, where the system tells it.
fn peak_memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("no peak of memory is known").to_owned()
}
