//! A supervised connection to a Redis server, which is replaced when it breaks or stops answering.

use std::{sync::Arc, time::Duration};

use redis::{ErrorKind, Pipeline, RedisError, RedisResult, Value};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};

use super::{
    fault::code_of,
    server::{Client, Server},
    watch::{silence_with, watched},
};
use crate::telemetry;

/// The first and the longest delay between attempts to connect.
const DELAYS: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(250)];

/// The largest factor of the timeout: on a slower network, it outlasts the bytes that were sent in vain before.
const MOST_PATIENCE: u32 = 16;

/// The shortest time between renewals of a working connection, which look up the server's name again.
const RENEWAL: Duration = Duration::from_secs(2);

/// A clone is the same connection.
#[derive(Clone)]
pub(super) struct Supervised {
    state: Arc<watch::Sender<State>>,
    complaints: mpsc::Sender<Complaint>,
}

#[derive(Clone)]
enum State {
    Connecting,
    Up(Connection),
    Down(RedisError),
}

impl State {
    /// Whether the connection of this number was given up. A renewal gives up none: the old connection still answers
    /// what was asked on it.
    fn has_given_up(&self, number: u64) -> bool {
        match self {
            Self::Up(connection) => number < connection.oldest,
            Self::Connecting | Self::Down(_) => true,
        }
    }
}

#[derive(Clone)]
struct Connection {
    /// Distinguishes a connection from the one that replaces it.
    number: u64,
    /// The number of the oldest connection that works as far as anybody knows: this one, or the first of those in a row
    /// that were renewed. Older ones were given up.
    oldest: u64,
    client: Client,
}

/// A complaint of a user of a connection.
enum Complaint {
    /// It did not answer while somebody waited, with this many bytes under way.
    Unresponsive(usize),
    /// It works, but leads to a server that may no longer be the right one.
    Stale,
}

impl Supervised {
    /// Connects, and sees to it that there is a connection whenever there can be.
    pub(super) fn open(server: Server) -> Self {
        let state = Arc::new(watch::Sender::new(State::Connecting));
        // A complaint is as good as several.
        let (complaints, heard) = mpsc::channel(1);
        tokio::spawn(Supervisor { server, state: Arc::clone(&state), complaints: heard, number: 0, patience: 1 }.run());
        Self { state, complaints }
    }

    /// Sends commands of about `bytes` bytes, with their answers, in one round trip, and gives the answer to each,
    /// errors included. When the connection turns out to be broken they are retried once on the next one: all of
    /// phipi's commands are idempotent.
    ///
    /// It has no timeout: the caller has a budget. The patience is for the slow nodes of a cluster.
    pub(super) async fn ask(
        &self,
        commands: &Pipeline,
        bytes: usize,
        patience: Duration,
    ) -> RedisResult<Vec<RedisResult<Value>>> {
        let mut given_up = None;
        loop {
            let mut connection = self.connection(given_up).await?;
            let (mut state, number) = (self.state.subscribe(), connection.number);
            // Only the last state is seen: the next connection may be up before this task hears that its own was given up.
            let answers = async {
                tokio::select! {
                    answers = connection.client.ask(commands, patience) => answers,
                    _ = state.wait_for(|state| state.has_given_up(number)) =>
                        Err((ErrorKind::Io, "the connection was given up").into()),
                }
            };
            match watched(answers, || self.suspect(bytes)).await {
                Err(error) if given_up.is_none() && code_of(&error).is_none() => {
                    replace(&self.state, number);
                    given_up = Some(number);
                }
                answers => return answers,
            }
        }
    }

    /// Waits, without a bound, until there is a connection.
    pub(super) async fn is_up(&self) {
        // The sender is at hand: it can't have gone.
        let _ = self.state.subscribe().wait_for(|state| matches!(state, State::Up(_))).await;
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
        // When there is a complaint already, there will be a better one after it.
        let _ = self.complaints.try_send(Complaint::Stale);
    }

    /// Has the connection examined, which did not answer in time with this many bytes under way.
    fn suspect(&self, bytes: usize) {
        // When there is a complaint already, it is looked into.
        let _ = self.complaints.try_send(Complaint::Unresponsive(bytes));
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
    complaints: mpsc::Receiver<Complaint>,
    number: u64,
    /// The factor of the timeout: it doubles with each connection in a row that was given up.
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

    /// Connects. Each attempt looks up the server anew.
    async fn connect(&mut self) -> RedisResult<Connection> {
        let client = self.server.connect().await?;
        self.number += 1;
        Ok(Connection { number: self.number, oldest: self.number, client })
    }

    /// Attends to a connection until it is given up.
    async fn attend(&mut self, mut connection: Connection) {
        self.state.send_replace(State::Up(connection.clone()));
        let mut renewed = Instant::now();
        let mut state = self.state.subscribe();
        loop {
            let complaint = tokio::select! {
                // The sender is at hand: it can't have gone.
                _ = state.wait_for(|state| !matches!(state, State::Up(_))) => return,
                Some(complaint) = self.complaints.recv() => complaint,
            };
            match complaint {
                Complaint::Unresponsive(bytes) => self.examine(connection.clone(), bytes).await,
                Complaint::Stale if renewed.elapsed() >= RENEWAL => {
                    renewed = Instant::now();
                    if let Ok(next) = self.connect().await {
                        connection = Connection { oldest: connection.oldest, ..next };
                        self.state.send_if_modified(|state| {
                            let is_up = matches!(state, State::Up(_));
                            if is_up {
                                *state = State::Up(connection.clone());
                            }
                            is_up
                        });
                    }
                }
                Complaint::Stale => {}
            }
        }
    }

    /// Gives the connection up unless it answers a PING: a peer that is gone without a word would be noticed by nobody
    /// else for minutes.
    async fn examine(&mut self, mut connection: Connection, bytes: usize) {
        if connection.client.answers(self.patience * silence_with(bytes)).await {
            self.patience = 1;
        } else {
            self.patience = MOST_PATIENCE.min(2 * self.patience);
            replace(&self.state, connection.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        mem,
        net::TcpListener,
        pin::pin,
        sync::mpsc::{Receiver, channel},
        thread,
    };

    use futures_util::FutureExt;
    use tokio::time::timeout;

    use super::*;
    use crate::cache::redis::Url;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A connection to a server that answers a PING each time the test lets it.
    async fn connection(number: u64, oldest: u64, let_it: Receiver<()>) -> Connection {
        let says = move |line: &str| match line {
            "PING" if let_it.recv().is_ok() => "+PONG\r\n".to_owned(),
            _ => String::new(),
        };
        connection_to(number, oldest, says).await
    }

    /// A connection to a server that says something to each line of a command.
    async fn connection_to(
        number: u64,
        oldest: u64,
        mut says: impl FnMut(&str) -> String + Send + 'static,
    ) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
                let answer = match &*line {
                    "CLIENT" | "HELLO" => "-ERR unknown command\r\n".to_owned(),
                    // The argument of HELLO is no text of a PING.
                    "2" => String::new(),
                    line => says(line),
                };
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let client = Server::new(Url::new(&url).unwrap(), None).unwrap().connect().await.unwrap();
        Connection { number, oldest, client }
    }

    fn supervised(connection: &Connection) -> Supervised {
        let state = Arc::new(watch::Sender::new(State::Up(connection.clone())));
        Supervised { state, complaints: mpsc::channel(1).0 }
    }

    fn ping() -> Pipeline {
        let mut commands = Pipeline::new();
        commands.cmd("PING").ignore_errors();
        commands
    }

    #[tokio::test]
    async fn an_asker_leaves_a_connection_that_was_given_up_however_soon_the_next_is_up() {
        let ((_first, never), (let_second, second)) = (channel(), channel());
        let (supervised, ping) = (supervised(&connection(1, 1, never).await), ping());
        let mut asking = pin!(supervised.ask(&ping, 0, PATIENCE));
        assert!(asking.as_mut().now_or_never().is_none(), "it waits");
        let second = connection(2, 2, second).await;
        // The asker does not run in between.
        replace(&supervised.state, 1);
        supervised.state.send_replace(State::Up(second));
        let_second.send(()).unwrap();
        let answers = timeout(PATIENCE, asking).await.expect("it leaves, and asks again").unwrap();
        assert!(matches!(&answers[..], [Ok(Value::SimpleString(reply))] if reply == "PONG"), "{answers:?}");
    }

    #[tokio::test]
    async fn an_asker_gets_its_answer_on_a_connection_that_was_renewed_meanwhile() {
        let ((let_first, first), (_second, second)) = (channel(), channel());
        let (supervised, ping) = (supervised(&connection(1, 1, first).await), ping());
        let mut asking = pin!(supervised.ask(&ping, 0, PATIENCE));
        assert!(asking.as_mut().now_or_never().is_none(), "it waits");
        supervised.state.send_replace(State::Up(connection(2, 1, second).await));
        assert!(asking.as_mut().now_or_never().is_none(), "it goes on waiting");
        let_first.send(()).unwrap();
        let answers = timeout(PATIENCE, asking).await.expect("it is answered").unwrap();
        assert!(matches!(&answers[..], [Ok(Value::SimpleString(reply))] if reply == "PONG"), "{answers:?}");
    }

    #[tokio::test]
    async fn a_connection_whose_answers_are_those_of_other_questions_is_given_up() {
        // The texts of a PING are the lines of twenty digits or fewer; each gets the one before it.
        let mut last = "0".to_owned();
        let shifted = move |line: &str| match line.parse::<u64>() {
            Ok(_) => format!("+{}\r\n", mem::replace(&mut last, line.to_owned())),
            Err(_) => String::new(),
        };
        let same = |line: &str| line.parse::<u64>().map_or(String::new(), |_| format!("+{line}\r\n"));
        for _ in 0..3 {
            assert!(connection_to(1, 1, same).await.client.answers(PATIENCE).await);
        }
        let mut connection = connection_to(1, 1, shifted).await;
        for _ in 0..3 {
            assert!(!connection.client.answers(PATIENCE).await);
        }
    }
}
