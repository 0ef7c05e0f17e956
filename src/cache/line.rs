//! A line to a Redis server: one connection at a time, replaced when it breaks or falls silent.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ErrorKind, Pipeline, RedisError, RedisResult, Value, aio::MultiplexedConnection,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::store::code_of;
use crate::telemetry;

/// How long an attempt to connect may take, names and passwords included.
const CONNECT: Duration = Duration::from_secs(1);

/// Between attempts to connect.
const RECONNECT_DELAYS: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(250)];

/// A line. A clone is the same line.
#[derive(Clone)]
pub(super) struct Line {
    state: Arc<watch::Sender<State>>,
    /// When the first command was sent that nothing has answered since.
    unanswered: Arc<Mutex<Option<Instant>>>,
    silence: Duration,
}

#[derive(Clone)]
enum State {
    Connecting,
    Up(Connection),
    Down(RedisError),
}

#[derive(Clone)]
struct Connection {
    /// Tells a connection from the one that replaces it.
    number: u64,
    way: MultiplexedConnection,
}

impl Line {
    /// Connects, and sees to it that there is a connection whenever there can be. One that has answered nothing for
    /// `silence` is replaced: a peer that is gone without a word would be noticed by nobody else for minutes.
    pub(super) fn open(client: Client, silence: Duration) -> Self {
        let line = Self { state: Arc::new(watch::Sender::new(State::Connecting)), unanswered: Arc::default(), silence };
        tokio::spawn(supervise(client, Arc::clone(&line.state)));
        line
    }

    /// Sends commands in one round trip, and gives the answer to each, errors included. When the connection turns out
    /// to be broken they are sent once more on the next one: all that phipi sends may be repeated.
    ///
    /// It waits without a bound: whoever asks has a budget.
    pub(super) async fn ask(&self, commands: &Pipeline) -> RedisResult<Vec<RedisResult<Value>>> {
        self.replace_if_silent();
        let connection = self.connection(None).await?;
        match self.ask_on(connection.clone(), commands).await {
            Err(error) if is_broken(&error) => {
                self.replace(connection.number);
                self.ask_on(self.connection(Some(connection.number)).await?, commands).await
            }
            answers => answers,
        }
    }

    /// Gives up a connection whose answers make no sense, or that leads to a server which is no longer the right one.
    pub(super) fn distrust(&self) {
        let number = match &*self.state.borrow() {
            State::Up(connection) => connection.number,
            State::Connecting | State::Down(_) => return,
        };
        self.replace(number);
    }

    async fn ask_on(&self, mut connection: Connection, commands: &Pipeline) -> RedisResult<Vec<RedisResult<Value>>> {
        self.unanswered().get_or_insert_with(Instant::now);
        let answers: RedisResult<Vec<RedisResult<Value>>> = commands.query_async(&mut connection.way).await;
        *self.unanswered() = None;
        answers
    }

    /// The connection that is up, other than the one of number `but`; waits for an attempt that is under way.
    async fn connection(&self, but: Option<u64>) -> RedisResult<Connection> {
        let mut state = self.state.subscribe();
        let settled = state.wait_for(|state| match state {
            State::Connecting => false,
            State::Up(connection) => Some(connection.number) != but,
            State::Down(_) => true,
        });
        match settled.await.map(|state| state.clone()) {
            Ok(State::Up(connection)) => Ok(connection),
            Ok(State::Down(error)) => Err(error),
            Ok(State::Connecting) | Err(_) => Err((ErrorKind::Io, "there is no connection").into()),
        }
    }

    fn replace_if_silent(&self) {
        let is_silent = self.unanswered().is_some_and(|since| since.elapsed() > self.silence);
        if is_silent {
            *self.unanswered() = None;
            self.distrust();
        }
    }

    /// Gives up the connection of this number, if it has not been replaced already.
    fn replace(&self, number: u64) {
        self.state.send_if_modified(|state| {
            let is_up = matches!(state, State::Up(connection) if connection.number == number);
            if is_up {
                *state = State::Connecting;
                telemetry::connection_replaced();
            }
            is_up
        });
    }

    fn unanswered(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects whenever there is no connection. Where the server is, is asked at each attempt.
async fn supervise(client: Client, state: Arc<watch::Sender<State>>) {
    // Commands are bounded by the budgets of those who ask.
    let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(Some(CONNECT));
    let (mut delay, mut number) = (RECONNECT_DELAYS[0], 0);
    loop {
        match client.get_multiplexed_async_connection_with_config(&config).await {
            Ok(way) => {
                (delay, number) = (RECONNECT_DELAYS[0], number + 1);
                state.send_replace(State::Up(Connection { number, way }));
                // The sender is at hand: it can't have gone.
                let _ = state.subscribe().wait_for(|state| matches!(state, State::Connecting)).await;
            }
            Err(error) => {
                state.send_replace(State::Down(error));
                sleep(delay).await;
                delay = RECONNECT_DELAYS[1].min(2 * delay);
            }
        }
    }
}

/// Whether nothing more will come of the connection.
fn is_broken(error: &RedisError) -> bool {
    code_of(error).is_none()
}
