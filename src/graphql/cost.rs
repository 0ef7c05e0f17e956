//! The cost of an operation is counted in digits, and its size in bytes. (An approximation of π
//! takes nanoseconds and has 17 digits: the bound on aliases is enough for it.)

use std::ops::Add;

use crate::{evaluator::Limits, math::fib};

/// The exact cost of an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Digits to evaluate or to look up, over the distinct questions.
    pub evaluate: usize,
    /// Digits that the answer holds.
    pub render: usize,
}

/// The memory that a request takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// For the plan, its values and its execution; they are gone when the text is there.
    pub execution: usize,
    /// For the text of the answer.
    pub text: usize,
}

impl Add for Size {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let Self { execution, text } = self;
        Self { execution: execution.saturating_add(other.execution), text: text.saturating_add(other.text) }
    }
}

/// The memory of a field while it is executed: an estimate for its place in the plan and its value, and for a field that the
/// library executes, its place in the document and the future that resolves it.
const FIELD_BYTES: usize = 1280;

/// The text of a field in an answer, beside its key and digits: a number, a truth value, or brackets.
const FIELD_TEXT_BYTES: usize = 40;

/// The text of a response beside its fields: its own brackets, and the cost of the operation.
const RESPONSE_TEXT_BYTES: usize = 128;

/// The memory of a value of the schema: its description is the longest of it.
const SCHEMA_VALUE_BYTES: usize = 256;

/// The size of a field with this key, without its digits and its values of the schema.
pub(super) fn of_field(key: &str) -> Size {
    Size { execution: FIELD_BYTES, text: key.len() + FIELD_TEXT_BYTES }
}

/// The size of a response without its fields, where there are at most `introspected` values of the schema.
pub(super) fn of_response(introspected: usize) -> Size {
    let bytes = introspected.saturating_mul(SCHEMA_VALUE_BYTES);
    Size { execution: bytes, text: bytes.saturating_add(RESPONSE_TEXT_BYTES) }
}

/// The memory of an error beside its path, in the text and as a value: its message, its place and its code.
const OWN_ERROR_BYTES: usize = 256;

/// The bytes of an error with a path of steps of these lengths, in the text as well as in memory.
pub(super) fn bytes_of_error(path: impl Iterator<Item = usize>) -> usize {
    OWN_ERROR_BYTES + path.sum::<usize>()
}

/// The most bytes that the errors of an operation may take. An error repeats the keys on the way to its field, of which one may
/// be nearly as long as the document; a thousand fields with usual keys take 300 kB.
pub(super) const ERROR_BYTES: usize = 512 * 1024;

/// The size of errors of this many bytes.
pub(super) fn of_errors(bytes: usize) -> Size {
    Size { execution: bytes, text: bytes }
}

/// The most answers of the longest value in a request.
const LONGEST_ANSWERS: usize = 4;

/// No request of GraphQL may ask for more digits: 64 MB of text, and a second of two cores.
const MOST_DIGITS: usize = 64_000_000;

/// The most digits that a request may render, and may evaluate, unless there are more of π.
pub(super) fn digits_per_request(limits: &Limits) -> usize {
    (LONGEST_ANSWERS * fib::digit_count(limits.max_n)).min(MOST_DIGITS)
}

/// The memory of a field of an object in a list while it is executed: its key, its value and, beside its digits, its text.
const ITEM_FIELD_BYTES: usize = 256;

/// The size of a list of `items` objects, each with `fields` fields that have the size `each` together.
pub(super) fn of_list(items: usize, fields: usize, each: Size) -> Size {
    let execution = items.saturating_mul(fields).saturating_mul(ITEM_FIELD_BYTES);
    Size { execution: each.execution.saturating_add(execution), text: each.text.saturating_mul(items) }
}
