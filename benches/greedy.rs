//! Greedy clients against phipi, one kind after another. `scripts/greedy-clients` builds and runs it, and hands its
//! arguments on:
//!
//! `[--program PATH] [--limited] [--seconds N] [NAME …]`; all attacks unless some are named, and each for at least six
//! seconds. The name `all` stands for all of them at once, at a share of their size that the connections have room for.
//! With `--limited` the process has 2.5 GB of addresses, and aborts when an attack makes it hold more.
//!
//! Beside each attack a neighbour asks for small and for large answers. A row has the peak of the memory above that of
//! the idle process, the seconds until large answers are served, the longest time of a small one, and the number of
//! small requests that were refused. The status is 1 when a figure misses its bound.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread::{self, sleep},
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};

#[path = "../tests/service/attackers.rs"]
#[expect(dead_code, reason = "the tests look at what the attackers were answered too")]
mod attackers;
#[path = "../tests/service/frames.rs"]
mod frames;
#[path = "../tests/service/neighbour.rs"]
mod neighbour;

use self::{
    attackers::{ATTACKS, Attack, Standing, Target, attack},
    neighbour::{Served, while_attacked},
};

/// The most memory that one attack may take, in MB above the idle process.
const PEAK_MB: f64 = 300.0;
/// The most that all at once may: the sum in docs/operating.md, 1,244 MiB.
const ALL_PEAK_MB: f64 = 1_304.0;
/// The longest time until large answers are served: an answer that is not taken is cut after 35 s.
const LARGE_S: f64 = 45.0;
/// The longest time of a small answer.
const SMALL_MS: f64 = 100.0;
/// An attack is watched no longer.
const MOST: Duration = Duration::from_secs(55);
/// The share of each attack when all run at once: so, they have fewer than 10,000 connections.
const ALL_PERCENT: usize = 30;
/// A process that holds more is killed, so that a missing bound does not cost the machine.
const KILL_MB: f64 = 3_000.0;
/// The nice value of the attackers.
const LOWEST_PRIORITY: i32 = 19;
/// With `--limited`, in KiB.
const LIMITED: &str = r#"ulimit -v 2500000; exec "$0" "$@""#;

struct Settings {
    program: PathBuf,
    is_limited: bool,
    least: Duration,
    names: Vec<String>,
}

fn main() -> ExitCode {
    let mut settings = Settings {
        program: env::current_exe().expect("a program").with_file_name("phipi"),
        is_limited: false,
        least: Duration::from_secs(6),
        names: Vec::new(),
    };
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value");
        match &*argument {
            "--program" => settings.program = value().into(),
            "--limited" => settings.is_limited = true,
            "--seconds" => settings.least = Duration::from_secs(value().parse().expect("a number")),
            name => settings.names.push(name.to_owned()),
        }
    }
    if settings.names.is_empty() {
        settings.names = ATTACKS.iter().map(|attack| attack.name.to_owned()).collect();
    }
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard }).expect("up to the hard limit");
    println!(
        "{:<16}{:>10}{:>12}{:>12}{:>14}{:>11}",
        "", "peak MB", "large, s", "small, ms", "small refused", "MB after"
    );
    println!("{:<16}{PEAK_MB:>10}{LARGE_S:>12}{SMALL_MS:>12}{:>14}{:>11}", "at most", 0, "");
    let reached = settings.names.iter().filter(|name| !settings.bear(name)).count() == 0;
    if reached { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Settings {
    /// Has a fresh process bear an attack, prints the row, and returns whether all bounds hold.
    fn bear(&self, name: &str) -> bool {
        let (attacks, percent, peak_mb): (Vec<&Attack>, _, _) = match name {
            "all" => (ATTACKS.iter().collect(), ALL_PERCENT, ALL_PEAK_MB),
            name => (vec![attack(name).expect("the name of an attack")], 100, PEAK_MB),
        };
        let phipi = Server::start(self);
        let idle_mb = phipi.memory_mb("VmRSS").expect("it runs");
        let target = Target { address: phipi.address, percent };
        let is_over = AtomicBool::new(false);
        let (standing, served, highest_mb) = thread::scope(|scope| {
            let watch = scope.spawn(|| phipi.watch(&is_over));
            let (standing, served) = while_attacked(phipi.address, || launch(&attacks, &target), self.least, MOST);
            is_over.store(true, Relaxed);
            (standing, served, watch.join().expect("a figure"))
        });
        let lives = phipi.memory_mb("VmRSS").is_some();
        let highest_mb = phipi.memory_mb("VmHWM").map_or(highest_mb, |mb| highest_mb.max(mb));
        drop(standing);
        sleep(Duration::from_secs(2));
        let row =
            Row { peak_mb: highest_mb - idle_mb, after_mb: phipi.memory_mb("VmRSS").map(|mb| mb - idle_mb), served };
        row.print(name, lives, peak_mb)
    }
}

/// Launches concurrent attacks.
fn launch(attacks: &[&Attack], target: &Target) -> Vec<Standing> {
    thread::scope(|scope| {
        let launched: Vec<_> = attacks.iter().map(|attack| scope.spawn(|| launch_one(attack, target))).collect();
        launched.into_iter().map(|attack| attack.join().expect("an attack")).collect()
    })
}

/// Launches an attack from a thread of the lowest priority, which the threads of the attack inherit: attackers come from
/// other machines, so that theirs is not the time that phipi needs.
fn launch_one(attack: &Attack, target: &Target) -> Standing {
    setpriority_process(None, LOWEST_PRIORITY).expect("everybody may lower it");
    (attack.launch)(target)
}

struct Row {
    peak_mb: f64,
    after_mb: Option<f64>,
    served: Served,
}

impl Row {
    /// Prints the figures, and returns whether they are within their bounds.
    fn print(&self, name: &str, lives: bool, peak_mb: f64) -> bool {
        let served = &self.served;
        let large = served.large_s.map_or("never".to_owned(), |seconds| format!("{seconds:.1}"));
        let after = self.after_mb.map_or("-".to_owned(), |mb| format!("{mb:.0}"));
        let checks = [
            (!lives, "the process ended"),
            (self.peak_mb > peak_mb, "memory"),
            (served.large_s.is_none_or(|seconds| seconds > LARGE_S), "large"),
            (served.without_retry_after > 0, "no Retry-After"),
            (served.worst_ms > SMALL_MS, "small"),
            (served.small_refused > 0, "refused"),
            (name == "pi-flood" && !served.large_cached, "evicted"),
        ];
        let missed: Vec<&str> = checks.into_iter().filter_map(|(is_missed, what)| is_missed.then_some(what)).collect();
        let told = if missed.is_empty() { String::new() } else { format!("  missed: {}", missed.join(", ")) };
        println!(
            "{name:<16}{:>10.0}{large:>12}{:>12.0}{:>14}{after:>11}{told}",
            self.peak_mb, served.worst_ms, served.small_refused
        );
        missed.is_empty()
    }
}

/// phipi with an empty cache in memory, until it is dropped.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(settings: &Settings) -> Self {
        let mut command = if settings.is_limited { Command::new("sh") } else { Command::new(&settings.program) };
        if settings.is_limited {
            command.args(["-c", LIMITED]).arg(&settings.program);
        }
        let listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--cache", "memory:"];
        let command = command.args(listen).env_clear().stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("phipi");
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().expect("it is piped")).read_line(&mut line).expect("text");
        let address = line.trim_end().split_once("http://").expect("an address").1.parse().expect("an address");
        Self { process, address }
    }

    /// A figure of `/proc/PID/status`, in MB; `None` when the process has ended.
    fn memory_mb(&self, name: &str) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
        Some(kib * 1024.0 / 1e6)
    }

    /// The highest memory until it is over. A process that holds far too much is killed.
    fn watch(&self, is_over: &AtomicBool) -> f64 {
        let mut highest: f64 = 0.0;
        while !is_over.load(Relaxed) {
            highest = highest.max(self.memory_mb("VmHWM").unwrap_or(0.0));
            if highest > KILL_MB {
                let _ = rustix::process::kill_process(
                    rustix::process::Pid::from_child(&self.process),
                    rustix::process::Signal::KILL,
                );
            }
            sleep(Duration::from_millis(20));
        }
        highest
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
