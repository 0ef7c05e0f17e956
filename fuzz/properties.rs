//! Properties that hold for any bytes from outside.
//!
//! `corpus` keeps inputs of each target. The plain test `tests/fuzz.rs` tries these and mutations of them. The targets,
//! `request`, `document`, `grammar` and `entry`, let libFuzzer look for more: with `cargo fuzz run entry`, or without a nightly
//! compiler in this folder:
//!
//! ```sh
//! RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-pc-table \
//!   -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Ccodegen-units=1" \
//!   cargo run --release --target "$(rustc --print host-tuple)" --bin entry -- -max_total_time=60 found corpus/entry
//! ```
//!
//! Both need a C++ compiler (Debian's g++). Findings go to the folder `found`, which has to be there.

use std::{
    cell::LazyCell,
    convert::Infallible,
    sync::{Arc, LazyLock},
};

use async_graphql::parser::{Error, parse_query};
use phipi::{
    cache::Location,
    evaluator::{Evaluator, Limits},
    graphql::{Api, Batch, Code, Execution, Request, Response, Text},
    math::{
        Kernel,
        decimal::{Decimal, LIMB_BYTES},
        fib::{Index, evaluate, limb_count},
        pi_digits::Count,
        residue::Prime,
        rung::Rung,
    },
    workers::Workers,
};
use regex::Regex;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

/// One for all cases, so that each can be repeated.
static PRIME: LazyLock<Prime> = LazyLock::new(|| {
    let mut state = 7_u64;
    let Ok(prime) = Prime::draw(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Ok::<_, Infallible>(state ^ state >> 32)
    });
    prime
});

/// Above this index a value that is proven is not evaluated to compare it: that would take too long.
const COMPARED: u32 = 100_000;

/// The largest index that is answered: the time of an evaluation is not under test.
const MAX_N: u32 = 1_000;

thread_local! {
    static SERVER: LazyCell<(Runtime, Api)> = LazyCell::new(|| {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime starts");
        let max_n = Index::new(MAX_N).expect("this is an index");
        let limits = Limits { max_n, max_pi_digits: Count::new(1_000).expect("this is a count") };
        let workers = Arc::new(Workers::start(limits.work()).expect("threads start"));
        let entered = runtime.enter();
        let memory = Location::Memory { is_default: false };
        let evaluator = Evaluator::open(memory, String::new(), limits, workers, *PRIME).expect("memory opens");
        drop(entered);
        (runtime, Api::new(evaluator))
    });
}

/// The body of a request, and the text of a parameter of a URL. Every request has an answer.
///
/// # Panics
/// When that does not hold.
pub fn request(data: &[u8]) {
    if let Ok(batch) = Batch::from_json(data) {
        let requests = match batch {
            Batch::One(request) => vec![request],
            Batch::Many(requests) => requests,
        };
        assert!((1..=10).contains(&requests.len()), "a batch of {}", requests.len());
        answer(requests);
    }
    let Ok(text) = str::from_utf8(data) else { return };
    let document = || Some("query($n: Int) { fib(n: $n) { result } }".to_owned());
    for (variables, extensions) in [(Some(text), None), (None, Some(text))] {
        if let Ok(request) = Request::from_parameters(document(), None, variables, extensions) {
            answer(vec![request]);
        }
    }
}

/// The text of a document. Any text has an answer.
///
/// # Panics
/// When that does not hold.
pub fn document(data: &[u8]) {
    if let Ok(document) = str::from_utf8(data) {
        answer(vec![Request::new(document)]);
    }
}

/// The text of a document. It is taken for GraphQL if and only if the library's parser takes its tokens as [`respelled`]
/// spells them.
///
/// # Panics
/// When that does not hold.
pub fn grammar(data: &[u8]) {
    let Ok(document) = str::from_utf8(data) else { return };
    let respelled = tokens(document).and_then(|tokens| respelled(&tokens));
    if respelled == Err(Difference::Unjudged) {
        return;
    }
    let response = answer(vec![Request::new(document)]).remove(0);
    let text = String::from_utf8(Text::of_response(&response).into_pieces().concat()).expect("JSON is UTF-8");
    let is_taken = match response.refusal() {
        // It may be too much for the server all the same.
        Some(Code::QueryTooComplex) => return,
        Some(Code::ParseFailed) => false,
        // Definitions of types are told apart.
        _ => !text.contains("and can't define"),
    };
    let is_grammar = respelled.as_ref().is_ok_and(|text| !matches!(parse_query(text), Err(Error::Syntax { .. })));
    assert_eq!(is_taken, is_grammar, "{document:?} as {respelled:?}: {text}");
}

/// Why the library's parser is not asked.
#[derive(Debug, PartialEq)]
enum Difference {
    /// It takes what is not in the grammar.
    Lax,
    /// The right outcome is not known.
    Unjudged,
}

/// Matches ignored tokens and one token behind them; of a block string only its opening quotes.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    let ignored = r"(?:[ \t\n\r,\u{feff}]|#[^\n\r]*(?:[\n\r]|$))*";
    let string = r#""(?:[^"\\\n\r]|\\["\\/bfnrt])*""#;
    let number = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?";
    let token = r"\.\.\.|[!$&():=@\[\]{|}]|[_A-Za-z][_0-9A-Za-z]*";
    Regex::new(&format!(r#"^{ignored}(?:(?<token>{token})|(?<block>""")|(?<string>{string})|(?<number>{number})|$)"#))
        .expect("it is a regex")
});

/// The tokens of a document, where every string is `""` and every number 1. Escapes with numbers are not judged.
fn tokens(document: &str) -> Result<Vec<&str>, Difference> {
    let (mut rest, mut tokens) = (document, Vec::new());
    while !rest.is_empty() {
        let unknown = || if rest.contains(r"\u") { Difference::Unjudged } else { Difference::Lax };
        let found = TOKEN.captures(rest).ok_or_else(unknown)?;
        rest = &rest[found[0].len()..];
        if let Some(token) = found.name("token") {
            tokens.push(token.as_str());
        } else if found.name("string").is_some() {
            tokens.push(STRING);
        } else if found.name("block").is_some() {
            let end = rest.replace(r#"\""""#, "____").find(r#"""""#).ok_or(Difference::Lax)?;
            rest = &rest[end + 3..];
            tokens.push(STRING);
        } else if found.name("number").is_some() {
            if rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_' || next == '.') {
                return Err(Difference::Lax);
            }
            tokens.push("1");
        }
    }
    Ok(tokens)
}

const STRING: &str = "\"\"";

/// A document of these tokens in the spelling in which the library's parser is right. It differs from the grammar so:
///
/// - it needs no blanks between tokens, and takes none within types: they come with blanks, and types without;
/// - it takes the beginning of a name for a keyword: such names get another beginning;
/// - it knows no descriptions, which are left out;
/// - it takes `()`, and `on` as the name of a fragment;
/// - it wants the directives of a variable before its default, and takes variables in them: they are not judged.
fn respelled(tokens: &[&str]) -> Result<String, Difference> {
    let (mut text, mut depth, mut parentheses) = (String::new(), 0_usize, 0_usize);
    for (k, &token) in tokens.iter().enumerate() {
        let before = |distance: usize| k.checked_sub(distance).map_or("", |k| tokens[k]);
        let after = tokens.get(k + 1).copied().unwrap_or_default();
        match token {
            "@" if parentheses > 0 => return Err(Difference::Unjudged),
            "(" if after == ")" => return Err(Difference::Lax),
            "on" if before(1) == "fragment" && ["", "}", STRING].contains(&before(2)) && depth == 0 => {
                return Err(Difference::Lax);
            }
            "on" if before(1) == "..."
                && !after.starts_with(|next: char| next.is_ascii_alphabetic() || next == '_') =>
            {
                return Err(Difference::Lax);
            }
            STRING if depth == 0 && DESCRIBED.contains(&after) => continue,
            STRING if parentheses > 0 && after == "$" && !["=", ":"].contains(&before(1)) => continue,
            "{" | "[" | "(" => depth += 1,
            "}" | "]" | ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        match token {
            "(" => parentheses += 1,
            ")" => parentheses = parentheses.saturating_sub(1),
            _ => {}
        }
        if before(1) != "[" && !["]", "!"].contains(&token) {
            text.push(' ');
        }
        if KEYWORDS.iter().any(|keyword| token.starts_with(keyword) && token != *keyword) {
            text.push('x');
        }
        text.push_str(token);
    }
    Ok(text)
}

/// The keywords of definitions, which may have a description.
const DESCRIBED: [&str; 4] = ["query", "mutation", "subscription", "fragment"];

const KEYWORDS: [&str; 8] = ["query", "mutation", "subscription", "fragment", "on", "true", "false", "null"];

/// Executes requests, and looks at the form of the answers: data where something was executed, and otherwise errors
/// alone; each error with a code.
fn answer(requests: Vec<Request>) -> Vec<Response> {
    let count = requests.len();
    let execution = SERVER.with(|server| {
        let (runtime, api) = &**server;
        runtime.block_on(async {
            let prepared = api.prepare(requests, true).await;
            let bound = prepared.size().text;
            (api.execute(prepared).await, bound)
        })
    });
    let (Execution { responses, .. }, bound) = execution;
    let bytes: usize = responses.iter().map(executed_bytes).sum();
    assert!(bytes <= bound, "{bytes} bytes, where {bound} were expected at most");
    assert_eq!(responses.len(), count, "an answer to each");
    responses.iter().for_each(well_formed);
    responses
}

/// The length of the text of a response that was executed, with its errors.
fn executed_bytes(response: &Response) -> usize {
    if response.refusal().is_some() { 0 } else { Text::of_response(response).into_pieces().concat().len() }
}

fn well_formed(response: &Response) {
    let text = Text::of_response(response).into_pieces().concat();
    let json: Value = serde_json::from_slice(&text).expect("the answer is JSON");
    let errors = json.get("errors").map_or(&[][..], |errors| errors.as_array().expect("a list").as_slice());
    let is_executed = response.refusal().is_none();
    assert_eq!(json.get("data").is_some(), is_executed, "{json}");
    assert!(is_executed || !errors.is_empty(), "{json}");
    assert!(!response.is_immutable() || errors.is_empty(), "{json}");
    for error in errors {
        assert!(error["message"].is_string() && error["extensions"]["code"].is_string(), "{json}");
        assert_ne!(error["extensions"]["code"], "INTERNAL_SERVER_ERROR", "{json}");
    }
}

/// A number in four bytes, little-endian, and the stored form of F(n) or the rung with that number. A value that
/// decodes has no other form, and a proven one is true.
///
/// # Panics
/// When that does not hold.
pub fn entry(data: &[u8]) {
    let Some((number, bytes)) = data.split_first_chunk() else { return };
    let number = u32::from_le_bytes(*number);
    value(number, bytes);
    rung(number, bytes);
}

fn value(number: u32, bytes: &[u8]) {
    // As many limbs as there are bytes for, so that bytes of any length may be decoded.
    if let Some(value) = Decimal::from_bytes(bytes, bytes.len() / LIMB_BYTES) {
        let mut again = Vec::new();
        value.write_bytes(&mut again);
        assert_eq!(again, bytes, "one form for each number");
        assert_eq!(value.to_string().len(), value.digit_count());
        assert_eq!(value.leading(20).len(), value.trailing(20).len());
    }
    let Some(n) = Index::new(number) else { return };
    if let Some(value) = Decimal::from_bytes(bytes, limb_count(n))
        && PRIME.proves(n, &value)
        && number <= COMPARED
    {
        assert_eq!(value, evaluate(n, Kernel::best(), &mut |_| ()), "what is proven is F({number})");
    }
}

fn rung(number: u32, bytes: &[u8]) {
    let Some(rung) = Rung::from_bytes(number, bytes) else { return };
    assert_eq!(rung.to_bytes(), bytes, "one form for each rung");
    assert_eq!(Rung::stored_bytes(number), bytes.len());
    let first = number * Rung::SPACING;
    if rung.is_proven_by(&PRIME) && first <= COMPARED {
        assert_eq!(Rung::proven(number, &PRIME).as_ref(), Some(&rung), "what is proven is rung {number}");
    }
    for n in [first, first + 1, first + Rung::SPACING - 1, first + Rung::SPACING] {
        let value = Index::new(n).and_then(|n| rung.read(n));
        assert_eq!(value.is_some(), n < first + Rung::SPACING && n <= Index::MAX.get(), "F({n}) of rung {number}");
    }
}
