//! A running phipi, and the requests of a client.

use std::{
    cell::Cell,
    fs,
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpStream},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle, sleep},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use ureq::Agent;

/// Nothing that a test waits for takes longer, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds.
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    eventually_within(PATIENCE, what, condition);
}

/// Waits for no longer than `patience` until `condition` holds.
pub fn eventually_within(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + patience;
    while !condition() {
        assert!(Instant::now() < until, "still not: {what}");
        sleep(Duration::from_millis(5));
    }
}

/// A process of phipi on free ports. A line of WARN or ERROR in its log fails the test, unless it was expected.
pub struct Service {
    process: Child,
    url: String,
    admin: String,
    log: Arc<Mutex<String>>,
    requests: Arc<Mutex<Vec<String>>>,
    logging: Option<JoinHandle<()>>,
    expects_warnings: bool,
}

/// The program, with nothing of the environment that could change its ways. `PHIPI_PROGRAM` names another one, which
/// has a bug that the tests have to catch.
pub fn program() -> Command {
    let path = std::env::var_os("PHIPI_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_phipi").into());
    let mut program = Command::new(path);
    program.env_clear();
    program
}

impl Service {
    /// Starts phipi with its answers at `cache`.
    pub fn start(cache: &str) -> Self {
        Self::start_with(cache, &[])
    }

    pub fn start_with(cache: &str, flags: &[&str]) -> Self {
        let mut command = program();
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--cache", cache]).args(flags);
        Self::spawn(command)
    }

    /// Starts a command that serves, and waits for its addresses.
    pub fn spawn(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (log, requests) = (Arc::new(Mutex::new(String::new())), Arc::new(Mutex::new(Vec::new())));
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let (events, answered) = (Arc::clone(&log), Arc::clone(&requests));
        let logging = thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if line.contains("INFO request answered ") || line.contains(r#""message":"request answered""#) {
                    answered.lock().unwrap().push(line);
                } else {
                    *events.lock().unwrap() += &(line + "\n");
                }
            }
        });
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut address = |announcement: &str| {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            let address = line.trim_end().strip_prefix(announcement);
            address.unwrap_or_else(|| panic!("{line:?}, and in the log: {}", log.lock().unwrap())).to_owned()
        };
        let (url, admin) = (address("listening on "), address("admin on "));
        thread::spawn(move || {
            let mut rest = String::new();
            stdout.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "", "stdout carries the addresses and nothing else");
        });
        Self { process, url, admin, log, requests, logging: Some(logging), expects_warnings: false }
    }

    pub fn expecting_warnings(mut self) -> Self {
        self.expects_warnings = true;
        self
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub fn admin_url(&self, path: &str) -> String {
        format!("{}{path}", self.admin)
    }

    /// The address of its public listener.
    pub fn address(&self) -> SocketAddr {
        self.url.trim_start_matches("http://").parse().unwrap()
    }

    /// A connection for requests that no client library would send.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The events in its log.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The lines of its requests in its log.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits until the log has `event`.
    pub fn logs(&self, event: &str) {
        eventually(&format!("the log tells: {event}"), || self.log().contains(event));
    }

    /// The answer to a GraphQL document.
    pub fn query(&self, document: &str) -> Value {
        self.post(&json!({ "query": document }))
    }

    /// The answer to a POST of JSON.
    pub fn post(&self, body: &Value) -> Value {
        self.post_by(&client(), body).unwrap()
    }

    /// The same, from a client that may have a connection already.
    pub fn post_by(&self, client: &Agent, body: &Value) -> Result<Value, ureq::Error> {
        client.post(self.url("/graphql")).send_json(body)?.body_mut().read_json()
    }

    /// The answers to all questions of a request, in order; anything else is the error.
    pub fn ask(&self, client: &Agent, questions: &Questions) -> Result<Answers, String> {
        let answer = self.post_by(client, &json!({ "query": questions.document() }));
        let answer = answer.map_err(|error| error.to_string())?;
        let field = |name: String| (answer["data"][&name]["result"].clone(), answer["data"][&name]["cached"].as_bool());
        let text = |name: String| match field(name) {
            (Value::String(digits), Some(cached)) => Some((digits, cached)),
            _ => None,
        };
        let pi = |k: usize| {
            let (value, cached) = field(format!("p{k}"));
            value.as_f64().zip(cached)
        };
        let fibs: Option<Vec<_>> = (0..questions.indices.len()).map(|k| text(format!("f{k}"))).collect();
        let digits: Option<Vec<_>> = (0..questions.spans.len()).map(|k| text(format!("d{k}"))).collect();
        let pis: Option<Vec<_>> = (0..questions.terms.len()).map(pi).collect();
        let answers = fibs.zip(pis).zip(digits).map(|((fibs, pis), digits)| Answers { fibs, pis, digits });
        answers.ok_or_else(|| format!("{questions:?} are answered {answer}"))
    }

    /// The answer of `fib(n)`: its digits, and whether they were cached.
    pub fn fib(&self, n: u32) -> (String, bool) {
        let answer = self.query(&format!("{{ fib(n: {n}) {{ result cached }} }}"));
        let fib = &answer["data"]["fib"];
        let cached = fib["cached"].as_bool().unwrap_or_else(|| panic!("fib({n}) answers {answer}"));
        (fib["result"].as_str().unwrap().to_owned(), cached)
    }

    /// Whether `fib(n)` was cached.
    pub fn fib_cached(&self, n: u32) -> bool {
        self.fib(n).1
    }

    /// Whether `pi(terms)` was cached.
    pub fn pi_cached(&self, terms: u32) -> bool {
        let answer = self.query(&format!("{{ pi(terms: {terms}) {{ cached }} }}"));
        answer["data"]["pi"]["cached"].as_bool().unwrap_or_else(|| panic!("pi({terms}) answers {answer}"))
    }

    /// The answer of `piDigits`: the digits, and whether they were cached.
    pub fn pi_digits(&self, from: usize, count: usize) -> (String, bool) {
        let questions = Questions { spans: vec![(from, count)], ..Questions::default() };
        self.ask(&client(), &questions).unwrap().digits.remove(0)
    }

    /// Asks for `pi` of each of `thousands` · 1,000 numbers of terms from `first` on, a thousand in a request.
    pub fn flood(&self, first: u32, thousands: u32) {
        let client = client();
        let operation = |first: u32| {
            let fields: String = (first..first + 100).map(|n| format!("p{n}: pi(terms: {n}) {{ cached }} ")).collect();
            json!({ "query": format!("{{ {fields} }}") })
        };
        for thousand in (0..thousands).map(|k| first + 1_000 * k) {
            let batch = (0..10).map(|k| operation(thousand + 100 * k)).collect();
            let answers = self.post_by(&client, &Value::Array(batch)).unwrap();
            assert_eq!(answers.to_string().matches("false").count(), 1_000, "{answers}");
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// The time of processors that the process has spent.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        // After the name, which ends with the last parenthesis: the 12th and the 13th field, in ticks of 10 ms.
        let fields = stat.rsplit(')').next().unwrap().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(10 * ticks)
    }

    /// The memory that the process holds, in MB.
    pub fn memory_mb(&self) -> u64 {
        self.status_mb("VmRSS:")
    }

    /// The most memory that the process ever held, in MB.
    pub fn peak_mb(&self) -> u64 {
        self.status_mb("VmHWM:")
    }

    fn status_mb(&self, figure: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let kib = status.lines().find_map(|line| line.strip_prefix(figure)?.trim().strip_suffix(" kB"));
        kib.unwrap().parse::<u64>().unwrap() * 1024 / 1_000_000
    }

    /// Whether the process has ended, of which it is still to be told.
    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// Waits for the end of the process.
    pub fn exit(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the process has ended", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// The metrics of one name, with some or all of their labels, added up.
    pub fn metric(&self, name: &str) -> u64 {
        let (_, text) = get(&self.admin_url("/metrics"));
        metric(&text, name).unwrap_or_else(|| panic!("no {name} in {text}"))
    }

    /// Whether the store was late for an answer, as far as the process can still be asked.
    fn was_disturbed(&mut self) -> bool {
        let is_over = self.process.try_wait().unwrap().is_some();
        let metrics = (!is_over).then(|| client().get(self.admin_url("/metrics")).call().ok()).flatten();
        let text = metrics.and_then(|mut metrics| metrics.body_mut().read_to_string().ok());
        text.is_some_and(|text| metric(&text, "phipi_cache_wait_timeouts_total") > Some(0))
    }

    /// Stops as an operator does.
    pub fn stop(mut self) {
        DISTURBED.set(DISTURBED.get() || self.was_disturbed());
        self.signal(Signal::TERM);
        assert!(self.exit().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        DISTURBED.set(DISTURBED.get() || self.was_disturbed());
        // It may have ended by itself.
        let _ = self.process.kill();
        self.process.wait().unwrap();
        self.logging.take().unwrap().join().unwrap();
        let log = self.log();
        let loud: Vec<&str> = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
        if !thread::panicking() {
            assert!(!log.contains("panicked"), "never expected in the log: {log}");
            let is_expected = self.expects_warnings || loud.is_empty() || DISTURBED.get();
            assert!(is_expected, "not expected in the log: {loud:#?}");
        }
    }
}

/// The questions of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// Of `fib`.
    pub indices: Vec<u32>,
    /// Of `pi`.
    pub terms: Vec<u32>,
    /// Of `piDigits`: `from` and `count`.
    pub spans: Vec<(usize, usize)>,
}

/// A value and whether it was cached, for each question of a request.
#[derive(Debug)]
pub struct Answers {
    pub fibs: Vec<(String, bool)>,
    pub pis: Vec<(f64, bool)>,
    pub digits: Vec<(String, bool)>,
}

impl Answers {
    /// Whether all of them were cached.
    pub fn are_cached(&self) -> bool {
        let texts = self.fibs.iter().chain(&self.digits).map(|(_, cached)| cached);
        texts.chain(self.pis.iter().map(|(_, cached)| cached)).all(|&cached| cached)
    }
}

impl Questions {
    fn document(&self) -> String {
        let fibs = self.indices.iter().enumerate().map(|(k, n)| format!("f{k}: fib(n: {n}) {{ result cached }} "));
        let pis = self.terms.iter().enumerate().map(|(k, n)| format!("p{k}: pi(terms: {n}) {{ result cached }} "));
        let digits = self
            .spans
            .iter()
            .enumerate()
            .map(|(k, (from, count))| format!("d{k}: piDigits(from: {from}, count: {count}) {{ result cached }} "));
        format!("{{ __typename {} }}", fibs.chain(pis).chain(digits).collect::<String>())
    }
}

/// Keeps tests that load the whole machine from running concurrently, where one would fail another.
pub fn alone() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    // A test that failed leaves the machine as it was.
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    /// Whether the store was late for a service of this test.
    static DISTURBED: Cell<bool> = const { Cell::new(false) };
}

/// The time without a read after which a process probes its store.
const HEALTH_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Tells a story of exactly what is cached, and of what the store is asked. A machine so busy that the store is late for a
/// budget makes `cached` false more often, and one so slow that the store is probed meanwhile makes round trips more, as
/// they should: such a run says nothing, and the story is told again from its start, when no test loads the whole machine.
pub fn undisturbed(story: impl Fn()) {
    let mut quiet = None;
    for _ in 0..10 {
        DISTURBED.set(false);
        let start = Instant::now();
        match catch_unwind(AssertUnwindSafe(&story)) {
            Ok(()) => return,
            Err(failure) if !DISTURBED.get() && start.elapsed() < HEALTH_CHECK_INTERVAL => resume_unwind(failure),
            Err(_) => eprintln!("the store was late, or probed: the story is told again"),
        }
        quiet.get_or_insert_with(alone);
    }
    panic!("the machine is too busy to tell this story");
}

/// The metrics whose rows begin with a name, in a text of metrics, added up; `None` when there are none.
fn metric(text: &str, name: &str) -> Option<u64> {
    let rows = text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    let values: Vec<u64> = rows.map(|row| row.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

/// A client that takes any status for an answer.
pub fn client() -> Agent {
    Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into()
}

/// A GET, with its status and body.
pub fn get(url: &str) -> (u16, String) {
    let mut response = client().get(url).call().unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

/// The code and the message of the only error.
pub fn error(answer: &Value) -> (&str, &str) {
    let [error] = &answer["errors"].as_array().unwrap()[..] else { panic!("{answer}") };
    (error["extensions"]["code"].as_str().unwrap(), error["message"].as_str().unwrap())
}

/// A GET with headers: its status, its headers and the bytes of its body.
pub fn getting(url: &str, headers: &[(&str, &str)]) -> (u16, ureq::http::HeaderMap, Vec<u8>) {
    let mut request = client().get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.call().unwrap();
    let body = response.body_mut().with_config().limit(100_000_000).read_to_vec().unwrap();
    (response.status().as_u16(), response.headers().clone(), body)
}
