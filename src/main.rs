//! Parses, wires and runs; the only place that exits.

use std::{
    env,
    error::Error,
    io::{self, ErrorKind, Write},
    process::ExitCode,
};

use phipi::{
    cli::{self, Command, Serve},
    evaluator::Evaluator,
    graphql, http,
    math::{fib, pi, residue::Prime},
    telemetry,
    workers::Workers,
};
use tokio::{
    net::TcpListener,
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
            let served = runtime.block_on(serve(settings));
            // What the drain has cut is not waited for.
            runtime.shutdown_background();
            served
        }
        Command::Fib { n } => {
            let value = fib::fibonacci(n);
            if !Prime::draw(getrandom::u64)?.proves(n, &value) {
                return Err(
                    format!("the evaluation of F({}) failed its proof: check this machine's memory", n.get()).into()
                );
            }
            print((0..).map_while(|at| value.chunk(at)).chain(["\n".into()]))
        }
        Command::Pi { terms } => print([format!("{}\n", pi::approximation(terms))]),
        Command::Schema => print([graphql::sdl()]),
    }
}

async fn serve(settings: Serve) -> Result<()> {
    let location = settings.location()?;
    telemetry::start(settings.log_format());
    let public = listen(settings.listen, "--listen").await?;
    let admin = listen(settings.admin_listen, "--admin-listen").await?;
    let prime = Prime::draw(getrandom::u64)?;
    let evaluator = Evaluator::open(
        location,
        settings.cache_prefix.clone(),
        settings.max_n,
        Workers::start(fib::limb_count(settings.max_n))?,
        prime,
    );
    let asked_to_stop = asked_to_stop()?;
    print([
        format!("listening on http://{}\n", public.local_addr()?),
        format!("admin on http://{}\n", admin.local_addr()?),
    ])?;
    Ok(http::serve(public, admin, evaluator, settings.origins(), asked_to_stop).await?)
}

async fn listen(address: std::net::SocketAddr, flag: &str) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| format!("can't listen on {address}: {error}; choose another address with {flag}").into())
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
