//! Hostile requests: each is refused with a code or served, at once, and nobody else is disturbed.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use ureq::Agent;

use crate::{
    hostile_client::{Message, Outcome, gather_a_crowd, hold},
    load::Ending,
    service::{Service, alone, client, eventually},
};

const COMPLEX: &str = "QUERY_TOO_COMPLEX";
const UNPARSED: &str = "GRAPHQL_PARSE_FAILED";
const INVALID: &str = "GRAPHQL_VALIDATION_FAILED";
const INPUT: &str = "BAD_USER_INPUT";
const UNRESOLVED: &str = "OPERATION_RESOLUTION_FAILURE";
const BAD: &str = "BAD_REQUEST";
const SERVED: &str = "served";
/// By the server, without an answer, where there is nobody to answer to.
const CLOSED: &str = "closed";

/// The fastest of three is done in this time, where the size allows it. A build that is not optimised is given more.
const AT_ONCE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 250 } else { 50 });
const REPETITIONS: usize = 3;

/// The longest answer to a hostile request.
const ANSWER_BYTES: usize = 4 * 1024;

/// The memory that the process may have gained in the end.
const MEMORY_MB: u64 = 50;

/// The longest wait of another client.
const NEIGHBOUR: Duration = Duration::from_secs(2);

/// The clients that are connected at once.
const CROWD: usize = 5_000;

/// A hostile request, and each outcome that fits it.
struct Row {
    name: String,
    message: Message,
    fits: &'static [&'static str],
    /// Its size allows no bound in time.
    is_huge: bool,
}

fn row(name: &str, message: Message, fits: &'static [&'static str]) -> Row {
    Row { name: name.to_owned(), message, fits, is_huge: false }
}

fn huge(name: &str, message: Message, fits: &'static [&'static str]) -> Row {
    Row { is_huge: true, ..row(name, message, fits) }
}

/// The pieces of the numbers 0 to `count` − 1, one after another.
fn each(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).map(piece).collect()
}

/// Fragments that spread to 2^`levels` times the content of the last of them.
fn bomb(levels: usize, on: &str, leaf: &str, operation: &str) -> String {
    let fragments = each(levels, |k| format!("fragment f{k} on {on} {{ ...f{0} ...f{0} }} ", k + 1));
    format!("{operation} {fragments} fragment f{levels} on {on} {{ {leaf} }}")
}

/// A way to send a document.
type Way = (&'static str, fn(&str) -> Message);

fn bombs() -> Vec<Row> {
    let ways: [Way; 4] = [
        ("POST", Message::document),
        ("GET", Message::get),
        ("batch", Message::batch),
        ("persisted", Message::persisted),
    ];
    let bombs = [12, 16, 20, 24, 28].into_iter().flat_map(|levels| {
        let document = bomb(levels, "Fibonacci", "n", "{ fib(n: 5) { ...f0 } }");
        // As many fields as a generous limit may allow.
        let fits: &[&str] = if levels == 12 { &[COMPLEX, SERVED] } else { &[COMPLEX] };
        ways.map(|(way, message)| row(&format!("fragment bomb of 2^{levels}, {way}"), message(&document), fits))
    });
    let of_queries = bomb(28, "Query", "pi(terms: 1) { terms }", "{ ...f0 }");
    let hollow = |selections: &str| {
        let fragments = each(21, |k| {
            format!("fragment f{k} on Query {{ {} }} ", selections.replace("NEXT", &format!("...f{}", k + 1)))
        });
        format!("{{ ...f0 }} {fragments} fragment f21 on Query {{ ...nothing }}")
    };
    let cycle = "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }";
    bombs
        .chain([
            row("fragment bomb of 2^28 on Query", Message::document(&of_queries), &[COMPLEX]),
            row(
                "fragment bomb that ends in nothing",
                Message::document(&hollow(&"NEXT ".repeat(4))),
                &[COMPLEX, INVALID],
            ),
            row(
                "inline fragments that end in nothing",
                Message::document(&hollow("...{NEXT} ...{NEXT}")),
                &[COMPLEX, INVALID],
            ),
            row("fragment cycle", Message::document(cycle), &[INVALID, COMPLEX]),
        ])
        .collect()
}

fn crowded_documents() -> Vec<Row> {
    let aliases = |count| format!("{{ {} }}", each(count, |k| format!("a{k}: __typename ")));
    let with = |row_name: &str, document: &str, fits| row(row_name, Message::document(document), fits);
    let included = "@include(if: true) ".repeat(10_000);
    vec![
        with("101 aliases", &aliases(101), &[COMPLEX]),
        with("10,000 aliases", &aliases(10_000), &[COMPLEX]),
        with(
            "10,000 aliases of fib",
            &format!("{{ {} }}", each(10_000, |k| format!("a{k}: fib(n: {k}) {{ n }} "))),
            &[COMPLEX],
        ),
        with("a field 10,000 times", &format!("{{ fib(n: 5) {{ {} }} }}", "n ".repeat(10_000)), &[COMPLEX, SERVED]),
        with(
            "a root field 10,000 times",
            &format!("{{ {} }}", "pi(terms: 1) { terms } ".repeat(10_000)),
            &[COMPLEX, SERVED],
        ),
        with("10,000 unknown fields", &format!("{{ {} }}", each(10_000, |k| format!("u{k} "))), &[COMPLEX, INVALID]),
        with(
            "10,000 directives on the operation",
            &format!("query {} {{ __typename }}", "@x ".repeat(10_000)),
            &[COMPLEX, INVALID],
        ),
        with(
            "10,000 directives on a field",
            &format!("{{ __typename {} }}", "@x ".repeat(10_000)),
            &[COMPLEX, INVALID],
        ),
        with("@include on a field 10,000 times", &format!("{{ __typename {included} }}"), &[COMPLEX, INVALID]),
        with("10,000 operations", &each(10_000, |k| format!("query q{k} {{ __typename }} ")), &[COMPLEX, UNRESOLVED]),
        with(
            "10,000 variables",
            &format!("query ({}) {{ __typename }}", each(10_000, |k| format!("$v{k}: Int "))),
            &[COMPLEX, INVALID],
        ),
    ]
}

fn deep() -> Vec<Row> {
    const DEPTH: usize = 100_000;
    let nested = |open: &str, inner: &str, close: &str| [&open.repeat(DEPTH), inner, &close.repeat(DEPTH)].concat();
    let variables = |value: &str| {
        Message::json(format!(r#"{{"query":"query ($n: Int!) {{ fib(n: $n) {{ n }} }}","variables":{{"n":{value}}}}}"#))
    };
    let list = format!("{{ fib(n: {}) {{ n }} }}", nested("[", "", "]"));
    let object = format!("{{ fib(n: {}) {{ n }} }}", nested("{a:", "1", "}"));
    let list_type = format!("query ($n: {}) {{ __typename }}", nested("[", "Int", "]"));
    vec![
        row("{ 100,000 deep", Message::document(&nested("{", "", "}")), &[COMPLEX, UNPARSED]),
        row("{ 100,000 deep, never closed", Message::document(&"{".repeat(DEPTH)), &[COMPLEX, UNPARSED]),
        row("selections 100,000 deep", Message::document(&nested("{a", "", "}")), &[COMPLEX, UNPARSED, INVALID]),
        row("( 100,000 deep", Message::document(&nested("{a(", "", ")}")), &[COMPLEX, UNPARSED]),
        row("[ 100,000 deep in an argument", Message::document(&list), &[COMPLEX, UNPARSED, INVALID]),
        row("objects 100,000 deep in an argument", Message::document(&object), &[COMPLEX, UNPARSED, INVALID]),
        row("[ 100,000 deep in a type", Message::document(&list_type), &[COMPLEX, UNPARSED, INVALID]),
        row("arrays 100,000 deep in a variable", variables(&nested("[", "", "]")), &[BAD, INPUT, COMPLEX]),
        row("objects 100,000 deep in a variable", variables(&nested(r#"{"a":"#, "1", "}")), &[BAD, INPUT, COMPLEX]),
        row("arrays 100,000 deep as the body", Message::json(nested("[", "", "]")), &[BAD]),
        row("objects 100,000 deep as the body", Message::json(nested(r#"{"a":"#, "1", "}")), &[BAD]),
    ]
}

/// Requests that use or ask for one thing many times.
fn multiplied() -> Vec<Row> {
    let fields = each(99, |k| format!("a{k}: leading(digits: $n) "));
    let list = format!("[{}1]", "1,".repeat(240_000));
    let used = |kind: &str, value: &str| {
        let document = format!("query ($n: {kind}) {{ fib(n: 5) {{ {fields} }} }}");
        Message::json(format!(r#"{{"query":"{document}","variables":{{"n":{value}}}}}"#))
    };
    let names = format!("query ($n: String!) {{ {} }}", each(99, |k| format!("a{k}: __type(name: $n) {{ name }} ")));
    let text = format!(r#"{{"query":"{names}","variables":{{"n":"{}"}}}}"#, "a".repeat(900_000));
    let unused = |values: String| Message::json(format!(r#"{{"query":"{{__typename}}","variables":{{{values}}}}}"#));
    let nested = format!("\"a\":[{}0]", format!("{}0{},", "[".repeat(110), "]".repeat(110)).repeat(4_000));
    let batch =
        |document: &str| Message::json(format!("[{}]", vec![format!(r#"{{"query":"{document}"}}"#); 10].join(",")));
    let wrapped = format!(
        "{{ __schema {{ types {{ fields {{ type {}{}{} }} }} }} }}",
        "{ ofType ".repeat(15),
        "{ name }",
        "}".repeat(15)
    );
    let described = wrapped
        .replace("type {", "type { ofType { fields { type {")
        .replace("{ name }", &format!("{{ {} }} }} }} }}", each(95, |k| format!("a{k}: description "))));
    let cyclic = format!(
        "{{ __schema {{ types {{ {}name{} }} }} }}",
        "fields { type { ofType { ofType { ofType { ".repeat(4),
        "} } } } } ".repeat(4)
    );
    let schemas = format!(
        "{{ {} }}",
        each(90, |k| format!("a{k}: __schema {{ types {{ name fields {{ name args {{ name }} }} }} }} "))
    );
    let long = "x".repeat(110_000);
    let fields = each(99, |k| format!("a{k}: fields(includeDeprecated: $b) {{ name }} "));
    let nulls = format!("query ($b: Boolean = false) {{ {long}: __type(name: \"Query\") {{ {fields} }} }}");
    let nulls = json!({"query": nulls, "variables": {"b": null}}).to_string();
    let negative = each(99, |k| format!("a{k}: leading(digits: -1) "));
    let negative = format!("{{ {long}: fib(n: 5) {{ {negative} }} }}");
    let fragment = format!("fragment f on Query {{ fib(n: [{}]) {{ n }} }}", each(900, |k| format!("$a{k} ")));
    let spread = fragment + &each(200, |k| format!(" query q{k} {{ ...f }}"));
    vec![
        row("a list of 240,000, used 99 times", used("[Int]", &list), &[INVALID, INPUT, COMPLEX]),
        row("a list of 240,000 for an Int, used 99 times", used("Int", &list), &[INVALID, INPUT, COMPLEX]),
        row(
            "a default list of 3,000, used 99 times",
            used(&format!("[Int] = [{}]", "1 ".repeat(3_000)), "1"),
            &[INVALID, COMPLEX],
        ),
        row("a text of 900 kB, used 99 times", Message::json(text), &[INPUT, COMPLEX]),
        row(
            "80,000 variables that are not used",
            unused(each(80_000, |k| format!("\"v{k}\":1,")) + "\"v\":1"),
            &[BAD, COMPLEX],
        ),
        row("lists of 1 MB that are not used", unused(nested), &[SERVED, INPUT, BAD]),
        row("descriptions of types of types", batch(&described), &[COMPLEX]),
        row("types of fields of types", batch(&cyclic), &[COMPLEX]),
        row("90 schemas", batch(&schemas), &[COMPLEX]),
        row("99 errors below an alias of 110 kB", Message::json(nulls), &[COMPLEX]),
        row("99 numbers out of range below an alias of 110 kB", Message::document(&negative), &[COMPLEX]),
        row("a wrong fragment of 200 operations", Message::document(&spread), &[INVALID]),
    ]
}

fn long_texts() -> Vec<Row> {
    let long = "a".repeat(1_000_000);
    let string = format!(r#"{{ fib(n: "{long}") {{ n }} }}"#);
    let block = format!(r#"{{ fib(n: """{long}""") {{ n }} }}"#);
    let body = |value: Value| Message::json(value.to_string());
    vec![
        row("field name of 1 MB", Message::document(&format!("{{ {long} }}")), &[COMPLEX, INVALID]),
        row("string of 1 MB", Message::document(&string), &[COMPLEX, INVALID]),
        row("block string of 1 MB", Message::document(&block), &[COMPLEX, INVALID]),
        row("comment of 1 MB", Message::document(&format!("{{ __typename }} #{long}")), &[COMPLEX, SERVED]),
        row(
            "operationName of 1 MB",
            body(json!({"query": "{__typename}", "operationName": long})),
            &[UNRESOLVED, COMPLEX, BAD],
        ),
        row(
            "variable of 1 MB",
            body(json!({"query": "query ($n: Int!) { fib(n: $n) { n } }", "variables": {"n": long}})),
            &[INPUT, COMPLEX, BAD],
        ),
        row("JSON key of 1 MB", body(json!({"query": "{__typename}", long.clone(): 1})), &[SERVED, COMPLEX, BAD]),
        row(
            "GET of 100 kB",
            Message::get(&format!("{{ __typename }} #{}", "a".repeat(33_000))),
            &["414", "431", BAD, COMPLEX, SERVED],
        ),
        huge("body of 100 MB, announced", Message::announced("100000000", 100), &[BAD, "413", CLOSED]),
        huge("body of 100 MB, in chunks", Message::chunked(100), &[BAD, "413", CLOSED]),
        row("10^15 bytes announced", Message::announced("1000000000000000", 0), &[BAD, "413", CLOSED]),
        row("10^40 bytes announced", Message::announced(&format!("1{}", "0".repeat(40)), 0), &[BAD, "400", CLOSED]),
        row("200 headers", Message::with_headers(&each(200, |k| format!("x-{k}: 1\r\n"))), &["431", BAD, CLOSED]),
        row("header of 1 MB", Message::with_headers(&format!("x: {long}\r\n")), &["431", BAD, CLOSED]),
    ]
}

fn malformed() -> Vec<Row> {
    let batch = |count| format!("[{}]", vec![r#"{"query":"{__typename}"}"#; count].join(","));
    let json = |name: &str, body: &[u8], fits| row(name, Message::json(body), fits);
    let encoded =
        |charset: &str| Message::typed(&format!("application/json; charset={charset}"), r#"{"query":"{__typename}"}"#);
    vec![
        json("a document in an array", br#"["{__typename}"]"#, &[BAD]),
        json("an array in an array", br#"[["{__typename}"]]"#, &[BAD]),
        json("a batch in a batch", br#"[[{"query":"{__typename}"}]]"#, &[BAD]),
        json("a batch of nothing", b"[]", &[BAD]),
        json("a batch of null", b"[null]", &[BAD]),
        json("11 operations", batch(11).as_bytes(), &[BAD, COMPLEX]),
        json("10,000 operations", batch(10_000).as_bytes(), &[BAD, COMPLEX]),
        row("charset utf-16", encoded("utf-16"), &[BAD]),
        row("charset latin1", encoded("iso-8859-1"), &[BAD]),
        json("latin1 bytes", b"{\"query\":\"{__typename} #\xE9\"}", &[BAD]),
        json("invalid UTF-8", b"{\"query\":\"{__typename} #\xC0\x80\xF5\"}", &[BAD]),
        json("a byte order mark", b"\xEF\xBB\xBF{\"query\":\"{__typename}\"}", &[BAD, SERVED]),
        json("UTF-16 with a byte order mark", b"\xFF\xFE{\0}\0", &[BAD]),
        json("lone surrogate in the document", br#"{"query":"{__typename} #\ud800"}"#, &[BAD, UNPARSED]),
        json(
            "lone surrogate in a variable",
            br#"{"query":"{__typename}","variables":{"a":"\udc00"}}"#,
            &[BAD, INPUT, SERVED],
        ),
        json(
            "lone surrogate in operationName",
            br#"{"query":"{__typename}","operationName":"\ud800"}"#,
            &[BAD, UNRESOLVED],
        ),
        json("NUL in the document", br#"{"query":"{__typename\u0000}"}"#, &[UNPARSED]),
        json("NUL in operationName", br#"{"query":"{__typename}","operationName":"\u0000"}"#, &[BAD, UNRESOLVED]),
        json("NUL in the body", b"{\"query\":\"{__typename}\0\"}", &[BAD]),
        row("NUL in a URL", Message::get("{__typename\0}"), &[UNPARSED]),
        row("NUL in a header", Message::with_headers("x: \0\r\n"), &["400", BAD, CLOSED]),
        row("no HTTP at all", Message::raw("\0\u{1}\u{2}\r\n\r\n"), &["400", BAD, CLOSED]),
    ]
}

fn numbers_and_costs() -> Vec<Row> {
    let digits = "9".repeat(100_000);
    let fib = |n: &str| Message::document(&format!("{{ fib(n: {n}) {{ n }} }}"));
    let variable = |n: &str| {
        Message::json(format!(r#"{{"query":"query ($n: Int!) {{ fib(n: $n) {{ n }} }}","variables":{{"n":{n}}}}}"#))
    };
    let longest = |count| each(count, |k| format!("a{k}: fib(n: {}) {{ cached }} ", 10_000_000 - k));
    let rendered = format!("{{ fib(n: 10000000) {{ {} }} }}", each(100, |k| format!("a{k}: result ")));
    vec![
        row("an integer of 100,000 digits", fib(&digits), &[INVALID, INPUT, UNPARSED, COMPLEX]),
        row("an exponent of 100,000 digits", fib(&format!("1e{digits}")), &[INVALID, INPUT, UNPARSED, COMPLEX]),
        row("2^63", fib("9223372036854775808"), &[INVALID, INPUT]),
        row("a variable of 100,000 digits", variable(&digits), &[BAD, INPUT, COMPLEX]),
        row("a variable of 1e400", variable("1e400"), &[BAD, INPUT]),
        row("five answers at max-n", Message::document(&format!("{{ {} }}", longest(5))), &[COMPLEX]),
        row("a hundred answers at max-n", Message::document(&format!("{{ {} }}", longest(100))), &[COMPLEX]),
        row("the longest result a hundred times", Message::document(&rendered), &[COMPLEX]),
    ]
}

#[test]
fn hostile_requests_are_refused_and_disturb_nobody() {
    let _alone = alone();
    let service = Service::start("memory:");
    // Only now, so that it is not the program's own limit that is raised.
    raise_the_limit_of_files();
    ask_as_a_neighbour(&service, &client());
    let before_mb = service.memory_mb();
    println!("{:<44}{:>8}  {:<28}{:>12}{:>10}", "request", "status", "code", "slowest, ms", "RSS, MB");
    let is_over = AtomicBool::new(false);
    let failures = thread::scope(|scope| {
        let neighbour = scope.spawn(|| be_a_neighbour(&service, &is_over));
        let ending = Ending(&is_over);
        let held = hold(&service);
        let sets = [bombs, crowded_documents, deep, multiplied, long_texts, malformed, numbers_and_costs];
        let rows = sets.into_iter().flat_map(|rows| rows());
        let mut failures: Vec<String> = rows.filter_map(|row| row.failure(&service)).collect();
        let (name, crowd) = (format!("{CROWD} connections at once"), gather_a_crowd(CROWD, &service));
        println!("{name:<44}{:>8}  {SERVED:<28}{:>12}{:>10}", 200, crowd.as_millis(), service.memory_mb());
        drop((held, ending));
        let slowest = neighbour.join().unwrap();
        if slowest > NEIGHBOUR {
            failures.push(format!("another client waited for {slowest:?}"));
        }
        failures
    });
    assert!(failures.is_empty(), "{failures:#?}");
    eventually("the memory is given back", || service.memory_mb() <= before_mb + MEMORY_MB);
}

impl Row {
    /// Sends the request, prints its line of the table, and returns the fault of the outcome, if there is one.
    fn failure(&self, service: &Service) -> Option<String> {
        let repetitions = if self.is_huge { 1 } else { REPETITIONS };
        let mut outcomes: Vec<Outcome> = Vec::new();
        // A harmful request may hurt more the second time.
        while outcomes.len() < repetitions && outcomes.iter().all(|outcome| self.fits(outcome)) {
            outcomes.push(self.message.send(service));
        }
        let last = outcomes.last()?;
        let (name, codes) = (&self.name, last.codes.iter().map(String::as_str).collect::<Vec<_>>().join(" "));
        let status = last.status.map_or("none".to_owned(), |status| status.to_string());
        let slowest = outcomes.iter().map(|outcome| outcome.took).max()?.as_micros().div_ceil(100);
        let slowest = format!("{}.{}", slowest / 10, slowest % 10);
        println!("{name:<44}{status:>8}  {codes:<28}{slowest:>12}{:>10}", service.memory_mb());
        if !self.fits(last) {
            return Some(format!("{name}: {status} {codes} in {} bytes, not one of {:?}", last.bytes, self.fits));
        }
        let fastest = outcomes.iter().map(|outcome| outcome.took).min()?;
        (fastest > AT_ONCE && !self.is_huge).then(|| format!("{name}: {fastest:?} at best"))
    }

    fn fits(&self, outcome: &Outcome) -> bool {
        outcome.codes.iter().all(|code| self.fits.contains(&&**code)) && outcome.bytes <= ANSWER_BYTES
    }
}

/// As many as an operator gives; the test needs a connection and a few files for each of the crowd.
pub fn raise_the_limit_of_files() {
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard }).unwrap();
    assert!(hard.is_none_or(|hard| hard > 6_000), "too few files for the crowd: raise the hard limit (ulimit -Hn)");
}

/// Asks a usual question, and returns the time that it took.
fn ask_as_a_neighbour(service: &Service, agent: &Agent) -> Duration {
    let begun = Instant::now();
    let question = json!({"query": "{ fib(n: 213) { result } pi(terms: 1000) { result } }"});
    let answer = service.post_by(agent, &question).unwrap();
    let expected = r#"{"data":{"fib":{"result":"146178119651438213260386312206974243796773058"},"pi":{"result":3.1406380562059932}}}"#;
    assert_eq!(answer, serde_json::from_str::<Value>(expected).unwrap());
    begun.elapsed()
}

/// Asks again and again until it is over, and returns the longest time that it had to wait.
fn be_a_neighbour(service: &Service, is_over: &AtomicBool) -> Duration {
    let agent = client();
    let mut slowest = Duration::ZERO;
    while !is_over.load(Ordering::Relaxed) {
        slowest = slowest.max(ask_as_a_neighbour(service, &agent));
        // A client, not a load.
        sleep(Duration::from_millis(10));
    }
    slowest
}
