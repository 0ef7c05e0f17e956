//! A scan of a whole Redis: every key below a prefix, page by page.

use std::time::Duration;

use redis::{FromRedisValue, Pipeline, RedisResult};

use super::{
    fault::nonsense,
    mark::{GENERATION, MARK, State, is_of_another_type},
    mget,
    server::{Client, Cursor, Server},
};
use crate::cache::record::MarkSnapshot;

/// A scan under way, from the first name to the last.
pub(in crate::cache) struct Scan {
    client: Client,
    cursor: Option<Cursor>,
    is_cluster: bool,
}

impl Scan {
    /// Connects.
    ///
    /// # Errors
    /// When the server can't be reached.
    pub(in crate::cache) async fn open(server: &Server) -> RedisResult<Self> {
        let (client, cursor) = (server.connect().await?, Some(Cursor::default()));
        Ok(Self { client, cursor, is_cluster: server.is_cluster() })
    }

    /// Some names that begin with `prefix`; `None` after the last.
    pub(in crate::cache) async fn names(&mut self, prefix: &str) -> RedisResult<Option<Vec<String>>> {
        let Some(at) = self.cursor.take() else { return Ok(None) };
        let (names, next) = self.client.scan(prefix, at).await?;
        self.cursor = next;
        Ok(Some(names))
    }

    /// The bytes of each value; `None` for one of another type, and 0 where there is none.
    pub(in crate::cache) async fn sizes(&mut self, names: &[String]) -> RedisResult<Vec<Option<usize>>> {
        let mut commands = Pipeline::new();
        for name in names {
            commands.cmd("STRLEN").arg(name);
        }
        let sizes =
            self.client.ask(commands.ignore_errors(), Duration::MAX).await?.into_iter().map(|size| match size {
                Err(error) if is_of_another_type(&error) => Ok(None),
                size => Ok(Some(usize::from_redis_value(size?)?)),
            });
        sizes.collect()
    }

    /// The value of each name. There is none for a key of another type, as for no key.
    pub(in crate::cache) async fn values(&mut self, names: &[String]) -> RedisResult<Vec<Option<Vec<u8>>>> {
        let mut commands = Pipeline::new();
        mget(&mut commands, &names.iter().collect::<Vec<_>>(), self.is_cluster);
        let mut values = Vec::with_capacity(names.len());
        for answer in self.client.ask(commands.ignore_errors(), Duration::MAX).await? {
            values.extend(Vec::<Option<Vec<u8>>>::from_redis_value(answer?)?);
        }
        Ok(values)
    }

    /// The mark under a key.
    pub(in crate::cache) async fn mark(&mut self, key: &str) -> RedisResult<MarkSnapshot> {
        let mut commands = Pipeline::new();
        commands.zscore(key, GENERATION).zscore(key, MARK);
        let answers = self.client.ask(commands.ignore_errors(), Duration::MAX).await?;
        let [generation, mark] = <[_; 2]>::try_from(answers).map_err(|_| nonsense())?;
        Ok(State::of(generation, [mark])?.snapshot())
    }

    /// Deletes the keys of these names.
    pub(in crate::cache) async fn remove(&mut self, names: Vec<String>) -> RedisResult<()> {
        let mut commands = Pipeline::new();
        for name in names {
            commands.del(name);
        }
        self.client
            .ask(commands.ignore_errors(), Duration::MAX)
            .await?
            .into_iter()
            .try_for_each(|answer| answer.map(drop))
    }
}
