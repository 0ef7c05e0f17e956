//! The shared tier in Redis 6.2 or later, with plain commands alone: GET's plural, SET, ZADD GT, ZSCORE.

use std::time::Duration;

use redis::{
    Client, ConnectionInfo, Pipeline,
    aio::{ConnectionManager, ConnectionManagerConfig},
    io::tcp::TcpSettings,
};

use super::store::{Reading, Record, StoreError};

/// The member of the sorted set that holds the mark: a score that ZADD GT never lowers.
const MARK_MEMBER: &str = "n";

/// Bounds what the cache has given up waiting for: its budgets are below.
const ABANDONED: Duration = Duration::from_secs(10);

/// Between attempts to connect. The delay counts for nobody: who waits has a budget of its own.
const RECONNECT_DELAYS: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];

/// A Redis server.
#[derive(Clone)]
pub(super) struct Redis {
    connection: ConnectionManager,
    mark: String,
}

impl Redis {
    /// Connects when it is first used: a server that is down now may be up later.
    pub(super) fn open(server: &ConnectionInfo, mark: String) -> Result<Self, StoreError> {
        let server = server.clone().set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let config = ConnectionManagerConfig::new()
            .set_min_delay(RECONNECT_DELAYS[0])
            .set_max_delay(RECONNECT_DELAYS[1])
            .set_connection_timeout(Some(ABANDONED))
            .set_response_timeout(Some(ABANDONED));
        let connection = ConnectionManager::new_lazy_with_config(Client::open(server)?, config)?;
        Ok(Self { connection, mark })
    }

    pub(super) async fn read(&self, names: &[String]) -> Result<Reading, StoreError> {
        let mut pipeline = Pipeline::new();
        pipeline.zscore(&self.mark, MARK_MEMBER);
        if !names.is_empty() {
            pipeline.mget(names);
        }
        let mut connection = self.connection.clone();
        let (mark, values) = if names.is_empty() {
            let (mark,) = pipeline.query_async(&mut connection).await?;
            (mark, Vec::new())
        } else {
            pipeline.query_async(&mut connection).await?
        };
        Ok(Reading { mark: mark_of(mark), values })
    }

    pub(super) async fn write(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut pipeline = Pipeline::new();
        for record in records {
            pipeline.set(&record.name, &*record.bytes).ignore();
        }
        Ok(pipeline.query_async(&mut self.connection.clone()).await?)
    }

    pub(super) async fn raise(&self, mark: u32) -> Result<(), StoreError> {
        let mut command = redis::cmd("ZADD");
        command.arg(&self.mark).arg("GT").arg(mark).arg(MARK_MEMBER);
        Ok(command.query_async(&mut self.connection.clone()).await?)
    }
}

/// A score as a mark. One that no `raise` can have written is taken for what it claims: entries are proven in any
/// case, and it could never be lowered again.
fn mark_of(score: Option<f64>) -> Option<u32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    score.filter(|&score| score >= 0.0).map(|score| score as u32)
}
