//! The README is true.

use std::process::Command;

use serde_json::{Value, json};

use crate::{
    redis_server::RedisServer,
    service::{Service, error, get, program},
};

const README: &str = include_str!("../../README.md");
const URL: &str = "http://127.0.0.1:8000";

/// The code blocks of a language, in order.
fn blocks(language: &str) -> Vec<&'static str> {
    README.split(&format!("```{language}\n")).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// Runs a line of the README in a shell, against a service of the test.
fn shell(line: &str, service: &Service) -> String {
    let output = Command::new("sh").arg("-c").arg(line.replace(URL, &service.url(""))).output().unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_query_has_the_answer_that_is_shown() {
    let service = Service::start("memory:");
    let query = blocks("sh").into_iter().find(|block| block.contains("/graphql")).unwrap();
    let shown = blocks("json")[0].trim();
    assert_eq!(shell(query, &service), shown);
    assert_eq!(shell(query, &service), shown.replace("false", "true"), "asked again, both are cached");
}

#[test]
fn the_lines_with_an_answer_have_that_answer() {
    let redis = RedisServer::start();
    let services = [Service::start(&redis.url()), Service::start(&redis.url())];
    let lines =
        blocks("sh").into_iter().flat_map(str::lines).filter(|line| line.starts_with("curl") && line.contains('#'));
    let mut count = 0;
    for (line, answer) in lines.filter_map(|line| line.split_once('#')) {
        let other = line.contains(":8002");
        let line = line.replace("http://127.0.0.1:8002", URL);
        let said = shell(&line, &services[usize::from(other)]);
        assert!(said.contains(answer.trim()) || said.replace("false", "true") == answer.trim(), "{line}: {said}");
        count += 1;
    }
    assert_eq!(count, 4);
}

#[test]
fn the_front_end_gets_what_it_logs() {
    let script = blocks("js")[0];
    let query = script.split('`').nth(1).unwrap();
    let variables = json!({"n": 10_000, "terms": 1_000_000});
    assert!(script.contains("variables: { n: 10000, terms: 1000000 }"));
    let answer = Service::start("memory:").post(&json!({"query": query, "variables": variables}));
    let logged =
        ["/data/fib/digitCount", "/data/fib/leading", "/data/pi/result"].map(|path| match answer.pointer(path) {
            Some(Value::String(text)) => text.clone(),
            other => other.unwrap().to_string(),
        });
    assert!(script.contains(&format!("// {}", logged.join(" "))), "{logged:?}");
}

#[test]
fn the_settings_are_those_of_the_program() {
    let help = String::from_utf8(program().arg("--help").output().unwrap().stdout).unwrap();
    let rows = README.lines().filter_map(|line| line.strip_prefix("| `--"));
    let settings: Vec<&str> = rows.map(|row| row.split([' ', '`']).next().unwrap()).collect();
    for flag in help.lines().filter_map(|line| line.trim().strip_prefix("--")) {
        let flag = flag.split(' ').next().unwrap();
        assert!(settings.contains(&flag), "--{flag} is not in the README");
    }
    for flag in settings {
        assert!(help.contains(&format!("--{flag} ")), "--{flag} is not a flag");
        let variable = format!("PHIPI_{}", flag.to_uppercase().replace('-', "_"));
        assert!(help.contains(&variable) && README.contains(&format!("`{variable}`")), "{variable}");
    }
    for default in ["127.0.0.1:8000", "127.0.0.1:8001", "phipi:", "10000000", "*", "text"] {
        assert!(
            help.contains(&format!("[default: {default}]")) && README.contains(&format!("| `{default}` |")),
            "{default}"
        );
    }
}

#[test]
fn the_paths_and_links_lead_somewhere() {
    let service = Service::start("memory:");
    for path in ["/schema.graphql", "/fib/10", "/pi/1000"] {
        assert!(README.contains(path));
        assert_eq!(get(&service.url(path)).0, 200, "{path}");
    }
    for path in ["/livez", "/readyz"] {
        assert!(README.contains(path));
        assert_eq!(get(&service.admin_url(path)).0, 200, "{path}");
    }
    let links = README.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    for link in links.filter(|link| !link.starts_with("https:")) {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(link);
        assert!(file.exists(), "{link}");
    }
}

#[test]
fn the_limits_are_those_of_the_program() {
    let service = Service::start("memory:");
    let aliases = |fields: usize| (0..fields).map(|k| format!("a{k}: __typename ")).collect::<String>();
    let beyond = [
        (format!("{{ __typename #{} \n}}", "x".repeat(131_072)), "131,072 bytes"),
        (format!("{{ {} }}", aliases(1_400)), "4,000 tokens"),
        (format!("{}x{}", "{a".repeat(30), "}".repeat(30)), "24 levels"),
        (format!("{{ {} }}", "__typename ".repeat(1_001)), "1,000 selections"),
        (format!("{{ {} }}", aliases(101)), "100 aliases"),
        (format!("{{ {} }}", "__typename @skip(if: true) ".repeat(101)), "100 directives"),
        (
            "{ a: fib(n: 10000000) { n } b: fib(n: 9999999) { n } c: fib(n: 9999998) { n } d: fib(n: 9999997) { n } \
            e: fib(n: 30) { n } }"
                .into(),
            "8,359,508",
        ),
    ];
    for (document, limit) in beyond {
        assert!(README.contains(limit), "{limit}");
        let answer = service.query(&document);
        let (code, message) = error(&answer);
        assert_eq!(code, "QUERY_TOO_COMPLEX", "{limit}: {message}");
        assert!(message.contains(&limit.replace(',', "")), "{limit}: {message}");
    }
    let long = service.post(&json!({"query": " ".repeat(1_048_577)}));
    assert!(README.contains("1,048,576 bytes"));
    assert_eq!(error(&long), ("BAD_REQUEST", "the body is longer than 1048576 bytes"));
}
