//! Sentinels name the primary, also after another server has become it.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use redis::{Client, Connection};
use tempfile::TempDir;

use crate::{
    cached::a_story,
    redis_cluster::free_ports,
    redis_server::{RedisServer, Sentinel, mark_in},
    service::{Service, eventually, undisturbed},
};

/// A primary, two replicas, and three sentinels that watch them.
struct Watched {
    servers: Vec<(u16, Child)>,
    sentinels: Vec<(u16, Child)>,
    _folder: TempDir,
}

impl Watched {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports = free_ports::<6>();
        let server = |number: usize| {
            let primary = format!("127.0.0.1 {}", ports[0]);
            let replica = if number == 0 { Vec::new() } else { vec!["--replicaof", &*primary] };
            let (port, process) = spawn(&folder, ports[number], &replica);
            eventually("a server answers", || connection(port).is_some());
            (port, process)
        };
        let servers: Vec<_> = (0..3).map(server).collect();
        eventually("the replicas have what the primary has", || {
            let replication: String =
                redis::cmd("INFO").arg("replication").query(&mut connection(ports[0]).unwrap()).unwrap();
            replication.matches("state=online").count() == 2
        });
        let sentinel = |number: usize| {
            let path = folder.path().join(format!("sentinel-{number}.conf"));
            let rules = ["down-after-milliseconds main 500", "failover-timeout main 5000", "parallel-syncs main 2"];
            let rules: String = rules.iter().map(|rule| format!("sentinel {rule}\n")).collect();
            let monitor = format!("bind 127.0.0.1\nsentinel monitor main 127.0.0.1 {} 2\n{rules}", ports[0]);
            fs::write(&path, monitor).unwrap();
            spawn(&folder, ports[number], &[path.to_str().unwrap(), "--sentinel"])
        };
        let sentinels: Vec<_> = (3..6).map(sentinel).collect();
        let watched = Self { servers, sentinels, _folder: folder };
        eventually("the sentinels know each other and the replicas", || {
            watched.sentinels.iter().all(|(port, _)| knows_all(*port))
        });
        watched
    }

    /// The URL for `--cache`. The first sentinel is none.
    fn url(&self) -> String {
        let [nobody] = free_ports();
        format!(
            "redis-sentinel://127.0.0.1:{nobody},127.0.0.1:{},127.0.0.1:{}/main",
            self.sentinels[1].0, self.sentinels[2].0
        )
    }

    /// The server that takes writes, other than the one that was killed.
    fn promoted(&self) -> Option<Connection> {
        let is_primary = |connection: &mut Connection| {
            let role: redis::RedisResult<String> = redis::cmd("INFO").arg("replication").query(connection);
            role.is_ok_and(|role| role.contains("role:master"))
        };
        self.servers[1..]
            .iter()
            .filter_map(|(port, _)| connection(*port))
            .find_map(|mut server| is_primary(&mut server).then_some(server))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        for (_, process) in self.sentinels.iter_mut().chain(&mut self.servers) {
            // It may be dead already.
            let _ = process.kill();
            process.wait().unwrap();
        }
    }
}

fn connection(port: u16) -> Option<Connection> {
    Client::open(format!("redis://127.0.0.1:{port}")).unwrap().get_connection().ok()
}

fn knows_all(sentinel: u16) -> bool {
    let Some(mut connection) = connection(sentinel) else { return false };
    let info: String = redis::cmd("INFO").arg("sentinel").query(&mut connection).unwrap();
    info.contains("slaves=2,sentinels=3") && info.contains("status=ok")
}

fn spawn(folder: &TempDir, port: u16, arguments: &[&str]) -> (u16, Child) {
    let own = folder.path().join(port.to_string());
    fs::create_dir(&own).unwrap();
    let process = Command::new("redis-server")
        .args(arguments)
        .args(["--port", &port.to_string(), "--dir"])
        .arg(own)
        .args(if arguments.contains(&"--sentinel") {
            &[][..]
        } else {
            &["--save", "", "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"]
        })
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server can't be started: install it (Debian: apt-get install redis-server)");
    (port, process)
}

#[test]
fn a_story_on_a_watched_server() {
    let watched = Watched::start();
    undisturbed(|| {
        redis::cmd("FLUSHALL").exec(&mut connection(watched.servers[0].0).unwrap()).unwrap();
        a_story(&watched.url());
    });
}

#[test]
fn the_new_primary_is_found_when_the_old_one_dies() {
    let mut watched = Watched::start();
    let service = Service::start(&watched.url()).expecting_warnings();
    assert!(!service.pi_cached(1) && service.pi_cached(1));
    watched.servers[0].1.kill().unwrap();
    let mut promoted = None;
    eventually("another server is promoted", || {
        assert_eq!(service.fib(1_000).0.len(), 209, "answered meanwhile");
        promoted = watched.promoted();
        promoted.is_some()
    });
    let (mut primary, promotion) = (promoted.unwrap(), Instant::now());
    eventually("what was answered meanwhile is written to it", || mark_in(&mut primary) == Some(1_000));
    let found = promotion.elapsed();
    println!("the new primary was found {} ms after its promotion", found.as_millis());
    assert!(found < Duration::from_secs(4), "{found:?}");
    assert!(Service::start(&watched.url()).fib_cached(1_000));
}

/// A server and a sentinel that watches it, each with a password if it is given one.
fn guarded(server: &str, sentinel: &str) -> (RedisServer, Sentinel, TempDir, u16) {
    let (folder, [port, sentinel_port]) = (tempfile::tempdir().unwrap(), free_ports());
    let redis = RedisServer::start_with(&["--port", &port.to_string(), "--requirepass", server]);
    let settings = folder.path().join("sentinel.conf");
    let own = if sentinel.is_empty() { String::new() } else { format!("requirepass {sentinel}\n") };
    let monitor = format!("bind 127.0.0.1\nport {sentinel_port}\nsentinel monitor main 127.0.0.1 {port} 1\n");
    fs::write(&settings, format!("{monitor}sentinel auth-pass main {server}\n{own}")).unwrap();
    let sentinel = RedisServer::sentinel(&settings, sentinel_port);
    (redis, sentinel, folder, sentinel_port)
}

#[test]
fn sentinels_have_the_password_of_the_server_or_one_of_their_own_or_none() {
    let rows = [
        ("p%23ss", "p#ss", ""),
        ("p%23ss", "p#ss", "p#ss"),
        ("p%23ss?sentinel-password=an%26other", "p#ss", "an&other"),
    ];
    for (written, server, sentinel) in rows {
        let (redis, _sentinel, _folder, port) = guarded(server, sentinel);
        let (password, parameter) =
            written.split_once('?').map_or((written, String::new()), |(password, rest)| (password, format!("?{rest}")));
        undisturbed(|| {
            redis.run_as(server, &["FLUSHALL"]);
            a_story(&format!("redis-sentinel://:{password}@127.0.0.1:{port}/main{parameter}"));
        });
    }
}

#[test]
fn it_is_told_who_refuses_a_password_the_sentinel_or_the_server() {
    let (_redis, _sentinel, _folder, port) = guarded("theirs", "its-own");
    let sentinel = format!("the sentinel 127.0.0.1:{port}: ");
    let rows = [
        (":theirs@", "", format!("{sentinel}it asks for a password of its own; write redis-sentinel://")),
        ("", "", format!("{sentinel}it asks for a password of its own")),
        (":theirs@", "?sentinel-password=open-sesame", format!("{sentinel}it rejects this user and password")),
        (":open-sesame@", "?sentinel-password=its-own", "the server that sentinels name, 127.0.0.1:".into()),
        ("", "?sentinel-password=its-own", "it asks for a password; give one with --cache-password-file".into()),
    ];
    for (login, parameter, words) in rows {
        let url = format!("redis-sentinel://{login}127.0.0.1:{port}/main{parameter}");
        let service = Service::start(&url).expecting_warnings();
        service.logs(&words);
        let log = service.log();
        assert!(log.contains("ERROR") && !log.contains("open-sesame") && !log.contains("theirs"), "{log}");
        assert!(!service.fib_cached(213) && service.fib_cached(213), "answered from memory");
    }
}
