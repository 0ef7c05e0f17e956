//! A line to a Redis server: one connection at a time, replaced when it breaks or falls silent.

use std::{mem, pin::pin, sync::Arc, time::Duration};

use redis::{ErrorKind, Pipeline, RedisError, RedisResult, Value};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    server::{Server, Way},
    store::code_of,
};
use crate::telemetry;

/// Between attempts to connect.
const DELAYS: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(250)];

/// When a connection that has not answered is suspected, at the latest, and how long it may then take to answer a PING:
/// beyond every budget. What is under way may be before it, at no less than 4 MiB a second.
const SILENCE: Duration = Duration::from_millis(500);
const BYTES_PER_MS: usize = 4 * 1024;

/// On a network that is slower than that, as much patience leads to the end of what was sent in vain before.
const MOST_PATIENCE: u32 = 16;

/// How often a connection that works is renewed, to learn where the server's name leads now.
const RENEWAL: Duration = Duration::from_secs(2);

/// A line. A clone is the same line.
#[derive(Clone)]
pub(super) struct Line {
    state: Arc<watch::Sender<State>>,
    concerns: mpsc::Sender<Concern>,
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
    way: Way,
}

/// What users of a connection have to say of it.
enum Concern {
    /// It did not answer while somebody waited, with so many bytes under way.
    Silent(usize),
    /// It works, but leads to a server that may no longer be the right one.
    Stale,
}

impl Line {
    /// Connects, and sees to it that there is a connection whenever there can be.
    pub(super) fn open(server: Server) -> Self {
        let state = Arc::new(watch::Sender::new(State::Connecting));
        // A concern is as good as several.
        let (concerns, heard) = mpsc::channel(1);
        tokio::spawn(Supervisor { server, state: Arc::clone(&state), concerns: heard, number: 0, patience: 1 }.run());
        Self { state, concerns }
    }

    /// Sends commands of about so many bytes, with their answers, in one round trip, and gives the answer to each,
    /// errors included. When the connection turns out to be broken they are sent once more on the next one: all that
    /// phipi sends may be repeated.
    ///
    /// It waits without a bound: whoever asks has a budget.
    pub(super) async fn ask(&self, commands: &Pipeline, bytes: usize) -> RedisResult<Vec<RedisResult<Value>>> {
        let connection = self.connection(None).await?;
        let number = connection.number;
        match self.ask_on(connection, commands, bytes).await {
            Err(error) if code_of(&error).is_none() => {
                replace(&self.state, number);
                self.ask_on(self.connection(Some(number)).await?, commands, bytes).await
            }
            answers => answers,
        }
    }

    /// Gives up the connection, whose answers make no sense.
    pub(super) fn distrust(&self) {
        let number = match &*self.state.borrow() {
            State::Up(connection) => connection.number,
            State::Connecting | State::Down(_) => return,
        };
        replace(&self.state, number);
    }

    /// Has the connection renewed, without a gap, since the server's name may lead elsewhere by now.
    pub(super) fn renew(&self) {
        // When there is a concern already, there will be a better one after it.
        let _ = self.concerns.try_send(Concern::Stale);
    }

    /// Asks on one connection, as long as it is the one of the line.
    async fn ask_on(
        &self,
        mut connection: Connection,
        commands: &Pipeline,
        bytes: usize,
    ) -> RedisResult<Vec<RedisResult<Value>>> {
        let waiting = Waiting { line: self, bytes };
        let mut state = self.state.subscribe();
        let mut replaced = pin!(state.wait_for(|state| matches!(state, State::Connecting | State::Down(_))));
        let mut answers = pin!(connection.way.ask(commands));
        let answers = loop {
            tokio::select! {
                answers = &mut answers => break answers,
                _ = &mut replaced => break Err((ErrorKind::Io, "the connection was given up").into()),
                () = sleep(SILENCE) => self.suspect(bytes),
            }
        };
        waiting.ends();
        answers
    }

    /// Has the connection examined, which did not answer in time with so many bytes under way.
    fn suspect(&self, bytes: usize) {
        // When there is a concern already, it is looked into.
        let _ = self.concerns.try_send(Concern::Silent(bytes));
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
}

/// Somebody who waits for answers. Who goes away without them makes the connection suspect.
struct Waiting<'a> {
    line: &'a Line,
    bytes: usize,
}

impl Waiting<'_> {
    /// The answers are there.
    fn ends(self) {
        mem::forget(self);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.line.suspect(self.bytes);
    }
}

/// Gives up the connection of this number, if it has not been replaced already.
fn replace(state: &watch::Sender<State>, number: u64) {
    state.send_if_modified(|state| {
        let is_up = matches!(state, State::Up(connection) if connection.number == number);
        if is_up {
            *state = State::Connecting;
            telemetry::connection_replaced();
        }
        is_up
    });
}

/// Sees to it that there is a connection whenever there can be.
struct Supervisor {
    server: Server,
    state: Arc<watch::Sender<State>>,
    concerns: mpsc::Receiver<Concern>,
    number: u64,
    /// By how much more silence is borne, the more connections in a row were given up for it.
    patience: u32,
}

impl Supervisor {
    async fn run(mut self) {
        let mut delay = DELAYS[0];
        loop {
            match self.connect().await {
                Ok(connection) => {
                    self.attend(connection).await;
                    delay = DELAYS[0];
                }
                Err(error) => {
                    self.state.send_replace(State::Down(error));
                    sleep(delay).await;
                    delay = DELAYS[1].min(2 * delay);
                }
            }
        }
    }

    /// Connects. Where the server is, is asked at each attempt.
    async fn connect(&mut self) -> RedisResult<Connection> {
        let way = self.server.connect().await?;
        self.number += 1;
        Ok(Connection { number: self.number, way })
    }

    /// Attends to a connection until it is given up.
    async fn attend(&mut self, mut connection: Connection) {
        self.state.send_replace(State::Up(connection.clone()));
        let mut renewed = Instant::now();
        let mut state = self.state.subscribe();
        loop {
            let concern = tokio::select! {
                // The sender is at hand: it can't have gone.
                _ = state.wait_for(|state| !matches!(state, State::Up(_))) => return,
                Some(concern) = self.concerns.recv() => concern,
            };
            match concern {
                Concern::Silent(bytes) => self.examine(connection.clone(), bytes).await,
                Concern::Stale if renewed.elapsed() >= RENEWAL => {
                    renewed = Instant::now();
                    if let Ok(next) = self.connect().await {
                        connection = next;
                        self.state.send_if_modified(|state| {
                            let is_up = matches!(state, State::Up(_));
                            if is_up {
                                *state = State::Up(connection.clone());
                            }
                            is_up
                        });
                    }
                }
                Concern::Stale => {}
            }
        }
    }

    /// Gives the connection up unless it answers a PING: a peer that is gone without a word would be noticed by nobody
    /// else for minutes.
    async fn examine(&mut self, mut connection: Connection, bytes: usize) {
        let under_way = Duration::from_millis((bytes / BYTES_PER_MS).try_into().unwrap_or(u64::MAX));
        let patience = self.patience * (SILENCE + under_way);
        let is_alive = timeout(patience, connection.way.answers()).await.unwrap_or(false);
        if is_alive {
            self.patience = 1;
        } else {
            self.patience = MOST_PATIENCE.min(2 * self.patience);
            replace(&self.state, connection.number);
        }
    }
}
