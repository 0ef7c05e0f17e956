//! The shared tier in Redis 6.2 or later, one server or a cluster, with plain commands alone: MGET, SET, ZADD GT, ZSCORE, PING.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult, Value};
use tokio::time::sleep;

use super::{
    line::Line,
    server::{Server, Way},
    store::{LARGE_BYTES, MarkSnapshot, Reading, Record, StoreError, Written, code_of, new_generation},
};
use crate::telemetry;

/// The member of the mark's sorted set whose score is the generation of the store. The mark itself is the score of the
/// member that is named after the generation, which ZADD GT never lowers. A lookup asks for both at once, since it
/// knows the generation of the last visit.
const GENERATION: &str = "generation";

/// How often a lookup is repeated because the generation has changed, before it takes the mark for lost.
const READINGS: usize = 3;

/// How long to wait, when the connection was lost before the question about memory was answered, until it is asked again.
const ADVICE_PACE: Duration = Duration::from_secs(1);

/// Redis, by one line for what is small and one for what would hold it up.
#[derive(Clone)]
pub(super) struct Redis {
    small: Line,
    large: Line,
    mark: Arc<str>,
    mark_is_taken: Arc<AtomicBool>,
    /// The generation that the last visit saw.
    generation: Arc<Mutex<Option<u64>>>,
}

impl Redis {
    /// Begins to connect: a server that is down now may be up later.
    pub(super) fn open(server: &Server, mark: String) -> Self {
        let (small, large) = (Line::open(server.clone()), Line::open(server.clone()));
        tokio::spawn(advise(small.clone()));
        Self { small, large, mark: mark.into(), mark_is_taken: Arc::default(), generation: Arc::default() }
    }

    /// The mark is read before the entries and again after them, and the lower is taken: it only ever rises, so that
    /// no digit that was damaged on its way makes it vouch for more than it does.
    ///
    /// When no entry is wanted, the same commands are sent, so that who may do that may do the rest.
    pub(super) async fn read(&self, names: &[String], bytes: usize) -> Result<Reading, StoreError> {
        let mut values = Vec::new();
        for _ in 0..READINGS {
            let known = *self.generation();
            let (generation, reading) = self.read_under(known, names, bytes).await?;
            *self.generation() = reading.mark.generation;
            if reading.mark.generation.is_none_or(|read| read == generation) {
                return Ok(reading);
            }
            values = reading.values;
        }
        Ok(Reading { mark: MarkSnapshot::default(), values })
    }

    /// Reads the mark of the generation that is known. When none is, a new one is offered to the store, which takes it
    /// if it has none yet: so the mark of a new store is known from its first lookup on, without another round trip.
    /// Gives the generation whose mark was asked for beside the one that the store has.
    async fn read_under(
        &self,
        known: Option<u64>,
        names: &[String],
        bytes: usize,
    ) -> Result<(u64, Reading), StoreError> {
        let generation = known.unwrap_or_else(new_generation);
        let mut commands = Pipeline::new();
        if known.is_none() {
            self.begin_generation(&mut commands, generation);
        }
        commands.zscore(&*self.mark, GENERATION);
        commands.zscore(&*self.mark, generation);
        if names.is_empty() {
            commands.cmd("MGET").arg(&*self.mark);
        } else {
            commands.cmd("MGET").arg(names);
        }
        commands.zscore(&*self.mark, generation);
        let line = self.line(bytes);
        let mut answers = line.ask(commands.ignore_errors(), bytes).await?;
        if known.is_none() && !answers.is_empty() {
            // A server that takes no writes is read all the same.
            answers.remove(0).ok();
        }
        let reading = self.reading(answers, names.len());
        if reading.as_ref().is_err_and(|error| code_of(error).is_none()) {
            line.distrust();
        }
        Ok((generation, reading?))
    }

    fn begin_generation(&self, commands: &mut Pipeline, generation: u64) {
        commands.cmd("ZADD").arg(&*self.mark).arg("NX").arg(generation).arg(GENERATION);
    }

    pub(super) async fn write(&self, records: &[Record], begins_mark: bool) -> Result<Written, StoreError> {
        let mut commands = Pipeline::new();
        if begins_mark {
            self.begin_generation(&mut commands, new_generation());
            commands.zscore(&*self.mark, GENERATION);
        }
        for record in records {
            commands.set(&record.name, &*record.bytes);
        }
        let mut answers = self.change(commands, records.iter().map(Record::cost).sum()).await?.into_iter();
        let mut written = Written::default();
        if begins_mark {
            let begun = answers.next().unwrap_or(Ok(Value::Nil));
            let generation = answers.next().unwrap_or(Ok(Value::Nil));
            written.generation = self.score_in(begun.and(generation))?.map(generation_of);
        }
        let outcomes = records.iter().zip(answers);
        let refusal =
            |(record, answer): (&Record, RedisResult<Value>)| Some((record.name.clone(), answer.err()?.into()));
        written.refused = outcomes.filter_map(refusal).collect();
        if !records.is_empty() && written.refused.len() == records.len() {
            return Err(written.refused.swap_remove(0).1);
        }
        Ok(written)
    }

    /// The generation is read after the mark was raised under it: if it is still the same, nothing was lost before.
    pub(super) async fn raise(&self, mark: u32, generation: u64) -> Result<bool, StoreError> {
        let mut commands = Pipeline::new();
        commands.cmd("ZADD").arg(&*self.mark).arg("GT").arg(mark).arg(generation);
        commands.zscore(&*self.mark, GENERATION);
        let answers = self.change(commands, 0).await?;
        let generation_now = answers.into_iter().collect::<RedisResult<Vec<_>>>()?.pop().unwrap_or(Value::Nil);
        Ok(Option::<f64>::from_redis_value(generation_now).map_err(RedisError::from)?.map(generation_of)
            == Some(generation))
    }

    /// The generation rises to 0, if there is one.
    pub(super) async fn touch(&self) -> Result<(), StoreError> {
        let mut commands = Pipeline::new();
        commands.cmd("ZADD").arg(&*self.mark).arg("XX").arg("GT").arg(0).arg(GENERATION);
        let answers = self.change(commands, 0).await?;
        answers.into_iter().try_for_each(|answer| self.score_in(answer.map(|_| Value::Nil)).map(drop))?;
        Ok(())
    }

    /// Sends commands of `bytes` bytes that change something.
    async fn change(&self, mut commands: Pipeline, bytes: usize) -> Result<Vec<RedisResult<Value>>, StoreError> {
        let line = self.line(bytes);
        let answers = line.ask(commands.ignore_errors(), bytes).await?;
        let is_replica = |answer: &RedisResult<Value>| {
            answer.as_ref().is_err_and(|error| code_of(error).as_deref() == Some("READONLY"))
        };
        if answers.iter().any(is_replica) {
            // After a failover the name may lead to the new primary.
            line.renew();
        }
        Ok(answers)
    }

    fn generation(&self) -> MutexGuard<'_, Option<u64>> {
        self.generation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, bytes: usize) -> &Line {
        if bytes > LARGE_BYTES { &self.large } else { &self.small }
    }

    /// Makes sense of the answers to the questions for the generation, the mark, `count` entries, and the mark.
    fn reading(&self, answers: Vec<RedisResult<Value>>, count: usize) -> RedisResult<Reading> {
        let [generation, before, values, after] = <[_; 4]>::try_from(answers)
            .map_err(|_| RedisError::from((ErrorKind::Parse, "not as many answers as questions")))?;
        let generation = self.score_in(generation)?.map(generation_of);
        let mark = |score| Ok::<_, RedisError>(self.score_in(score)?.and_then(mark_of));
        let mark = mark(before)?.min(mark(after)?);
        let mut values = Vec::<Option<Vec<u8>>>::from_redis_value(values?)?;
        if values.len() != count.max(1) {
            return Err((ErrorKind::Parse, "not as many values as were asked for").into());
        }
        values.truncate(count);
        Ok(Reading { mark: MarkSnapshot { generation, mark: generation.and(mark) }, values })
    }

    /// The score in an answer. There is none when the key of the mark holds something else.
    fn score_in(&self, answer: RedisResult<Value>) -> RedisResult<Option<f64>> {
        match answer {
            Err(error) if self.is_taken(&error) => Ok(None),
            answer => Ok(Option::from_redis_value(answer?)?),
        }
    }

    /// Whether the key of the mark holds something else, which is told once: then there is no mark.
    fn is_taken(&self, error: &RedisError) -> bool {
        let is_taken = code_of(error).as_deref() == Some("WRONGTYPE");
        if is_taken && !self.mark_is_taken.swap(true, Ordering::Relaxed) {
            telemetry::mark_is_taken(&self.mark);
        }
        is_taken
    }
}

/// The mark, by two round trips on a way of its own.
///
/// # Errors
/// When the server does not answer, or the key holds something else.
pub(super) async fn mark_by(way: &mut Way, key: &str) -> RedisResult<Option<u32>> {
    let mut score = async |member: &str| {
        let mut commands = Pipeline::new();
        commands.zscore(key, member);
        let answer = way.ask(commands.ignore_errors()).await?.pop().unwrap_or(Ok(Value::Nil))?;
        Ok::<_, RedisError>(Option::<f64>::from_redis_value(answer)?)
    };
    let Some(generation) = score(GENERATION).await? else { return Ok(None) };
    Ok(score(&generation_of(generation).to_string()).await?.and_then(mark_of))
}

/// A score as a generation. One that nobody can have drawn is one that nobody knows.
fn generation_of(score: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let generation = score as u64;
    generation
}

/// A score as a mark. One that no `raise` can have written is taken for what it claims: entries are proven in any case,
/// and it could never be lowered again.
fn mark_of(score: f64) -> Option<u32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    Some(score).filter(|&score| score >= 0.0).map(|score| score as u32)
}

/// Asks the server, as soon as it can be reached, whether nothing bounds its memory, and logs it once. A server that
/// denies the right to ask has answered too, and nothing is logged.
async fn advise(line: Line) {
    let mut commands = Pipeline::new();
    commands.cmd("INFO").arg("memory").ignore_errors();
    let answers = loop {
        line.is_up().await;
        match line.ask(&commands, 0).await {
            Ok(answers) => break answers,
            Err(_) => sleep(ADVICE_PACE).await,
        }
    };
    if answers.into_iter().flatten().any(|info| is_unbounded(&info)) {
        telemetry::store_is_unbounded();
    }
}

/// Whether the server has no `maxmemory` and evicts nothing; in a cluster, whether one of them is so.
fn is_unbounded(info: &Value) -> bool {
    match info {
        Value::Map(nodes) => nodes.iter().any(|(_, info)| is_unbounded(info)),
        info => redis::from_redis_value_ref::<String>(info).is_ok_and(|text| {
            let has = |line: &str| text.lines().any(|own| own == line);
            has("maxmemory:0") && has("maxmemory_policy:noeviction")
        }),
    }
}
