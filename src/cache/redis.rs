//! The shared tier in Redis 6.2 or later, with plain commands alone: GET's plural, SET, ZADD GT, ZSCORE.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{Client, ErrorKind, FromRedisValue, Pipeline, RedisResult, Value};

use super::{
    line::Line,
    store::{LARGE_BYTES, Reading, Record, StoreError, code_of},
};
use crate::telemetry;

/// The member of the sorted set that holds the mark: a score that ZADD GT never lowers.
const MARK_MEMBER: &str = "n";

/// When a connection is taken for dead: beyond every budget, of small entries and of the largest.
const SILENCE: Duration = Duration::from_millis(500);
const LARGE_SILENCE: Duration = Duration::from_millis(1500);

/// A Redis server, by one line for what is small and one for what would hold it up.
#[derive(Clone)]
pub(super) struct Redis {
    small: Line,
    large: Line,
    mark: Arc<str>,
    mark_is_taken: Arc<AtomicBool>,
}

impl Redis {
    /// Begins to connect: a server that is down now may be up later.
    pub(super) fn open(server: &Client, mark: String) -> Self {
        let (small, large) = (Line::open(server.clone(), SILENCE), Line::open(server.clone(), LARGE_SILENCE));
        Self { small, large, mark: mark.into(), mark_is_taken: Arc::default() }
    }

    /// The mark is read before the entries and again after them, and the lower is taken: it only ever rises, so that
    /// no digit that was damaged on its way makes it vouch for more than it does.
    pub(super) async fn read(&self, names: &[String], bytes: usize) -> Result<Reading, StoreError> {
        let mut commands = Pipeline::new();
        commands.zscore(&*self.mark, MARK_MEMBER);
        if !names.is_empty() {
            commands.mget(names);
        }
        commands.zscore(&*self.mark, MARK_MEMBER);
        let line = self.line(bytes);
        let answers = line.ask(commands.ignore_errors()).await?;
        let reading = self.reading(answers, names.len());
        if reading.as_ref().is_err_and(|error| code_of(error).is_none()) {
            line.distrust();
        }
        Ok(reading?)
    }

    pub(super) async fn write(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut commands = Pipeline::new();
        for record in records {
            commands.set(&record.name, &*record.bytes);
        }
        self.change(self.line(records.iter().map(|record| record.bytes.len()).sum()), commands).await
    }

    pub(super) async fn raise(&self, mark: u32) -> Result<(), StoreError> {
        let mut commands = Pipeline::new();
        commands.cmd("ZADD").arg(&*self.mark).arg("GT").arg(mark).arg(MARK_MEMBER);
        match self.change(&self.small, commands).await {
            Err(StoreError::Redis(error)) if self.is_taken(&error) => Ok(()),
            raised => raised,
        }
    }

    /// Sends commands that change something; the first error is that of all.
    async fn change(&self, line: &Line, mut commands: Pipeline) -> Result<(), StoreError> {
        for answer in line.ask(commands.ignore_errors()).await? {
            if let Err(error) = answer {
                if code_of(&error).as_deref() == Some("READONLY") {
                    // After a failover the name may lead to the new primary.
                    line.distrust();
                }
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn line(&self, bytes: usize) -> &Line {
        if bytes > LARGE_BYTES { &self.large } else { &self.small }
    }

    /// Makes sense of the answers to the question for the mark, for `count` entries if there are any, and for the mark.
    fn reading(&self, answers: Vec<RedisResult<Value>>, count: usize) -> RedisResult<Reading> {
        let mut answers = answers.into_iter().peekable();
        let before = self.mark_of(answers.next())?;
        let values = match answers.next_if(|_| count > 0) {
            Some(values) => Vec::<Option<Vec<u8>>>::from_redis_value(values?)?,
            None => Vec::new(),
        };
        let after = self.mark_of(answers.next())?;
        if values.len() != count {
            return Err((ErrorKind::Parse, "not as many values as were asked for").into());
        }
        Ok(Reading { mark: before.min(after), values })
    }

    /// A score as a mark. One that no `raise` can have written is taken for what it claims: entries are proven in any
    /// case, and it could never be lowered again.
    fn mark_of(&self, answer: Option<RedisResult<Value>>) -> RedisResult<Option<u32>> {
        let answer = answer.unwrap_or_else(|| Err((ErrorKind::Parse, "an answer is missing").into()));
        let score = match answer {
            Err(error) if self.is_taken(&error) => None,
            answer => Option::<f64>::from_redis_value(answer?)?,
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        Ok(score.filter(|&score| score >= 0.0).map(|score| score as u32))
    }

    /// Whether the key of the mark holds something else, which is told once: then there is no mark.
    fn is_taken(&self, error: &redis::RedisError) -> bool {
        let is_taken = code_of(error).as_deref() == Some("WRONGTYPE");
        if is_taken && !self.mark_is_taken.swap(true, Ordering::Relaxed) {
            telemetry::mark_is_taken(&self.mark);
        }
        is_taken
    }
}
