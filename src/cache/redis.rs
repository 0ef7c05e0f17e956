//! The shared tier in Redis 6.2 or later, one server or a cluster, with plain commands alone: MGET, SET, ZADD GT, ZSCORE, PING.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult, Value};
use tokio::time::sleep;

use super::{
    line::Line,
    server::Server,
    store::{LARGE_BYTES, Reading, Record, StoreError, code_of},
};
use crate::telemetry;

/// The member of the sorted set that holds the mark: a score that ZADD GT never lowers.
pub(super) const MARK_MEMBER: &str = "n";

/// How long to wait, when the connection was lost before the question about memory was answered, until it is asked again.
const ADVICE_PACE: Duration = Duration::from_secs(1);

/// Redis, by one line for what is small and one for what would hold it up.
#[derive(Clone)]
pub(super) struct Redis {
    small: Line,
    large: Line,
    mark: Arc<str>,
    mark_is_taken: Arc<AtomicBool>,
}

impl Redis {
    /// Begins to connect: a server that is down now may be up later.
    pub(super) fn open(server: &Server, mark: String) -> Self {
        let (small, large) = (Line::open(server.clone()), Line::open(server.clone()));
        tokio::spawn(advise(small.clone()));
        Self { small, large, mark: mark.into(), mark_is_taken: Arc::default() }
    }

    /// The mark is read before the entries and again after them, and the lower is taken: it only ever rises, so that
    /// no digit that was damaged on its way makes it vouch for more than it does.
    ///
    /// When no entry is wanted, the same commands are sent, so that who may do that may do the rest.
    pub(super) async fn read(&self, names: &[String], bytes: usize) -> Result<Reading, StoreError> {
        let mut commands = Pipeline::new();
        commands.zscore(&*self.mark, MARK_MEMBER);
        if names.is_empty() {
            commands.cmd("MGET").arg(&*self.mark);
        } else {
            commands.cmd("MGET").arg(names);
        }
        commands.zscore(&*self.mark, MARK_MEMBER);
        let line = self.line(bytes);
        let answers = line.ask(commands.ignore_errors(), bytes).await?;
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
        self.change(commands, records.iter().map(Record::cost).sum()).await
    }

    pub(super) async fn raise(&self, mark: u32) -> Result<(), StoreError> {
        self.raise_by(&["GT"], mark).await
    }

    /// The mark rises to 0, if there is one.
    pub(super) async fn touch(&self) -> Result<(), StoreError> {
        self.raise_by(&["XX", "GT"], 0).await
    }

    async fn raise_by(&self, manner: &[&str], mark: u32) -> Result<(), StoreError> {
        let mut commands = Pipeline::new();
        commands.cmd("ZADD").arg(&*self.mark).arg(manner).arg(mark).arg(MARK_MEMBER);
        match self.change(commands, 0).await {
            Err(StoreError::Redis(error)) if self.is_taken(&error) => Ok(()),
            raised => raised,
        }
    }

    /// Sends commands of so many bytes that change something; the first error is that of all.
    async fn change(&self, mut commands: Pipeline, bytes: usize) -> Result<(), StoreError> {
        let line = self.line(bytes);
        for answer in line.ask(commands.ignore_errors(), bytes).await? {
            if let Err(error) = answer {
                if code_of(&error).as_deref() == Some("READONLY") {
                    // After a failover the name may lead to the new primary.
                    line.renew();
                }
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn line(&self, bytes: usize) -> &Line {
        if bytes > LARGE_BYTES { &self.large } else { &self.small }
    }

    /// Makes sense of the answers to the question for the mark, for `count` entries, and for the mark.
    fn reading(&self, answers: Vec<RedisResult<Value>>, count: usize) -> RedisResult<Reading> {
        let [before, values, after] = <[_; 3]>::try_from(answers)
            .map_err(|_| RedisError::from((ErrorKind::Parse, "not as many answers as questions")))?;
        let mark = self.mark_in(before)?.min(self.mark_in(after)?);
        let mut values = Vec::<Option<Vec<u8>>>::from_redis_value(values?)?;
        if values.len() != count.max(1) {
            return Err((ErrorKind::Parse, "not as many values as were asked for").into());
        }
        values.truncate(count);
        Ok(Reading { mark, values })
    }

    /// The mark in an answer. There is none in the place of something else.
    fn mark_in(&self, answer: RedisResult<Value>) -> RedisResult<Option<u32>> {
        let score = match answer {
            Err(error) if self.is_taken(&error) => None,
            answer => Option::<f64>::from_redis_value(answer?)?,
        };
        Ok(score.and_then(mark_of))
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

/// A score as a mark. One that no `raise` can have written is taken for what it claims: entries are proven in any case,
/// and it could never be lowered again.
pub(super) fn mark_of(score: f64) -> Option<u32> {
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
