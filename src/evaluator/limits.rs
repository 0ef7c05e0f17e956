//! The limits of a server, and the arguments of clients.

use std::fmt::{self, Display};

use thiserror::Error;

use crate::math::{
    decimal::LIMB_BYTES,
    fib::{self, Index},
    pi_digits::{self, Count},
};

/// The limits that an operator sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest index of `fib`.
    pub max_n: Index,
    /// The most digits of π, the 3 counted.
    pub max_pi_digits: Count,
}

impl Limits {
    /// The most values in a sequence.
    pub const MAX_COUNT: u32 = 1_000;

    /// The work that one request may ask for, in limbs: four of the longest numbers, and the evaluation of all digits.
    #[must_use]
    pub fn work(&self) -> [usize; 2] {
        let digits = Count::of_blocks(self.max_pi_digits.blocks()).map_or(0, pi_digits::memory);
        [4 * fib::limb_count(self.max_n), digits.div_ceil(LIMB_BYTES)]
    }
}

/// An argument as a client gave it.
#[derive(Clone, Copy, Debug)]
pub enum Given<'a> {
    /// A number.
    Number(i64),
    /// Text that should be one.
    Text(&'a str),
    /// Nothing, so that it is this default, or the largest number that there can be if that is less.
    Default(u32),
}

impl Display for Given<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(out, "{number}"),
            Self::Default(default) => write!(out, "{default}"),
            Self::Text(text) => match text.parse::<i64>() {
                Ok(number) => write!(out, "{number}"),
                Err(_) => write!(out, "{text:?}"),
            },
        }
    }
}

/// An argument outside its range.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{argument} must be a whole number from {least} to {largest}, but it is {given}")]
pub struct OutOfRange {
    /// The name of the argument.
    argument: &'static str,
    least: u32,
    largest: u32,
    given: String,
}

impl Given<'_> {
    /// Parses the number of an argument, checks that it is in `least..=largest`, and converts it with `of`.
    pub(super) fn within<T>(
        self,
        argument: &'static str,
        least: u32,
        largest: u32,
        of: impl FnOnce(u32) -> Option<T>,
    ) -> Result<T, OutOfRange> {
        let number = match self {
            Self::Number(number) => Some(number),
            Self::Text(text) => text.parse().ok(),
            Self::Default(default) => Some(default.min(largest).into()),
        };
        let number =
            number.and_then(|number| u32::try_from(number).ok()).filter(|number| (least..=largest).contains(number));
        number.and_then(of).ok_or_else(|| OutOfRange { argument, least, largest, given: self.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_the_number_that_it_writes() {
        for (text, number) in [("7", 7), ("+7", 7), ("-0", 0), ("007", 7)] {
            assert_eq!(Given::Text(text).within("n", 0, 9, Some), Ok(number), "{text}");
        }
        for (text, told) in [("10", "10"), ("-1", "-1"), ("1e3", "\"1e3\""), (" 5", "\" 5\""), ("", "\"\"")] {
            let error = Given::Text(text).within("n", 0, 9, Some).unwrap_err().to_string();
            assert_eq!(error, format!("n must be a whole number from 0 to 9, but it is {told}"));
        }
    }
}
