//! A scan of a whole Redis: every key below a prefix, page by page.

use redis::{FromRedisValue, Pipeline, RedisError, RedisResult, Value};

use super::{
    GENERATION, MARK,
    fault::code_of,
    mark_under, nonsense, number_of,
    server::{Client, Cursor, Server},
};

/// A scan under way, from the first name to the last.
pub(in crate::cache) struct Scan {
    client: Client,
    cursor: Option<Cursor>,
}

impl Scan {
    /// Connects.
    ///
    /// # Errors
    /// When the server can't be reached.
    pub(in crate::cache) async fn open(server: &Server) -> RedisResult<Self> {
        Ok(Self { client: server.connect().await?, cursor: Some(Cursor::default()) })
    }

    /// Some names that begin with `prefix`; `None` after the last.
    pub(in crate::cache) async fn names(&mut self, prefix: &str) -> RedisResult<Option<Vec<String>>> {
        let Some(at) = self.cursor.take() else { return Ok(None) };
        let (names, next) = self.client.scan(prefix, at).await?;
        self.cursor = next;
        Ok(Some(names))
    }

    /// Looks for each name. MGET answers nil for a key of another type as it does for none, and GET distinguishes them.
    pub(in crate::cache) async fn values(&mut self, names: &[String]) -> RedisResult<Vec<Found>> {
        let mut commands = Pipeline::new();
        commands.cmd("MGET").arg(names);
        let values: Vec<Option<Vec<u8>>> = only(self.client.ask(commands.ignore_errors()).await?)?;
        let mut found: Vec<Found> = values.into_iter().map(Found::of).collect();
        let unread = found.iter_mut().zip(names).filter(|(found, _)| matches!(found, Found::Nothing));
        let (unread, names): (Vec<&mut Found>, Vec<&String>) = unread.unzip();
        if names.is_empty() {
            return Ok(found);
        }
        let mut commands = Pipeline::new();
        for name in names {
            commands.get(name);
        }
        for (found, answer) in unread.into_iter().zip(self.client.ask(commands.ignore_errors()).await?) {
            *found = match answer {
                Err(error) if is_of_another_type(&error) => Found::OtherType,
                answer => Found::of(Option::from_redis_value(answer?)?),
            };
        }
        Ok(found)
    }

    /// The mark under a key.
    ///
    /// # Errors
    /// When the server does not answer, or the key holds something else.
    pub(in crate::cache) async fn mark(&mut self, key: &str) -> RedisResult<Option<u32>> {
        let mut commands = Pipeline::new();
        commands.zscore(key, GENERATION).zscore(key, MARK);
        let answers = self.client.ask(commands.ignore_errors()).await?;
        let scores = answers.into_iter().map(|score| number_of(score?));
        let [generation, mark] =
            <[_; 2]>::try_from(scores.collect::<RedisResult<Vec<_>>>()?).map_err(|_| nonsense())?;
        Ok(mark_under(generation, mark))
    }

    /// Deletes the keys of these names.
    pub(in crate::cache) async fn remove(&mut self, names: Vec<String>) -> RedisResult<()> {
        let mut commands = Pipeline::new();
        for name in names {
            commands.del(name);
        }
        self.client.ask(commands.ignore_errors()).await?.into_iter().try_for_each(|answer| answer.map(drop))
    }
}

/// The result of looking for a name.
pub(in crate::cache) enum Found {
    Nothing,
    Bytes(Vec<u8>),
    OtherType,
}

impl Found {
    pub(in crate::cache) fn of(bytes: Option<Vec<u8>>) -> Self {
        bytes.map_or(Self::Nothing, Self::Bytes)
    }
}

/// Whether a command was refused since its key holds a value of another type than the command is for.
pub(in crate::cache) fn is_of_another_type(error: &RedisError) -> bool {
    code_of(error).as_deref() == Some("WRONGTYPE")
}

/// The answer to the one command that was sent.
fn only<T: FromRedisValue>(answers: Vec<RedisResult<Value>>) -> RedisResult<T> {
    Ok(T::from_redis_value(answers.into_iter().next().unwrap_or(Ok(Value::Nil))?)?)
}
