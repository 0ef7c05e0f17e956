//! The shared tier in Redis 6.2 or later, one server or a cluster, with plain commands alone: MGET, SET, ZADD GT, ZSCORE, PING.

mod dial;
mod fault;
mod mark;
mod node;
mod server;
mod supervised;
mod survey;
mod trust;
mod url;
mod watch;

use std::{iter, sync::Arc, time::Duration};

use redis::{ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult, Value};
use tokio::time::sleep;

pub(super) use self::{
    fault::{code_of, describe, trouble},
    server::Server,
    survey::Scan,
    url::{Url, is_known},
};
use self::{
    fault::{is_nonsense, nonsense},
    mark::{GENERATION, MARK, MARK_BITS, Mark, score_of},
    supervised::Supervised,
    watch::SILENCE,
};
pub use self::{
    trust::{Access, AccessError},
    url::UrlError,
};
use super::{
    budget,
    record::{Height, LARGE_BYTES, Reading, Record, new_generation},
};
use crate::telemetry;

/// The delay before INFO is retried, when the connection was lost before the answer.
const ADVICE_PACE: Duration = Duration::from_secs(1);

/// The patience with the slow nodes of a cluster that are read, when others have answered: within [`budget::READ`]. For a
/// write, which is better late than never, it is [`SILENCE`].
const READ: Duration = Duration::from_millis(40);

/// The number of names that are read of a cluster to learn whether any of its servers can be.
const PROBED: usize = 16;

/// Redis, by one supervised connection for small values and one for large ones, which would delay them.
#[derive(Clone)]
pub(super) struct Redis {
    small: Supervised,
    large: Supervised,
    /// By ladder.
    marks: Arc<[Mark]>,
    is_cluster: bool,
}

impl Redis {
    /// Begins to connect: a server that is down now may be up later.
    pub(super) fn open(server: &Server, marks: Vec<String>) -> Self {
        let (small, large) = (Supervised::open(server.clone()), Supervised::open(server.clone()));
        tokio::spawn(advise(small.clone()));
        let marks = marks.into_iter().map(Mark::new).collect();
        Self { small, large, marks, is_cluster: server.is_cluster() }
    }

    /// Each mark is read before the entries and again after them, and the lower is taken: it only ever rises, so that
    /// no digit that was damaged in transit makes it vouch for more than it does.
    ///
    /// When no entry is wanted, the same commands are sent, so that a user who may send them may do the rest.
    pub(super) async fn read(&self, ladders: &[usize], names: &[String], bytes: usize) -> RedisResult<Reading> {
        let mut commands = Pipeline::new();
        let marks: Vec<&Mark> = ladders.iter().map(|&ladder| &self.marks[ladder]).collect();
        for mark in &marks {
            commands.zscore(&mark.key, GENERATION).zscore(&mark.key, MARK);
        }
        let keys: Vec<&String> = if names.is_empty() { vec![&self.marks[0].key] } else { names.iter().collect() };
        mget(&mut commands, &keys, self.is_cluster);
        for mark in &marks {
            commands.zscore(&mark.key, MARK);
        }
        let connection = self.connection(bytes);
        let patience = budget::with_allowance(READ, bytes);
        let answers = connection.ask(commands.ignore_errors(), bytes, patience).await?;
        let is_partial = self.is_cluster && !names.is_empty();
        let mut reading = reading(&marks, answers, keys.len(), is_partial);
        if let Ok(Reading { values, .. }) = &mut reading {
            values.truncate(names.len());
        }
        if reading.as_ref().is_err_and(|error| code_of(error).is_none()) {
            connection.distrust();
        }
        reading
    }

    /// Reads the mark of the first ladder, and in a cluster some names that are on all of its servers, as a rule.
    pub(super) async fn probe(&self) -> RedisResult<Reading> {
        self.read(&[0], &self.probed(), 0).await
    }

    /// The names beside the mark that are asked for to learn whether the store works.
    fn probed(&self) -> Vec<String> {
        let count = if self.is_cluster { PROBED } else { 0 };
        (0..count).map(|number| format!("{}:{number}", self.marks[0].key)).collect()
    }

    /// Gives the generation of the ladder, if there is one, and the names of the records that were refused, with the reasons.
    ///
    /// # Errors
    /// When nothing was written.
    pub(super) async fn write(
        &self,
        records: &[Arc<Record>],
        ladder: Option<usize>,
    ) -> RedisResult<(Option<u64>, Vec<(String, RedisError)>)> {
        let (mut commands, new) = (Pipeline::new(), new_generation() >> MARK_BITS);
        let mark = ladder.map(|ladder| &self.marks[ladder]);
        if let Some(mark) = mark {
            commands.cmd("ZADD").arg(&mark.key).arg("NX").arg(new).arg(GENERATION);
            commands.zscore(&mark.key, GENERATION);
        }
        for record in records {
            commands.set(&record.name, &*record.bytes);
        }
        let bytes = records.iter().map(|record| record.cost()).sum();
        // Without the mark the rest is in vain.
        let patience = if ladder.is_some() { Duration::MAX } else { budget::with_allowance(SILENCE, bytes) };
        let mut answers = self.change(commands, bytes, patience).await?.into_iter();
        let mut generation = None;
        if let Some(mark) = mark {
            let begun = answers.next().unwrap_or(Ok(Value::Nil));
            let asked = answers.next().unwrap_or(Ok(Value::Nil));
            // A cluster may answer the second question first.
            let is_new = matches!(begun, Ok(Value::Int(1)));
            generation = if is_new { Some(new) } else { mark.state(begun.and(asked), [])?.generation };
        }
        let outcomes = records.iter().zip(answers);
        let refused = outcomes.filter_map(|(record, answer)| Some((record.name.clone(), answer.err()?)));
        let mut refused: Vec<(String, RedisError)> = refused.collect();
        if !records.is_empty() && refused.len() == records.len() {
            return Err(refused.swap_remove(0).1);
        }
        Ok((generation, refused))
    }

    /// The generation is read after the mark was raised under it: if it is still the same, nothing was lost before.
    ///
    /// A mark that was decided before the store was emptied, and came after that, may be of a greater generation than the
    /// present one, and would never be raised: then a greater generation is begun, with a ladder that is written anew.
    pub(super) async fn raise(&self, to: Height, generation: u64) -> RedisResult<bool> {
        let (mark, mut commands) = (&self.marks[to.ladder], Pipeline::new());
        commands.cmd("ZADD").arg(&mark.key).arg("GT").arg(score_of(generation, to.mark)).arg(MARK);
        commands.zscore(&mark.key, GENERATION).zscore(&mark.key, MARK);
        let answers = self.change(commands, 0, Duration::MAX).await?;
        let answers = answers.into_iter().collect::<RedisResult<Vec<_>>>()?;
        let [_, now, raised] = <[Value; 3]>::try_from(answers).map_err(|_| nonsense())?;
        let now = mark.state(Ok(now), [Ok(raised)])?;
        if now.is_taken {
            // It is left to an operator: there is no mark, and none is to be raised.
            return Ok(true);
        }
        let raised = now.score.map(|score| score >> MARK_BITS);
        if now.generation == Some(generation) && raised > now.generation {
            let mut commands = Pipeline::new();
            let greater = raised.unwrap_or_default() + 1;
            commands.cmd("ZADD").arg(&mark.key).arg("GT").arg(greater).arg(GENERATION);
            self.change(commands, 0, Duration::MAX).await?;
        }
        Ok(now.generation == Some(generation) && raised == Some(generation))
    }

    /// Sends a ZADD that changes nothing, since the member that it would raise is never there; in a cluster to all of its
    /// servers, as a rule, of which one that takes it is enough.
    pub(super) async fn touch(&self) -> RedisResult<()> {
        let (mark, probed, mut commands) = (&self.marks[0], self.probed(), Pipeline::new());
        for key in iter::once(&mark.key).chain(&probed) {
            commands.cmd("ZADD").arg(key).arg("XX").arg("GT").arg(0).arg("none");
        }
        let mut answers = self.change(commands, 0, SILENCE).await?.into_iter();
        let of_mark = mark.state(answers.next().unwrap_or_else(|| Err(nonsense())).map(|_| Value::Nil), []).map(drop);
        match of_mark {
            Err(error) if is_away(&error) && answers.any(|answer| answer.is_ok()) => Ok(()),
            of_mark => of_mark,
        }
    }

    /// Sends commands of `bytes` bytes that change something.
    async fn change(
        &self,
        mut commands: Pipeline,
        bytes: usize,
        patience: Duration,
    ) -> RedisResult<Vec<RedisResult<Value>>> {
        let connection = self.connection(bytes);
        let answers = connection.ask(commands.ignore_errors(), bytes, patience).await?;
        let is_replica = |answer: &RedisResult<Value>| {
            answer.as_ref().is_err_and(|error| code_of(error).as_deref() == Some("READONLY"))
        };
        if answers.iter().any(is_replica) {
            // After a failover the name may lead to the new primary.
            connection.renew();
        }
        Ok(answers)
    }

    fn connection(&self, bytes: usize) -> &Supervised {
        if bytes > LARGE_BYTES { &self.large } else { &self.small }
    }
}

/// Adds the commands that ask for the values of keys. A cluster is asked for each by itself: what its other servers hold is read
/// while one is away, and the client library can't put errors of several together.
fn mget(commands: &mut Pipeline, keys: &[&String], is_cluster: bool) {
    for keys in keys.chunks(if is_cluster { 1 } else { keys.len().max(1) }) {
        commands.cmd("MGET").arg(keys);
    }
}

/// Makes sense of the answers to the questions for the generation and the mark of each ladder, for the values of `keys`
/// keys, all at once or one by one, and for the marks again. If it may be partial, a mark or a value whose server is away is
/// left out, unless all values are.
fn reading(marks: &[&Mark], answers: Vec<RedisResult<Value>>, keys: usize, is_partial: bool) -> RedisResult<Reading> {
    let is_left_out = |error: &RedisError| is_partial && is_away(error);
    let (questions, mut answers) = (answers.len(), answers.into_iter());
    let mut next = || answers.next().ok_or_else(nonsense);
    let mut before = Vec::with_capacity(marks.len());
    for _ in marks {
        before.push((next()?, next()?));
    }
    let (mut values, mut away) = (Vec::with_capacity(keys), Vec::new());
    for _ in 3 * marks.len()..questions {
        match next()? {
            Err(error) if is_left_out(&error) => {
                values.push(None);
                away.push(error);
            }
            answer => values.extend(Vec::<Option<Vec<u8>>>::from_redis_value(answer?)?),
        }
    }
    if away.len() == keys {
        return Err(away.swap_remove(0));
    }
    if values.len() != keys {
        return Err((ErrorKind::Parse, "not as many values as were asked for").into());
    }
    let mut snapshots = Vec::with_capacity(marks.len());
    for (mark, (generation, before)) in marks.iter().zip(before) {
        snapshots.push(match mark.state(generation, [before, next()?]) {
            Err(error) if is_left_out(&error) => None,
            state => Some(state?.snapshot()),
        });
    }
    Ok(Reading { marks: snapshots, values })
}

/// Whether a server of a cluster may be away, while others work.
fn is_away(error: &RedisError) -> bool {
    !is_nonsense(error) && !trouble(error).needs_operator()
}

/// Asks the server, as soon as it can be reached, whether its memory has no limit, and logs that once. A server that
/// denies the right to ask has answered too, and nothing is logged.
async fn advise(connection: Supervised) {
    let mut commands = Pipeline::new();
    commands.cmd("INFO").arg("memory").ignore_errors();
    let answers = loop {
        connection.is_up().await;
        match connection.ask(&commands, 0, Duration::MAX).await {
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
