//! `docs/operating.md` is true: the rights that phipi needs in Redis, answers after eviction, sizes and names.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use phipi::{cache, graphql, http, math, workers};
use redis::cmd;
use rustix::process::Signal;

use crate::{
    oracle::{Model, Truth, approximations, fibonacci},
    redis_server::{PREFIX, RedisServer},
    service::{Questions, Service, client, eventually, get, program, undisturbed},
};

const PAGE: &str = include_str!("../../docs/operating.md");

/// phipi's commands on its keys.
const DATA_COMMANDS: [&str; 4] = ["MGET", "SET", "ZADD", "ZSCORE"];

/// Its other commands, by itself or through the client library. A server before Redis 7.2 knows no CLIENT SETINFO.
const CONNECTION_COMMANDS: [&str; 6] = ["AUTH", "CLIENT SETINFO", "HELLO", "INFO", "PING", "SELECT"];

/// The lines of the page that give phipi's user its rights: the first has all that one server asks for.
fn rules() -> Vec<&'static str> {
    PAGE.lines().filter(|line| line.starts_with("redis-cli ACL SETUSER phipi ")).collect()
}

/// The output of a line of the page in a shell, run against a server of the test.
fn shell(line: &str, redis: &RedisServer) -> String {
    let here = format!("redis-cli -s {} ", redis.socket().display());
    let output = Command::new("sh").arg("-c").arg(line.replace("redis-cli ", &here)).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Gives phipi's user on a server the rights of the page; returns the URL with that user.
pub fn by_the_rule(redis: &RedisServer) -> String {
    assert_eq!(shell(rules()[0], redis), "OK");
    format!("{}?user=phipi&pass=SECRET", redis.url())
}

/// The commands and keys that the server refused for a lack of rights.
fn refused(redis: &RedisServer) -> Vec<String> {
    let log = shell("redis-cli ACL LOG", redis);
    let objects = log.lines().zip(log.lines().skip(1)).filter(|(field, _)| *field == "object");
    // Refusals that change nothing.
    let are_harmless = ["client|setinfo", "info"];
    objects.map(|(_, object)| object.to_owned()).filter(|object| !are_harmless.contains(&&**object)).collect()
}

#[test]
fn the_rule_is_enough() {
    undisturbed(|| {
        let redis = RedisServer::start();
        let url = by_the_rule(&redis);
        let first = Service::start(&url);
        assert!(!first.fib_cached(213));
        assert_eq!(first.fib(100_001), (fibonacci(100_001), false));
        assert!(!first.pi_cached(1_000) && !first.pi_digits(40_000, 10).1);
        first.stop();

        let again = Service::start(&url);
        for n in [213, 77_777, 100_001] {
            assert_eq!(again.fib(n), (fibonacci(n), true), "F({n})");
        }
        assert!(again.pi_cached(1_000) && again.pi_digits(0, 40_010).1);
        assert_eq!(refused(&redis), Vec::<String>::new());
    });
}

#[test]
fn the_rule_gives_nothing_else() {
    let redis = RedisServer::start();
    let url = by_the_rule(&redis);
    let mut user = redis::Client::open(url).unwrap().get_connection().unwrap();
    for command in ["GET phipi:1:pi:5", "KEYS *", "FLUSHALL", "CONFIG GET *", "INFO", "SET theirs 1", "MGET theirs"] {
        let mut words = command.split(' ');
        let name = words.next().unwrap();
        let refusal = cmd(name).arg(words.collect::<Vec<_>>()).exec(&mut user).expect_err(command);
        assert_eq!(refusal.code(), Some("NOPERM"), "{command}: {refusal}");
    }
}

#[test]
fn the_server_takes_the_rule_and_what_adds_to_it() {
    let redis = RedisServer::start();
    let rules = rules();
    assert_eq!(rules.len(), 6);
    for rule in rules {
        let said = shell(rule, &redis);
        assert!(said == "OK" || rule.contains("client|setinfo"), "{rule}: {said}");
    }
}

#[test]
fn an_operator_who_checks_needs_three_rights_more() {
    let redis = RedisServer::start();
    let url = by_the_rule(&redis);
    let run = |arguments: &[&str]| program().args(arguments).args(["--cache", &*url]).output().unwrap();
    assert!(run(&["warm", "--fib", "1000"]).status.success());
    let refusal = run(&["check"]);
    assert!(String::from_utf8_lossy(&refusal.stderr).contains("'scan' command"), "{refusal:?}");
    let rule = rules().into_iter().find(|rule| rule.contains("phipi check")).unwrap();
    assert_eq!(shell(rule, &redis), "OK");
    redis.run(&format!("SET {PREFIX}1:pi:7 3"));
    redis.run(&format!("RPUSH {PREFIX}1:pi:8 3"));
    assert_eq!(run(&["check"]).status.code(), Some(1), "two are bad");
    for (right, without) in [("strlen", "check"), ("del", "check --repair")] {
        redis.run(&format!("ACL SETUSER phipi -{right}"));
        let refusal = run(&without.split(' ').collect::<Vec<_>>());
        assert_eq!(refusal.status.code(), Some(3), "{right}");
        assert!(String::from_utf8_lossy(&refusal.stderr).contains(&format!("'{right}' command")), "{refusal:?}");
        redis.run(&format!("ACL SETUSER phipi +{right}"));
    }
    assert!(run(&["check", "--repair"]).status.success());
    assert!([7, 8].iter().all(|terms| !redis.keys().contains(&format!("{PREFIX}1:pi:{terms}"))));
}

#[test]
fn a_right_of_the_rule_that_is_missing_is_told_by_its_name() {
    let questions = Questions { indices: vec![213, 100_001], terms: vec![100], ..Questions::default() };
    let truth = Truth::of(questions.indices.clone());
    for command in DATA_COMMANDS {
        let redis = RedisServer::start();
        let url = by_the_rule(&redis);
        let right = command.to_lowercase();
        assert!(rules()[0].contains(&format!(" +{right} ")), "{right}");
        redis.run(&format!("ACL SETUSER phipi -{right}"));
        let service = Service::start(&url).expecting_warnings();
        for _ in 0..2 {
            let answers = service.ask(&client(), &questions).unwrap();
            assert_eq!(truth.refutes(&questions, &answers), None, "without {right}");
        }
        service.logs("the user lacks a permission");
        service.logs(&format!("'{right}' command"));
        let others = DATA_COMMANDS.map(str::to_lowercase);
        for other in others.iter().filter(|&other| *other != right) {
            assert!(!service.log().contains(&format!("'{other}' command")), "{}", service.log());
        }
    }
}

/// The names of the commands that a server runs from now on; that of CLIENT with its second word.
fn recorded(redis: &RedisServer) -> Arc<Mutex<BTreeSet<String>>> {
    let mut stream = UnixStream::connect(redis.socket()).unwrap();
    stream.write_all(b"MONITOR\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "+OK");
    let names = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&names);
    // Until the server is gone.
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            seen.lock().unwrap().insert(name_in(&line));
        }
    });
    names
}

/// In a line such as `+1.2 [0 unix:redis.sock] "CLIENT" "SETINFO" "LIB-NAME" "redis-rs"`.
fn name_in(line: &str) -> String {
    let (_, words) = line.split_once("] ").unwrap_or_else(|| panic!("a command and who sent it: {line}"));
    let mut words = words.split('"').skip(1).step_by(2);
    let name = words.next().unwrap().to_uppercase();
    if name == "CLIENT" { format!("{name} {}", words.next().unwrap().to_uppercase()) } else { name }
}

#[test]
fn redis_is_sent_these_commands_and_no_others() {
    let redis = RedisServer::start();
    let url = format!("{}&db=1", by_the_rule(&redis));
    redis.run("ACL SETUSER phipi +select");
    let names = recorded(&redis);

    let first = Service::start(&url).expecting_warnings();
    for n in [213, 214, 100_001, 200] {
        first.fib(n);
    }
    first.pi_cached(5);
    redis.signal(Signal::STOP);
    assert!(!first.pi_cached(6), "it does not wait for the store");
    redis.signal(Signal::CONT);
    eventually("a connection that was silent is examined", || names.lock().unwrap().contains("PING"));
    eventually("nothing waits", || first.metric("phipi_cache_write_queue_bytes") == 0);
    first.stop();
    let again = Service::start(&url).expecting_warnings();
    for n in [213, 300_000] {
        again.fib(n);
    }
    again.stop();

    // All that came before it is recorded.
    let mut marker = UnixStream::connect(redis.socket()).unwrap();
    marker.write_all(b"ECHO over\r\n").unwrap();
    eventually("all is recorded", || names.lock().unwrap().contains("ECHO"));
    let mut names = names.lock().unwrap().clone();
    names.remove("ECHO");
    names.retain(|name| !CONNECTION_COMMANDS.contains(&&**name));
    assert_eq!(names, BTreeSet::from(DATA_COMMANDS.map(str::to_owned)));
}

const POLICIES: [&str; 7] =
    ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-ttl", "volatile-random", "noeviction"];

/// Less than the half of the ladder.
const LITTLE: &str = "3mb";

/// Requests of a history.
const REQUESTS: u32 = 120;

/// The questions of the request of a number: an index anywhere on the ladder, one that climbs it, or a low one; above
/// it each value twice; and an approximation, each three times.
fn questions(number: u32, approximations: &[(u32, f64)]) -> Questions {
    let index = match number % 4 {
        0 => 2 + number * 7_919 % 99_999,
        1 => 100_001 + number / 8,
        2 => 2 + 61 * number,
        _ => 2 + number * 7_919 % 1_999,
    };
    let (terms, _) = approximations[number as usize / 3 % approximations.len()];
    Questions { indices: vec![index], terms: vec![terms], ..Questions::default() }
}

/// Asks two processes, four requests at a time each. Returns the number of answers that were lost: not cached though
/// given before.
fn lost_in_a_history(policy: &str, truth: &Truth) -> u32 {
    let redis = RedisServer::start_with(&["--maxmemory", LITTLE, "--maxmemory-policy", policy]);
    let services = [(); 2].map(|()| Service::start(&redis.url()).expecting_warnings());
    let agent = client();
    let (mut model, mut lost) = (Model::default(), 0);
    for number in 0..REQUESTS {
        let questions = questions(number, &truth.approximations);
        let answers = services[number as usize / 4 % 2].ask(&agent, &questions).unwrap();
        assert_eq!(truth.refutes(&questions, &answers), None, "{policy}");
        let fibs = questions.indices.iter().zip(&answers.fibs).map(|(&n, (_, cached))| (model.fib_cached(n), *cached));
        let pis = questions.terms.iter().zip(&answers.pis).map(|(&n, (_, cached))| (model.pi_cached(n), *cached));
        for (may_be, is) in fibs.chain(pis) {
            assert!(may_be || !is, "{policy}: {questions:?} are cached without ever having been asked: {answers:?}");
            lost += u32::from(may_be && !is);
        }
        model.note(&questions);
    }
    lost
}

#[test]
fn whatever_is_evicted_answers_are_right_and_none_is_cached_that_never_was_given() {
    let approximations = approximations();
    let indices = (0..REQUESTS).flat_map(|number| questions(number, &approximations).indices);
    let truth = Truth::of(indices.collect());
    for policy in POLICIES {
        assert!(PAGE.contains(&format!("`{policy}`")), "{policy}");
        let lost = lost_in_a_history(policy, &truth);
        assert!(lost > 0, "{policy}: where the ladder has no room something is lost");
    }
}

/// A number as the page writes it: 7,267,216.
fn grouped(number: u64) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", grouped(number / 1_000), number % 1_000) }
}

#[test]
fn the_memory_to_plan_for_is_the_sum_of_what_may_be_held() {
    const REFERENCE: &str = include_str!("../../docs/reference.md");
    let rooms: [&[(&str, usize)]; 5] =
        [&http::MEMORY, &graphql::MEMORY, &cache::MEMORY, &workers::MEMORY, &math::MEMORY];
    let mebibytes = |bytes: usize| grouped((bytes / 1024 / 1024) as u64);
    let mut sum = 0;
    for (what, bytes) in rooms.concat() {
        assert!(PAGE.contains(&format!("| {what} | {} |", mebibytes(bytes))), "{what}: {}", mebibytes(bytes));
        sum += bytes;
    }
    assert!(PAGE.contains(&format!("| all of it | {} |", mebibytes(sum))), "{}", mebibytes(sum));
    for (number, what) in [(40, "requests that are coming in"), (128, "answers that are made or sent")] {
        assert!(
            REFERENCE.contains(&format!("| {what}, all together | {number} MiB, and 16 KiB for each connection |"))
        );
        assert!(http::MEMORY.iter().any(|(_, bytes)| *bytes == number * 1024 * 1024));
    }
}

#[test]
fn what_is_stored_is_as_long_as_the_page_says() {
    let redis = RedisServer::start();
    // A busy machine may be late for the budget.
    let service = Service::start(&redis.url()).expecting_warnings();
    let mut observer = redis.connection();
    let mut stored = |key: &str| cmd("STRLEN").arg(format!("{PREFIX}1:fib:{key}")).query::<u64>(&mut observer).unwrap();
    for n in [100_001, 1_000_000, 10_000_000] {
        let digits = service.fib(n).0.len();
        eventually("it is stored", || stored(&format!("n:{n}")) > 0);
        let row = format!("| {} | {} |", grouped(digits as u64), grouped(stored(&format!("n:{n}"))));
        assert!(PAGE.contains(&row), "F({n}): {row}");
    }
    eventually("the ladder is stored", || redis.mark() == Some(100_000));
    let ladder: u64 = (0..782).map(|r| stored(&format!("rung:{r}"))).sum();
    assert!(PAGE.contains(&format!("| {} |", grouped(ladder))), "{ladder}");
}

#[test]
fn digits_of_pi_are_stored_as_the_page_says() {
    let redis = RedisServer::start();
    // A busy machine may be late for the budget.
    let service = Service::start(&redis.url()).expecting_warnings();
    service.pi_digits(999_999, 1);
    let mut observer = redis.connection();
    let mut stored =
        |block: u32| cmd("STRLEN").arg(format!("{PREFIX}1:pi:digits:{block}")).query::<u64>(&mut observer).unwrap();
    eventually("the digits are stored", || (0..28).all(|block| stored(block) > 0));
    assert_eq!(stored(28), 0, "28 blocks are all");
    for blocks in [1, 28, 2_713] {
        let row = format!("| {} | {} |", grouped(blocks * 36_864), grouped(blocks * stored(0)));
        assert!(PAGE.contains(&row), "{row}");
    }
}

/// The text after `start` on the page, each time, up to the first character that is none of a name.
fn names(start: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    PAGE.match_indices(start).map(move |(at, _)| {
        let rest = &PAGE[at..];
        rest.split_at(rest.find(|c: char| !is_of_a_name(c)).unwrap_or(rest.len()))
    })
}

#[test]
fn the_metrics_are_those_of_the_program() {
    let service = Service::start("memory:");
    service.fib(10);
    let (_, metrics) = get(&service.admin_url("/metrics"));
    for (name, rest) in names("phipi_") {
        assert!(metrics.contains(&format!("# TYPE {name} ")), "{name}");
        let labels = rest.strip_prefix('{').map_or("", |labels| labels.split('}').next().unwrap());
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let label = if label.contains('=') { label.to_owned() } else { format!("{label}=\"") };
            let has_label = |row: &str| row.starts_with(name) && row.contains(&label);
            assert!(metrics.lines().any(has_label), "{name} has no {label}");
        }
    }
    for family in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = family.split(' ').next().unwrap();
        assert!(names(name).any(|(found, _)| found == name), "{name} is not on the page");
    }
}

#[test]
fn prometheus_takes_the_alerts() {
    let rules = PAGE.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("phipi.yaml");
    fs::write(&file, rules).unwrap();
    let check = Command::new("promtool").args(["check", "rules"]).arg(&file).output();
    let check = check.expect("promtool can't be started: install it (Debian: apt-get install prometheus)");
    assert!(check.status.success(), "{check:?}");
    let count = rules.matches("- alert:").count();
    assert!(String::from_utf8_lossy(&check.stdout).contains(&format!("{count} rules found")), "{check:?}");
}

#[test]
fn the_flags_and_variables_are_those_of_the_program() {
    let help = |arguments: &[&str]| String::from_utf8(program().args(arguments).output().unwrap().stdout).unwrap();
    let help = [&["--help"][..], &["warm", "--help"], &["check", "--help"]].map(help).concat();
    let known: BTreeSet<&str> = help.split([' ', '\n', '[', ']', ',']).collect();
    // Those of other programs are in lines that name them.
    let lines = PAGE.lines().filter(|line| !line.contains("redis-cli"));
    let words = lines.flat_map(|line| line.split([' ', '`', '(', ')', ',', ';', ':', '.']));
    let flags: BTreeSet<&str> = words.filter(|word| word.starts_with("--")).collect();
    assert!(flags.contains("--cache-password-file"), "flags are found: {flags:?}");
    for flag in flags {
        assert!(known.contains(flag), "{flag} is not a flag");
    }
    for text in [PAGE, include_str!("../../compose.yaml"), include_str!("../../Dockerfile")] {
        for word in text.split(|c: char| !c.is_ascii_uppercase() && c != '_') {
            assert!(!word.starts_with("PHIPI_") || help.contains(&format!("[env: {word}")), "{word} is not a variable");
        }
    }
}
