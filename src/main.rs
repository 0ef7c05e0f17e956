//! Parses, wires and runs; the only place that exits.

use std::{
    env,
    error::Error,
    io::{self, ErrorKind, IsTerminal, Write},
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use phipi::{
    cli::{self, Command, Serve},
    evaluator::Evaluator,
    graphql, http,
    math::{
        decimal::Decimal,
        fib::{self, Index},
        pi,
        residue::Prime,
    },
    telemetry,
    workers::Workers,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::{TcpListener, TcpSocket},
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let cli = match cli::parse(env::args_os()) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match run(cli.command()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("phipi: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Serve(settings) => {
            let runtime = Runtime::new()?;
            let served = runtime.block_on(serve(*settings));
            // What the drain has cut is not waited for.
            runtime.shutdown_background();
            served
        }
        Command::Fib { n } => {
            let value = fibonacci(n)?;
            print((0..).map_while(|at| value.chunk(at)).chain(["\n".into()]))
        }
        Command::Pi { terms } => print([format!("{}\n", pi::approximation(terms))]),
        Command::Schema => print([graphql::sdl()]),
    }
}

/// F(n), evaluated by all cores and proven.
fn fibonacci(n: Index) -> Result<Decimal> {
    let prime = Prime::draw(getrandom::u64)?;
    let terminal = Some(io::stderr()).filter(IsTerminal::is_terminal);
    let mut line = ProgressLine::new(n, terminal);
    let pool = rayon::ThreadPoolBuilder::new().build()?;
    let value = pool.install(|| fib::proven(n, &prime, &mut |part| line.show(part)));
    line.clear();
    value
        .ok_or_else(|| format!("the evaluation of F({}) failed its proof: check this machine's memory", n.get()).into())
}

/// A line that tells how far the work is, rewritten in place; only on a terminal, and when the work takes time.
struct ProgressLine<W> {
    n: Index,
    terminal: Option<W>,
    appears: Instant,
    percent: Option<u32>,
}

impl<W: Write> ProgressLine<W> {
    /// Work that is done sooner is not told of.
    const PATIENCE: Duration = Duration::from_secs(1);

    fn new(n: Index, terminal: Option<W>) -> Self {
        Self { n, terminal, appears: Instant::now() + Self::PATIENCE, percent: None }
    }

    /// Tells what part of the work is done, from 0 to 1. A terminal that is gone is no error.
    fn show(&mut self, part: f64) {
        let percent = (0..=100).take_while(|&percent| f64::from(percent) <= part * 100.0).last();
        let Some(terminal) = self.terminal.as_mut() else { return };
        if percent != self.percent && Instant::now() >= self.appears {
            // At once, or the terminal would show parts of it.
            let text = format!("\rF({}): {} %", self.n.get(), percent.unwrap_or(0));
            let _ = terminal.write_all(text.as_bytes());
            self.percent = percent;
        }
    }

    /// Removes the line, if it is there.
    fn clear(&mut self) {
        if let Some(terminal) = self.terminal.as_mut().filter(|_| self.percent.is_some()) {
            let _ = terminal.write_all(b"\r\x1b[K");
        }
    }
}

async fn serve(settings: Serve) -> Result<()> {
    // For TLS to Redis. Nobody else can have chosen another.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let location = settings.location()?;
    // Dropped at the end, when all is told.
    let _log = telemetry::start(settings.log_format(), settings.collector()?)?;
    raise_file_limit();
    let public = listen(settings.listen, "--listen")?;
    let admin = listen(settings.admin_listen, "--admin-listen")?;
    let prime = Prime::draw(getrandom::u64)?;
    let workers = Arc::new(Workers::start(fib::limb_count(settings.max_n))?);
    let prefix = settings.cache_prefix.clone();
    let evaluator = Evaluator::open(location, prefix, settings.max_n, Arc::clone(&workers), prime)?;
    let asked_to_stop = asked_to_stop()?;
    print([
        format!("listening on http://{}\n", public.local_addr()?),
        format!("admin on http://{}\n", admin.local_addr()?),
    ])?;
    http::serve(public, admin, evaluator, workers, settings.origins(), asked_to_stop).await;
    Ok(())
}

/// Lets this process open as many files as the system grants: each connection takes one, and the usual limit is 1,024.
/// If it can't be raised, connections beyond it wait.
fn raise_file_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// How many connections the system may take in before they are accepted. What comes beyond is dropped, and a client
/// tries again a second later; the system caps it, usually at 4,096.
const BACKLOG: u32 = 10_000;

fn listen(address: SocketAddr, flag: &str) -> Result<TcpListener> {
    let listener = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // The port of a process that has just ended may be taken again.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listener().map_err(|error| format!("can't listen on {address}: {error}; choose another address with {flag}").into())
}

/// Resolves at the first SIGTERM or SIGINT; the signals are caught from the call on.
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Prints to stdout. A reader that has seen enough, such as `head`, is no error.
fn print(pieces: impl IntoIterator<Item = String>) -> Result<()> {
    let mut out = io::stdout().lock();
    let printed = pieces.into_iter().try_for_each(|piece| out.write_all(piece.as_bytes())).and_then(|()| out.flush());
    match printed {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_once_it_takes_time_and_leaves_nothing() {
        let mut text = Vec::new();
        let mut line = ProgressLine::new(Index::MAX, Some(&mut text));
        line.show(0.1);
        line.appears = Instant::now();
        for part in [0.421, 0.423, 0.43] {
            line.show(part);
        }
        line.clear();
        assert_eq!(text, b"\rF(1000000000): 42 %\rF(1000000000): 43 %\r\x1b[K");

        let mut text = Vec::new();
        let mut line = ProgressLine::new(Index::MAX, Some(&mut text));
        line.show(1.0);
        line.clear();
        assert_eq!(text, b"", "quick work is not told of");
    }
}
