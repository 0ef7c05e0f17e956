//! phipi: Fibonacci numbers, exact to the last digit, π from the Basel series, correctly rounded, and the digits of π, over
//! GraphQL, from a cache that a fleet shares.
//!
//! # The house
//!
//! In reading order; each room uses only rooms above it (a test holds this), and the program is wired in `main`:
//!
//! - [`telemetry`]: what the log and the metrics hold;
//! - [`math`]: the numbers, which know of nothing else;
//! - [`workers`]: CPU work off the async threads, bounded;
//! - [`cache`]: one policy over two tiers, which knows keys and bytes;
//! - [`evaluator`]: answers questions from math, cache and workers: the one place where they meet;
//! - [`graphql`]: the schema and its execution;
//! - [`http`]: listeners, requests and answers;
//! - [`cli`]: flags and environment.
//!
//! # What always holds
//!
//! - No value leaves unproven: neither an evaluated one nor one that came from the store.
//! - `cached` is true if and only if the value was vouched for before the request and read from stored data.
//! - A mark is raised after everything that it vouches for was acknowledged.
//! - No answer waits for the store longer than its budgets.
//! - No operation runs before its exact cost is known and within the budget.
//! - A response that may be cached, by this process or by an HTTP cache, can never change.
//! - A connection on which nothing moves is closed, a request ends, and so does a drain, each in bounded time.
//!
//! # Vocabulary
//!
//! - *ladder*: entries in a row that are cached from the first one on: the rungs of Fibonacci numbers, up to index 100,000,
//!   and the blocks of digits of π;
//! - *rung*: an entry of a ladder; that of Fibonacci numbers is a pair of neighbours, one each 128 indices, from which 128
//!   values are read off;
//! - *mark*: the height up to which a ladder is vouched for;
//! - *generation*: the random number of a ladder, drawn with its first mark; under another one a mark does not count;
//! - *proof*: the check that bytes are exactly what their key says.

pub mod telemetry;

#[doc(inline)]
pub use phipi_math as math;

pub mod workers;

pub mod cache;

pub mod evaluator;

pub mod graphql;

pub mod http;

pub mod cli;
