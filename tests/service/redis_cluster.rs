//! A Redis Cluster of the test's own: three primaries and a replica of each.

use std::{
    collections::HashSet,
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
};

use redis::{
    Client, Connection,
    cluster::{ClusterClient, ClusterConnection},
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    proxy::Proxy,
    redis_server::{Make, PREFIX},
    service::eventually,
};

pub const PRIMARIES: usize = 3;

/// The socket of a node, in its own folder.
const SOCKET: &str = "node.sock";

pub struct RedisCluster {
    nodes: Vec<Node>,
    folder: TempDir,
}

struct Node {
    port: u16,
    process: Child,
}

/// Ports that were free a moment ago, each once.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// A port that is free, as is the one 10,000 above it, which servers before Redis 7 take for the bus of their cluster.
fn free_port_and_bus() -> u16 {
    // Below those that the system gives away.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 8_000).unwrap();
    let candidates = (0..8_000).map(|_| 12_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 8_000);
    let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    candidates.into_iter().find(|&port| is_free(port) && is_free(port + 10_000)).expect("a free port")
}

impl RedisCluster {
    pub fn start() -> Self {
        Self::of(Make::Debian)
    }

    pub fn of(make: Make) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let nodes = (0..2 * PRIMARIES).map(|_| {
            let port = free_port_and_bus();
            Node { port, process: spawn(make, &folder, port) }
        });
        let nodes = nodes.collect();
        let cluster = Self { nodes, folder };
        for node in &cluster.nodes {
            eventually("a node answers", || node.client().get_connection().is_ok());
        }
        let addresses: Vec<String> = cluster.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        cluster.administer(&["create"], &addresses, &["--cluster-replicas", "1"]);
        eventually("the cluster is whole", || cluster.nodes.iter().all(Node::is_linked));
        cluster
    }

    /// The URL for `--cache`: one primary and one replica are enough to find the others.
    pub fn url(&self) -> String {
        format!("redis-cluster://127.0.0.1:{},127.0.0.1:{}", self.nodes[0].port, self.nodes[5].port)
    }

    /// A connection to all nodes.
    pub fn connection(&self) -> ClusterConnection {
        ClusterClient::new([format!("redis://127.0.0.1:{}", self.nodes[0].port)]).unwrap().get_connection().unwrap()
    }

    /// Forgets all entries.
    pub fn flush(&self) {
        for node in self.nodes.iter().filter(|node| node.role() == Some("master".into())) {
            redis::cmd("FLUSHALL").exec(&mut node.connection()).unwrap();
        }
    }

    /// Runs a command of an operator on each node.
    pub fn run(&self, command: &[&str]) {
        for node in &self.nodes {
            redis::cmd(command[0]).arg(&command[1..]).exec(&mut node.connection()).unwrap();
        }
    }

    /// The number of entries of these names that living primaries hold, and of those that they lack.
    pub fn held_and_lacking(&self, dead: usize, names: &[String]) -> (usize, usize) {
        let living = self.nodes[..PRIMARIES].iter().enumerate().filter(|(number, _)| *number != dead);
        let mut living: Vec<Connection> = living.map(|(_, node)| node.connection()).collect();
        // A node that is not responsible for a key says so, which is an error.
        let mut is_held =
            |name: &String| living.iter_mut().find_map(|node| redis::cmd("EXISTS").arg(name).query::<bool>(node).ok());
        let held: Vec<bool> = names.iter().filter_map(&mut is_held).collect();
        (held.iter().filter(|held| **held).count(), held.iter().filter(|held| !**held).count())
    }

    /// Deletes the keys of a pattern.
    pub fn forget(&self, pattern: &str) {
        for node in &self.nodes[..PRIMARIES] {
            let mut node = node.connection();
            let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query(&mut node).unwrap();
            for key in keys {
                redis::cmd("DEL").arg(key).exec(&mut node).unwrap();
            }
        }
    }

    /// The number of primaries that hold rungs of the ladder.
    pub fn nodes_with_rungs(&self) -> usize {
        let has_rungs = |node: &&Node| {
            let keys: Vec<String> =
                redis::cmd("KEYS").arg(format!("{PREFIX}1:fib:rung:*")).query(&mut node.connection()).unwrap();
            node.role() == Some("master".into()) && !keys.is_empty()
        };
        self.nodes.iter().filter(has_rungs).count()
    }

    /// A connection to each primary.
    pub fn primaries(&self) -> Vec<Connection> {
        self.nodes[..PRIMARIES].iter().map(Node::connection).collect()
    }

    /// The number of the primary that holds the mark, once one does.
    pub fn holder_of_the_mark(&self) -> usize {
        let has_mark = |node: &Node| {
            let count: u32 =
                redis::cmd("EXISTS").arg(format!("{PREFIX}1:fib:top")).query(&mut node.connection()).unwrap_or(0);
            count == 1
        };
        let mut holder = None;
        eventually("a primary holds the mark", || {
            holder = self.nodes[..PRIMARIES].iter().position(has_mark);
            holder.is_some()
        });
        holder.unwrap()
    }

    /// Kills a node at once.
    pub fn kill(&mut self, number: usize) {
        self.nodes[number].process.kill().unwrap();
        self.nodes[number].process.wait().unwrap();
    }

    /// A proxy before a node, which clients of the cluster are sent to in its place.
    pub fn proxy(&self, number: usize) -> Proxy {
        let node = &self.nodes[number];
        let proxy = Proxy::before(self.folder.path().join(node.port.to_string()).join(SOCKET), 0);
        let announce = ["CONFIG", "SET", "cluster-announce-port", &proxy.port().to_string()];
        redis::cmd(announce[0]).arg(&announce[1..]).exec(&mut node.connection()).unwrap();
        let others = self.nodes.iter().filter(|other| other.port != node.port);
        eventually("all know the address", || others.clone().all(|other| other.knows(proxy.port())));
        proxy
    }

    /// Stops a node where it is, or has it go on.
    pub fn signal(&self, number: usize, signal: Signal) {
        kill_process(Pid::from_child(&self.nodes[number].process), signal).unwrap();
    }

    /// Waits until there are three primaries again beside a dead one.
    pub fn waits_for_a_promotion(&self) {
        eventually("a replica is promoted", || {
            let primaries = self.nodes.iter().filter(|node| node.role() == Some("master".into()));
            primaries.count() == PRIMARIES && self.nodes.iter().all(|node| node.role().is_none() || node.is_whole())
        });
    }

    /// Moves `count` slots from one primary to another, one after the other, with all their entries.
    pub fn moves_slots(&self, count: usize, from: usize, to: usize) {
        let [from, to] = [from, to].map(|node| self.nodes[node].id());
        let address = format!("127.0.0.1:{}", self.nodes[0].port);
        let slots = count.to_string();
        self.administer(
            &["reshard"],
            &[address],
            &["--cluster-from", &from, "--cluster-to", &to, "--cluster-slots", &slots],
        );
    }

    fn administer(&self, command: &[&str], addresses: &[String], options: &[&str]) {
        let output = Command::new("redis-cli")
            .current_dir(self.folder.path())
            .arg("--cluster")
            .args(command)
            .args(addresses)
            .args(options)
            .arg("--cluster-yes")
            .output()
            .expect("redis-cli can't be started: install it (Debian: apt-get install redis-tools)");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

impl Node {
    fn client(&self) -> Client {
        Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap()
    }

    fn connection(&self) -> Connection {
        self.client().get_connection().unwrap()
    }

    /// `master` or `slave`; nothing of a dead one.
    fn role(&self) -> Option<String> {
        let mut connection = self.client().get_connection().ok()?;
        let role: Vec<redis::Value> = redis::cmd("ROLE").query(&mut connection).ok()?;
        redis::from_redis_value(role.into_iter().next()?).ok()
    }

    /// Whether it sends clients to a port.
    fn knows(&self, port: u16) -> bool {
        let nodes: String = redis::cmd("CLUSTER").arg("NODES").query(&mut self.connection()).unwrap();
        nodes.contains(&format!(":{port}@"))
    }

    fn id(&self) -> String {
        redis::cmd("CLUSTER").arg("MYID").query(&mut self.connection()).unwrap()
    }

    /// Whether it knows an owner of every slot.
    fn is_whole(&self) -> bool {
        let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut self.connection()).unwrap();
        info.contains("cluster_state:ok")
    }

    /// The same, and a replica has the entries of its primary; each node knows all others.
    fn is_linked(&self) -> bool {
        let replication: String = redis::cmd("INFO").arg("replication").query(&mut self.connection()).unwrap();
        let nodes: String = redis::cmd("CLUSTER").arg("NODES").query(&mut self.connection()).unwrap();
        let primaries: HashSet<&str> =
            nodes.lines().filter(|line| line.contains("slave")).filter_map(|line| line.split(' ').nth(3)).collect();
        let has_primary_or_replica =
            ["master_link_status:up", "connected_slaves:1"].iter().any(|sign| replication.contains(sign));
        self.is_whole() && primaries.len() == PRIMARIES && has_primary_or_replica
    }
}

impl Drop for RedisCluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            // It may be dead already.
            let _ = node.process.kill();
            node.process.wait().unwrap();
        }
    }
}

fn spawn(make: Make, folder: &TempDir, port: u16) -> Child {
    let own = folder.path().join(port.to_string());
    std::fs::create_dir(&own).unwrap();
    make.command()
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0"])
        .args(["--save", "", "--appendonly", "no", "--unixsocket", SOCKET, "--dir"])
        .arg(own)
        .stdout(Stdio::null())
        .spawn()
        .expect("the server can't be started: run ./scripts/test, which installs it")
}
