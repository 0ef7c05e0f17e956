//! The clients of others: each runs its cases against a process of its own, which it may ask to be replaced.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::Signal;

use crate::service::{Service, program};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A process on a port, which the one before it may have had.
fn listen_on(address: SocketAddr) -> Service {
    let mut command = program();
    command.args(["--admin-listen", "127.0.0.1:0", "--cache", "memory:", "--listen", &address.to_string()]);
    Service::spawn(command)
}

/// A suite that is running, and the process that it asks.
struct Suite {
    client: Child,
    service: Service,
}

impl Suite {
    fn start(mut interpreter: Command, script: &str) -> Self {
        let folder = root().join("tests/conformance/clients");
        assert!(folder.join("node_modules").exists(), "run `npm ci` in {} first", folder.display());
        let service = listen_on(SocketAddr::from(([127, 0, 0, 1], 0)));
        let client = interpreter.arg(folder.join(script)).arg(service.url(""));
        let client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Self { client: client.expect("the interpreter is installed, as scripts/test does"), service }
    }

    /// Runs the suite to its end; returns the lines of its cases and the count of those that passed.
    fn lines(&mut self) -> Vec<String> {
        let told = BufReader::new(self.client.stdout.take().unwrap());
        let mut lines = Vec::new();
        for line in told.lines().map(Result::unwrap) {
            match &line[..] {
                "terminate" => {
                    self.service.signal(Signal::TERM);
                    self.reply("terminated");
                }
                "restart" => {
                    assert!(self.service.exit().success());
                    self.service = listen_on(self.service.address());
                    self.reply("restarted");
                }
                _ => lines.push(line),
            }
        }
        lines
    }

    fn reply(&mut self, line: &str) {
        writeln!(self.client.stdin.as_mut().unwrap(), "{line}").unwrap();
    }
}

/// Runs a suite, all of whose cases have to pass.
fn run(interpreter: Command, script: &str, cases: usize) {
    let mut suite = Suite::start(interpreter, script);
    let lines = suite.lines();
    let status = suite.client.wait().unwrap();
    let failed: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.starts_with("ok ")).collect();
    let is_met = failed == [format!("{cases} of {cases}")] && lines.len() == cases + 1 && status.success();
    assert!(is_met, "{script}, {cases} cases:\n{}", failed.join("\n"));
}

fn node() -> Command {
    Command::new("node")
}

fn python() -> Command {
    let path = root().join("target/python/bin/python");
    assert!(path.exists(), "install what the clients need first, as scripts/test does");
    let mut python = Command::new(path);
    // Leaves no bytecode beside the sources.
    python.arg("-B");
    python
}

#[test]
fn graphql_ws() {
    run(node(), "graphql-ws.mjs", 22);
}

#[test]
fn graphql_ws_in_chromium() {
    run(node(), "chromium.mjs", 16);
}

#[test]
fn graphql_sse() {
    run(node(), "graphql-sse.mjs", 12);
}

#[test]
fn apollo() {
    run(node(), "apollo.mjs", 21);
}

#[test]
fn urql() {
    run(node(), "urql.mjs", 25);
}

#[test]
fn relay() {
    run(node(), "relay.mjs", 11);
}

#[test]
fn websockets() {
    run(python(), "websockets_client.py", 26);
}

#[test]
fn gql() {
    run(python(), "gql_client.py", 41);
}
