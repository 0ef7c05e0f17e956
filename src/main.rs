//! Parses, wires and runs; the only place that exits.

use std::{
    env,
    error::Error,
    fmt, fs,
    future::pending,
    io::{self, ErrorKind, IsTerminal, Write},
    net::SocketAddr,
    ops::Range,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use phipi::{
    cli::{self, Command, Serve, Store},
    evaluator::{self, Evaluator, Limits, Question},
    graphql, http,
    math::{
        decimal::Decimal,
        fib::{self, Index},
        pi,
        pi_digits::{Count, Digits, Span},
        residue::Prime,
    },
    telemetry,
    workers::Workers,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tikv_jemallocator::Jemalloc;
use tokio::{
    net::{TcpListener, TcpSocket},
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
    time::timeout,
};

/// Gives the memory of a crowd of clients back to the system as soon as it is freed: the options are in
/// .cargo/config.toml, since to set them here would need unsafe code.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The exit status for an invalid setting, which clap has for the command line.
const INVALID_SETTING: u8 = 2;

/// The exit status of `phipi check` when the store could not be inspected.
const NOT_INSPECTED: u8 = 3;

fn main() -> ExitCode {
    survive_file_size_limit();
    let command = match cli::parse(env::args_os()) {
        Ok(cli) => cli.command(),
        Err(error) => error.exit(),
    };
    let failure = if matches!(command, Command::Check { .. }) { NOT_INSPECTED.into() } else { ExitCode::FAILURE };
    run(command).unwrap_or_else(|error| {
        // Stderr may be a file that can't grow.
        let _ = writeln!(io::stderr(), "phipi: {error}");
        if error.is::<cli::SettingError>() { INVALID_SETTING.into() } else { failure }
    })
}

/// Makes a write beyond the limit of the size of files (`ulimit -f`) fail as on a full disk, where SIGXFSZ would end
/// the process. To ignore the signal would need unsafe code, so it is caught: a handler that was installed once stays
/// when its runtime is gone. If it can't be, the signal does what it always did.
fn survive_file_size_limit() {
    let Ok(runtime) = Builder::new_current_thread().enable_io().build() else { return };
    let _context = runtime.enter();
    let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Serve(settings) => within_runtime(serve(*settings))?,
        Command::Fib { n } => {
            let value = fibonacci(n)?;
            print((0..).map_while(|at| value.chunk(at)).chain(["\n".into()]))?;
        }
        Command::Pi { terms } => print([format!("{}\n", pi::approximation(terms))])?,
        Command::PiDigits { count } => {
            let digits = pi_digits(count)?;
            print(pieces(count.get()).map(|piece| with_point(&digits, piece)).chain(["\n".into()]))?;
        }
        Command::Schema => print([graphql::sdl()])?,
        Command::Health { target } => {
            let readiness = within_runtime(async { Ok(http::health(&target).await?) })?;
            print([readiness, "\n".into()])?;
        }
        Command::Warm { n, count, store } => within_runtime(warm(n, count, store))?,
        Command::Check { repair, json, store } => return within_runtime(check(repair, json, store)),
    }
    Ok(ExitCode::SUCCESS)
}

/// The number of tasks that a thread runs from its own queue before it takes one from the global queue, into which its
/// own one overflows. With many thousand ready tasks, the default of some sixty would delay the latter by a tenth of a
/// second.
const OVERFLOW_INTERVAL: u32 = 2;

/// The number of tasks that a thread runs before it polls for I/O: half the default.
const EVENT_INTERVAL: u32 = 31;

fn within_runtime<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = Builder::new_multi_thread()
        .global_queue_interval(OVERFLOW_INTERVAL)
        .event_interval(EVENT_INTERVAL)
        .enable_all()
        .build()?;
    let done = runtime.block_on(work);
    // This does not wait for work that a drain has cut.
    runtime.shutdown_background();
    done
}

/// F(n), evaluated by all cores and proven.
fn fibonacci(n: Index) -> Result<Decimal> {
    let prime = Prime::draw(getrandom::u64)?;
    evaluated(&format!("F({})", n.get()), |progress| fib::proven(n, &prime, progress))
}

/// The first `count` digits of π, evaluated by all cores and proven.
fn pi_digits(count: Count) -> Result<Digits> {
    evaluated(&format!("π to {} digits", count.get()), |progress| evaluator::pi_digits(count, progress))
}

/// Evaluates on all cores, with a progress line. `evaluate` gives `None` when the value failed its proof.
fn evaluated<T: Send>(name: &str, evaluate: impl FnOnce(&mut dyn FnMut(f64)) -> Option<T> + Send) -> Result<T> {
    let mut line = ProgressLine::on_terminal();
    let pool = rayon::ThreadPoolBuilder::new().build()?;
    let value = pool.install(|| evaluate(&mut |part| line.show(format_args!("{name}: {} %", percent(part)))));
    line.clear();
    value.ok_or_else(|| format!("the evaluation of {name} failed its proof: check this machine's memory").into())
}

/// Ranges of digits that are printed at a time, of 64 KiB each.
fn pieces(count: usize) -> impl Iterator<Item = Range<usize>> {
    const PIECE: usize = 64 * 1024;
    (0..count).step_by(PIECE).map(move |start| start..count.min(start + PIECE))
}

/// A range of digits as text, with a point behind the 3 if there is more.
fn with_point(digits: &Digits, range: Range<usize>) -> String {
    let needs_point = range.start == 0 && range.end > 1;
    let mut text = Vec::with_capacity(range.len() + 1);
    digits.write(range, &mut text);
    if needs_point {
        text.insert(1, b'.');
    }
    String::from_utf8(text).expect("digits are ASCII")
}

/// The whole percent of a part of work from 0 to 1.
fn percent(part: f64) -> usize {
    (1..=100_u8).take_while(|&percent| f64::from(percent) <= part * 100.0).count()
}

async fn warm(n: Option<Index>, count: Option<Count>, store: Store) -> Result<()> {
    let location = store.location()?;
    let _log = telemetry::start(telemetry::LogSettings::MESSAGES, None)?;
    let prime = Prime::draw(getrandom::u64)?;
    let limits = Limits { max_n: n.unwrap_or_default(), max_pi_digits: count.unwrap_or_default() };
    let workers = Arc::new(Workers::start(limits.work())?);
    let evaluator = Evaluator::open(location.clone(), store.cache_prefix.clone(), limits, workers, prime)?;
    let numbers = n.into_iter().flat_map(evaluator::all_up_to).map(Question::from);
    let digits = count.and_then(|count| Span::new(0, count.get())).map(Question::from);
    let was_warm = evaluator.warm(&location, &store.cache_prefix, numbers.chain(digits).collect()).await;
    let was_warm = was_warm.map_err(|error| format!("{location} can't be filled: {error}"))?;
    let name = n.map(|n| format!("F({})", n.get())).into_iter();
    let names: Vec<String> = name.chain(count.map(|count| format!("π to {} digits", count.get()))).collect();
    let names = names.join(" and ");
    let is_or_was = match (was_warm, n.and(count).is_some()) {
        (true, false) => "was there",
        (true, true) => "were there",
        (false, false) => "is there now",
        (false, true) => "are there now",
    };
    print([format!("{names} {is_or_was}\n")])
}

async fn check(repair: bool, json: bool, store: Store) -> Result<ExitCode> {
    let (location, prime) = (store.location()?, Prime::draw(getrandom::u64)?);
    let mut line = ProgressLine::on_terminal();
    let report = evaluator::check(&location, &store.cache_prefix, &prime, repair, &mut |entries| {
        line.show(format_args!("{entries} {}", if entries == 1 { "entry" } else { "entries" }));
    })
    .await;
    line.clear();
    let report = report.map_err(|error| format!("{location} can't be checked: {error}"))?;
    print([if json { serde_json::to_string(&report)? + "\n" } else { report.to_string() }])?;
    Ok(if report.bad.len() > report.removed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A progress line, which is rewritten in place. It appears only on a terminal, and only when the work takes time.
struct ProgressLine<W> {
    terminal: Option<W>,
    appears: Instant,
    shown: String,
}

impl ProgressLine<io::Stderr> {
    fn on_terminal() -> Self {
        Self::new(Some(io::stderr()).filter(IsTerminal::is_terminal))
    }
}

impl<W: Write> ProgressLine<W> {
    /// Shorter work has no progress line.
    const PATIENCE: Duration = Duration::from_secs(1);

    fn new(terminal: Option<W>) -> Self {
        Self { terminal, appears: Instant::now() + Self::PATIENCE, shown: String::new() }
    }

    /// Shows the progress of the work. A terminal that is gone is not an error.
    fn show(&mut self, progress: fmt::Arguments<'_>) {
        let Some(terminal) = self.terminal.as_mut().filter(|_| Instant::now() >= self.appears) else { return };
        let text = format!("\r{progress}");
        if text != self.shown {
            // One write, since the terminal would show parts of several.
            let _ = terminal.write_all(text.as_bytes());
            self.shown = text;
        }
    }

    /// Removes the line, if it is there.
    fn clear(&mut self) {
        if let Some(terminal) = self.terminal.as_mut().filter(|_| !self.shown.is_empty()) {
            let _ = terminal.write_all(b"\r\x1b[K");
        }
    }
}

async fn serve(settings: Serve) -> Result<()> {
    let location = settings.store.location()?;
    // It is flushed when it is dropped at the end.
    let _log = telemetry::start(settings.log(), settings.collector()?)?;
    raise_file_limit();
    let public = listen(settings.listen, "--listen (PHIPI_LISTEN)")?;
    let admin = listen(settings.admin_listen, "--admin-listen (PHIPI_ADMIN_LISTEN)")?;
    let prime = Prime::draw(getrandom::u64)?;
    let limits = Limits { max_n: settings.max_n, max_pi_digits: settings.max_pi_digits };
    let workers = Arc::new(Workers::start(limits.work())?);
    let prefix = settings.store.cache_prefix.clone();
    let evaluator = Evaluator::open(location, prefix, limits, Arc::clone(&workers), prime)?;
    let mut signals = Signals::new()?;
    let (asked_to_stop, begin) = oneshot::channel();
    let addresses = [
        format!("listening on http://{}\n", public.local_addr()?),
        format!("admin on http://{}\n", admin.local_addr()?),
    ];
    // A server is useful even if its stdout is full.
    let _ = print(addresses);
    let shutdown = async { _ = begin.await };
    let served = http::serve(public, admin, evaluator, workers, settings.origins(), shutdown, settings.drain_delay);
    tokio::select! {
        () = served => Ok(()),
        () = async {
            signals.next().await;
            let _ = asked_to_stop.send(());
            let _ = timeout(DUPLICATES, async {
                loop {
                    signals.next().await;
                }
            })
            .await;
            signals.next().await;
        } => Err("a second signal ended the process at once: open requests and writes were cut".into()),
    }
}

/// Raises the limit of open files to what the system grants: each connection takes one, and the usual limit is 1,024.
/// If it can't be raised, further connections wait in the backlog.
fn raise_file_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// The backlog of a listener. The system drops connections beyond it, which clients retry a second later, and caps it,
/// usually at 4,096.
const BACKLOG: u32 = 10_000;

fn listen(address: SocketAddr, setting: &str) -> Result<TcpListener> {
    let listener = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // This allows the port of a process that has just ended.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listener().map_err(|error| {
        let why = telemetry::plain(&error);
        format!("can't listen on {address}: {why}; choose another address with {setting}").into()
    })
}

/// The time after the first signal in which another one counts as a duplicate: a terminal sends one to each process of
/// a group, and a parent may forward its own.
const DUPLICATES: Duration = Duration::from_millis(300);

/// The signals that start a drain. They are caught from the start of the process on.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// `None` when the process ignores it, as one that was started by `nohup` does.
    hang_up: Option<Signal>,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: (!ignores_hang_up()).then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    /// Waits for the next signal.
    async fn next(&mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => _ = signal.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = hang_up => {}
        }
    }
}

/// Whether the process ignores SIGHUP. Only Linux shows that.
fn ignores_hang_up() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // SIGHUP is the lowest bit.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Prints to stdout. A reader that closes its end early, such as `head`, is not an error.
fn print(pieces: impl IntoIterator<Item = String>) -> Result<()> {
    let mut out = io::stdout().lock();
    let printed = pieces.into_iter().try_for_each(|piece| out.write_all(piece.as_bytes())).and_then(|()| out.flush());
    match printed {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("can't print: {}", telemetry::plain(&error)).into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_shown_once_it_takes_time_and_leaves_nothing() {
        let mut text = Vec::new();
        let mut line = ProgressLine::new(Some(&mut text));
        line.show(format_args!("10 %"));
        line.appears = Instant::now();
        for percent in [42, 42, 43] {
            line.show(format_args!("{percent} %"));
        }
        line.clear();
        assert_eq!(text, b"\r42 %\r43 %\r\x1b[K");

        let mut text = Vec::new();
        let mut line = ProgressLine::new(Some(&mut text));
        line.show(format_args!("100 %"));
        line.clear();
        assert_eq!(text, b"", "quick work has no progress line");
    }
}
