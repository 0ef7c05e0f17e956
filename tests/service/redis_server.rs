//! A redis-server of the test's own, on a Unix socket in a folder of its own.

use std::{
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
}

impl RedisServer {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Self::spawn(folder.path().join("redis.sock"), &folder);
        let server = Self { process, folder };
        server.wait();
        server
    }

    fn spawn(socket: PathBuf, folder: &TempDir) -> Child {
        Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(socket)
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server can't be started: install it (Debian: apt-get install redis-server)")
    }

    fn wait(&self) {
        eventually("redis-server answers", || self.client().get_connection().is_ok());
    }

    /// What `--cache` takes.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.folder.path().join("redis.sock").display())
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
        self.process = Self::spawn(self.folder.path().join("redis.sock"), &self.folder);
        self.wait();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }
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
