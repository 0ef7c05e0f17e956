//! A redis-server of the test's own, on a Unix socket in a folder of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use redis::{Client, Commands, Connection};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::service::eventually;

/// What phipi's keys begin with by default.
pub const PREFIX: &str = "phipi:";

pub struct RedisServer {
    process: Child,
    folder: TempDir,
    arguments: Vec<String>,
}

impl RedisServer {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    pub fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let process = Self::spawn(&folder, &arguments);
        let server = Self { process, folder, arguments };
        server.wait();
        server
    }

    /// Starts a server that `DEBUG` can make sleep, which has to be allowed from Redis 7 on.
    pub fn start_with_debug() -> Self {
        let version = String::from_utf8(redis_server().arg("--version").output().unwrap().stdout).unwrap();
        let asks_to_be_allowed = !version.contains("v=6.");
        Self::start_with(if asks_to_be_allowed { &["--enable-debug-command", "yes"] } else { &[] })
    }

    fn spawn(folder: &TempDir, arguments: &[String]) -> Child {
        redis_server()
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(folder.path().join("redis.sock"))
            .arg("--dir")
            .arg(folder.path())
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server can't be started: install it (Debian: apt-get install redis-server)")
    }

    fn wait(&self) {
        eventually("redis-server answers", || match self.client().get_connection() {
            Ok(_) => true,
            // It asks for a password, and so it is there.
            Err(error) => error.code() == Some("NOAUTH"),
        });
    }

    /// What `--cache` takes.
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
        let mut connection = Client::open(format!("{}?pass={password}", self.url())).unwrap().get_connection().unwrap();
        redis::cmd(command[0]).arg(&command[1..]).exec(&mut connection).unwrap();
    }

    pub fn connection(&self) -> Connection {
        self.client().get_connection().unwrap()
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

    /// Kills the server at once; what it held is lost.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again, empty, at the same place.
    pub fn restart(&mut self) {
        self.process = Self::spawn(&self.folder, &self.arguments);
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

/// The mark of the ladder: the low 17 bits of its score, if the others are the generation of the store.
pub fn mark_in(connection: &mut impl Commands) -> Option<u32> {
    let key = format!("{PREFIX}1:fib:top");
    let mark: Option<u64> = connection.zscore(&key, "mark").unwrap();
    let generation: Option<u64> = connection.zscore(&key, "generation").unwrap();
    let mark = mark.filter(|mark| Some(mark >> 17) == generation)?;
    Some(u32::try_from(mark & 0x1_ffff).unwrap())
}

fn redis_server() -> Command {
    Command::new("redis-server")
}

/// How often a command was run.
pub fn runs_of(command: &str, observer: &mut Connection) -> u64 {
    info(observer, "commandstats", &format!("cmdstat_{command}:calls="))
}

/// How many round trips all clients have made, this one included.
pub fn round_trips(observer: &mut Connection) -> u64 {
    info(observer, "stats", "total_reads_processed:")
}

fn info(observer: &mut Connection, section: &str, entry: &str) -> u64 {
    let info: String = redis::cmd("INFO").arg(section).query(observer).unwrap();
    let found = info.lines().find_map(|line| line.strip_prefix(entry));
    found.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}
