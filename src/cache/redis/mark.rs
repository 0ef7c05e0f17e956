//! Marks: the scores under the key of one, and which of them phipi can have written.

use std::sync::atomic::{AtomicBool, Ordering};

use redis::{FromRedisValue, RedisError, RedisResult, Value};

use super::fault::code_of;
use crate::{cache::record::MarkSnapshot, telemetry};

/// The members of the mark's sorted set. The score of the first is the generation of the store. The score of the second
/// is a generation and its mark: `generation * 2^MARK_BITS + mark`. It vouches only if the generations are the same; and
/// ZADD GT never lowers it. So one read, without knowing anything, gives the mark and whether it counts.
pub(super) const GENERATION: &str = "generation";
pub(super) const MARK: &str = "mark";

/// A mark is at most 2^17 − 1. A score holds 53 bits exactly, so that 36 are left for the generation.
pub(super) const MARK_BITS: u32 = 17;
const SCORES: u64 = 1 << 53;
const GENERATIONS: u64 = SCORES >> MARK_BITS;

/// The key of a mark.
pub(super) struct Mark {
    pub(super) key: String,
    /// Whether it is known to hold something that phipi did not write.
    is_taken: AtomicBool,
}

impl Mark {
    pub(super) fn new(key: String) -> Self {
        Self { key, is_taken: AtomicBool::new(false) }
    }

    /// The state of the key, by [`State::of`]. That it holds something else is logged once.
    pub(super) fn state<const N: usize>(
        &self,
        generation: RedisResult<Value>,
        marks: [RedisResult<Value>; N],
    ) -> RedisResult<State> {
        let state = State::of(generation, marks)?;
        if state.is_taken && !self.is_taken.swap(true, Ordering::Relaxed) {
            telemetry::mark_is_taken(&self.key);
        }
        Ok(state)
    }
}

/// The content of the key of a mark.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) generation: Option<u64>,
    /// The score of the mark.
    pub(super) score: Option<u64>,
    /// Whether it holds something that phipi can't have written, so that no mark can be raised.
    pub(super) is_taken: bool,
}

impl State {
    /// Reads the state from the answers to ZSCORE: one for the generation, and any number for the mark, of which the lowest
    /// counts.
    ///
    /// # Errors
    /// Those of the server, but for the one that says that the key holds a value of another type.
    pub(super) fn of<const N: usize>(
        generation: RedisResult<Value>,
        marks: [RedisResult<Value>; N],
    ) -> RedisResult<Self> {
        let (generation, marks) = (number_of(generation, GENERATIONS)?, marks.map(|mark| number_of(mark, SCORES)));
        let marks = marks.into_iter().collect::<RedisResult<Result<Vec<_>, _>>>()?;
        let (Ok(generation), Ok(marks)) = (generation, marks) else {
            return Ok(Self { generation: None, score: None, is_taken: true });
        };
        let score = marks.into_iter().min().flatten();
        // No generation could be begun that is greater than that of this mark.
        let is_last = |generation: u64| generation == GENERATIONS - 1;
        let is_taken = score.is_some_and(|score| is_last(score >> MARK_BITS)) && !generation.is_some_and(is_last);
        Ok(Self { generation, score, is_taken })
    }

    /// The mark, if it was raised under the generation that the store has.
    pub(super) fn snapshot(&self) -> MarkSnapshot {
        let score = self.score.filter(|score| Some(score >> MARK_BITS) == self.generation);
        let mark = score.and_then(|score| u32::try_from(score & ((1 << MARK_BITS) - 1)).ok());
        MarkSnapshot { generation: self.generation, mark, is_taken: self.is_taken }
    }
}

/// A score that phipi can't have written, or a value of another type.
struct Foreign;

/// The score in an answer, if there is one; those that phipi writes are whole numbers below `limit`.
fn number_of(answer: RedisResult<Value>, limit: u64) -> RedisResult<Result<Option<u64>, Foreign>> {
    let score = match answer {
        Err(error) if is_of_another_type(&error) => return Ok(Err(Foreign)),
        answer => Option::<f64>::from_redis_value(answer?)?,
    };
    #[expect(clippy::cast_precision_loss, reason = "a score holds 53 bits")]
    let is_ours = |score: &f64| score.fract() == 0.0 && (0.0..limit as f64).contains(score);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and in the range")]
    Ok(score.map(|score| Some(score).filter(is_ours).map(|score| score as u64).ok_or(Foreign)).transpose())
}

/// The score of a mark under a generation.
pub(super) fn score_of(generation: u64, mark: u32) -> u64 {
    generation << MARK_BITS | u64::from(mark).min((1 << MARK_BITS) - 1)
}

/// Whether a command was refused since its key holds a value of another type than the command is for.
pub(super) fn is_of_another_type(error: &RedisError) -> bool {
    code_of(error).as_deref() == Some("WRONGTYPE")
}
