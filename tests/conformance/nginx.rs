//! nginx with the configuration of docs/operating.md, in front of two processes that are restarted one after the other.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command},
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    thread::{self, sleep},
    time::Duration,
};

use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;
use tungstenite::{Message, WebSocket, client::IntoClientRequest, stream::MaybeTlsStream};

use crate::{
    browser::{LIMIT, check_pages},
    service::{Service, client, eventually, program},
};

const PAGE: &str = include_str!("../../docs/operating.md");

/// Clients that post without a pause.
const CLIENTS: usize = 16;

/// Clients with an open socket.
const SOCKETS: usize = 4;

/// A block of the page in a language.
fn block(language: &str) -> &'static str {
    PAGE.split(&format!("```{language}\n")).nth(1).unwrap().split("```").next().unwrap()
}

/// A free port of an address of its own: a client of another process is never given a port of it.
fn free(address: &str) -> SocketAddr {
    TcpListener::bind((address, 0)).unwrap().local_addr().unwrap()
}

/// A process of phipi as the page starts it.
fn start(address: SocketAddr) -> Service {
    let flags = PAGE.lines().find_map(|line| line.strip_prefix("phipi --listen 127.0.0.1:8000 ")).unwrap();
    assert!(flags.contains("--drain-delay"), "{flags}");
    let mut command = program();
    command.args(["--listen", &address.to_string()]).args(flags.split(' ').filter(|word| !word.is_empty()));
    let memory = ["--cache", "memory:", "--admin-listen", "127.0.0.1:0"];
    command.args(memory);
    Service::spawn(command)
}

/// nginx, until it is dropped.
struct Nginx {
    process: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Nginx {
    /// Starts it before these processes.
    fn start(upstream: [SocketAddr; 2]) -> Self {
        Self::start_with(upstream, &[])
    }

    /// The same, with changes to the configuration of the page.
    fn start_with(upstream: [SocketAddr; 2], changes: &[(&str, &str)]) -> Self {
        let (folder, address) = (tempfile::tempdir().unwrap(), free("127.0.0.4"));
        let mut site = block("nginx").to_owned();
        let [first, second] = upstream.map(|address| address.to_string());
        let listen = format!("listen {address};");
        let here = [("127.0.0.1:8000", &*first), ("127.0.0.1:8002", &*second), ("listen 80;", &*listen)];
        for (shown, here) in here.iter().chain(changes) {
            assert!(site.contains(shown), "{shown}");
            site = site.replace(shown, here);
        }
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let paths: String = paths.map(|path| format!("{path}_temp_path {path};\n")).concat();
        // One process, of the user of the test.
        let main = "daemon off; master_process off; pid pid; error_log stderr crit; events {}";
        let file = folder.path().join("nginx.conf");
        fs::write(&file, format!("{main}\nhttp {{ access_log off;\n{paths}{site} }}")).unwrap();
        let mut nginx = Command::new("nginx");
        nginx.arg("-p").arg(folder.path()).args(["-e", "stderr", "-c"]).arg(file);
        let process = nginx.spawn().expect("nginx can't be started: install it (Debian: apt-get install nginx-light)");
        eventually("nginx listens", || TcpStream::connect(address).is_ok());
        Self { process, address, _folder: folder }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// The observations of the clients.
#[derive(Debug, Default)]
struct Seen {
    is_over: AtomicBool,
    answers: AtomicU32,
    failures: AtomicU32,
    /// Sockets that were closed by phipi and opened anew.
    reconnected: AtomicU32,
}

fn count(counter: &AtomicU32) {
    counter.fetch_add(1, Relaxed);
}

impl Seen {
    fn fail(&self, what: &str) {
        eprintln!("{what}");
        count(&self.failures);
    }

    /// Posts without a pause.
    fn post(&self, address: SocketAddr) {
        let agent = client();
        let url = format!("http://{address}/graphql");
        while !self.is_over.load(Relaxed) {
            let answer = agent.post(&url).send_json(json!({"query": "{ fib(n: 10) { result } }"}));
            match answer.map(|mut answer| (answer.status().as_u16(), answer.body_mut().read_to_string())) {
                Ok((200, Ok(body))) if body == r#"{"data":{"fib":{"result":"55"}}}"# => count(&self.answers),
                other => self.fail(&format!("a POST got {other:?}")),
            }
        }
    }

    /// Keeps a socket open, and opens it anew when it is closed as a restart closes it.
    fn subscribe(&self, address: SocketAddr) {
        let mut socket = open(address);
        while !self.is_over.load(Relaxed) {
            match socket.read() {
                Ok(Message::Close(close)) => {
                    let code = close.map(|close| u16::from(close.code));
                    if !code.is_some_and(|code| [1001, 1012].contains(&code)) {
                        self.fail(&format!("a socket was closed with {code:?}"));
                    }
                    // The answer to the close is sent.
                    while socket.read().is_ok() {}
                    socket = open(address);
                    count(&self.reconnected);
                }
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    self.fail(&format!("a socket broke: {error}"));
                    socket = open(address);
                }
            }
        }
    }
}

/// A socket that has greeted; reading it waits for a moment at most.
fn open(address: SocketAddr) -> WebSocket<MaybeTlsStream<TcpStream>> {
    let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "graphql-transport-ws".parse().unwrap());
    let (mut socket, _) = tungstenite::connect(request).unwrap();
    socket.send(Message::text(r#"{"type":"connection_init"}"#)).unwrap();
    if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    }
    socket
}

/// Restarts both processes one after the other, this many times; returns what the clients saw.
fn restart(times: u32) -> Seen {
    let addresses = [free("127.0.0.2"), free("127.0.0.3")];
    let mut services = addresses.map(start);
    let (nginx, seen) = (Nginx::start(addresses), Seen::default());
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| seen.post(nginx.address));
        }
        for _ in 0..SOCKETS {
            scope.spawn(|| seen.subscribe(nginx.address));
        }
        let _over = Over(&seen.is_over);
        for _ in 0..times {
            for (service, address) in services.iter_mut().zip(addresses) {
                let before = seen.answers.load(Relaxed);
                service.signal(Signal::TERM);
                assert!(service.exit().success());
                *service = start(address);
                eventually("clients are answered", || seen.answers.load(Relaxed) > before + 100);
            }
        }
        // The last to go have their socket elsewhere by now.
        sleep(Duration::from_millis(200));
    });
    seen
}

/// Ends the clients, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// The restarts of both processes, as many as docs/operating.md says.
const TIMES: u32 = 10;

#[test]
fn rolling_restarts_behind_nginx_lose_nothing() {
    let seen = restart(TIMES);
    println!("{TIMES} rolling restarts: {seen:?}");
    assert_eq!(seen.failures.into_inner(), 0);
    assert!(seen.reconnected.into_inner() >= 2 * TIMES, "sockets were on both");
}

/// The lines of the page's other location, below a path, in place of those of the first.
const BELOW: [(&str, &str); 2] =
    [("location / {", "location /math/ {"), ("proxy_pass http://phipi;", "proxy_pass http://phipi/;")];

#[test]
fn the_pages_work_below_a_path_of_nginx() {
    let location = PAGE.split("```nginx\n").nth(2).unwrap();
    for (_, line) in BELOW {
        assert!(location.contains(line), "{line}");
    }
    // Pages of no other origin may open a WebSocket: GraphiQL's own have to be known by the host.
    let flags = [&LIMIT[..], &["--cors-origin", "https://elsewhere.example"]].concat();
    let service = Service::start_with("memory:", &flags);
    let nginx = Nginx::start_with([service.address(); 2], &BELOW);
    check_pages(&format!("http://{}/math/", nginx.address));
}
