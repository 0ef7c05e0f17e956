//! The README and the reference are true.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
};

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::{
    oracle::fibonacci,
    service::{Service, error, get, program},
};

const README: &str = include_str!("../../README.md");
const REFERENCE: &str = include_str!("../../docs/reference.md");
const URL: &str = "http://127.0.0.1:8000";

/// The code blocks of a page in a language, in order.
fn blocks(page: &'static str, language: &str) -> Vec<&'static str> {
    page.split(&format!("```{language}\n")).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// Runs a line of the README in a shell, against a service of the test.
fn shell(line: &str, service: &Service) -> String {
    let output = Command::new("sh").arg("-c").arg(line.replace(URL, &service.url(""))).output().unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_queries_have_the_answers_that_are_shown() {
    let service = Service::start("memory:");
    let queries = blocks(README, "sh").into_iter().filter(|block| block.contains("/graphql"));
    let shown = blocks(README, "json");
    let mut count = 0;
    for (query, shown) in queries.zip(&shown) {
        assert_eq!(shell(query, &service), shown.trim());
        assert_eq!(shell(query, &service), shown.trim().replace("false", "true"), "asked again, all are cached");
        count += 1;
    }
    assert_eq!((count, shown.len()), (2, 2));
}

#[test]
fn the_lines_with_an_answer_have_that_answer() {
    let service = Service::start("memory:");
    for query in blocks(README, "sh").concat().split('"').filter(|text| text.starts_with("{ ")) {
        service.query(query);
    }
    let lines = [README, REFERENCE].into_iter().flat_map(|page| blocks(page, "sh")).flat_map(str::lines);
    let asked = lines.filter(|line| line.contains(URL)).filter_map(|line| line.split_once('#'));
    let mut count = 0;
    for (line, answer) in asked.filter(|(line, _)| line.starts_with("curl")) {
        assert_eq!(shell(line, &service).trim(), answer.trim(), "{line}");
        count += 1;
    }
    assert_eq!(count, 7);
    let printed = String::from_utf8(program().args(["fib", "1000000"]).output().unwrap().stdout).unwrap();
    assert!(README.contains("-- fib 1000000 ") && README.contains("# its 208,988 digits"));
    assert!(README.contains("-- pi-digits 1000 ") && README.contains("# 3.14159…, cut and not rounded"));
    assert_eq!(printed.trim_end().len(), 208_988);
}

/// The steps that share a cache, as a reader pastes them, but with the program of the test and on free ports.
#[test]
fn the_steps_of_sharing_work_when_they_are_pasted() {
    let block = blocks(README, "sh").into_iter().find(|block| block.contains("redis-server")).unwrap();
    let folder = tempdir().unwrap();
    let (bin, release) = (folder.path().join("bin"), folder.path().join("target/release"));
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(&release).unwrap();
    symlink(program().get_program(), release.join("phipi")).unwrap();
    fs::write(bin.join("cargo"), "#!/bin/sh\n[ \"$*\" = 'build --release' ]\n").unwrap();
    fs::set_permissions(bin.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();

    let ports = ["6390", "8100", "8101", "8102", "8103"];
    let free = ports.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let mut steps = block.to_owned();
    for (port, free) in ports.iter().zip(&free) {
        assert!(steps.contains(port), "{port}");
        steps = steps.replace(port, &free.local_addr().unwrap().port().to_string());
    }
    drop(free);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    // `set -e` stops at the first step that fails, where a reader would.
    let output = Command::new("bash").args(["-ec", &steps]).current_dir(&folder).env("PATH", path).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<&str> =
        block.lines().filter_map(|line| line.split_once(" # ")).map(|(_, answer)| answer).collect();
    assert_eq!(answers, [r#""cached":false"#, r#""cached":true"#]);
    let (first, second) = (said.find(answers[0]).expect("an answer"), said.find(answers[1]).expect("an answer"));
    assert!(first < second && said.contains(&fibonacci(300)), "{said}");
}

#[test]
fn the_readme_is_short() {
    assert!(README.lines().count() <= 110 && README.split_whitespace().count() <= 900);
}

#[test]
fn every_code_is_explained() {
    let codes = include_str!("../../src/graphql/code.rs");
    let names: Vec<&str> = codes
        .split('"')
        .filter(|text| text.len() > 5 && text.chars().all(|one| one == '_' || one.is_ascii_uppercase()))
        .collect();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        assert!(REFERENCE.contains(&format!("\n| `{name}` | ")), "{name}");
    }
}

#[test]
fn the_front_end_gets_what_it_logs() {
    let script = blocks(REFERENCE, "js")[0];
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
    let rows = REFERENCE.lines().filter_map(|line| line.strip_prefix("| `--"));
    let settings: Vec<&str> = rows.map(|row| row.split([' ', '`']).next().unwrap()).collect();
    for flag in help.lines().filter_map(|line| line.trim().strip_prefix("--")) {
        let flag = flag.split(' ').next().unwrap();
        assert!(settings.contains(&flag), "--{flag} is not in the reference");
    }
    for flag in settings {
        assert!(help.contains(&format!("--{flag} ")), "--{flag} is not a flag");
        let variable = format!("PHIPI_{}", flag.to_uppercase().replace('-', "_"));
        assert!(help.contains(&variable) && REFERENCE.contains(&format!("`{variable}`")), "{variable}");
    }
    for default in ["127.0.0.1:8000", "127.0.0.1:8001", "phipi:", "10000000", "1000000", "*", "text", "info"] {
        assert!(
            help.contains(&format!("[default: {default}]")) && REFERENCE.contains(&format!("| `{default}` |")),
            "{default}"
        );
    }
}

#[test]
fn the_paths_and_links_lead_somewhere() {
    let service = Service::start("memory:");
    for path in ["/schema.graphql", "/fib/10", "/pi/1000", "/fib?from=10&count=2", "/pi/digits?from=762&count=6"] {
        assert!(REFERENCE.contains(path));
        assert_eq!(get(&service.url(path)).0, 200, "{path}");
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        assert!(REFERENCE.contains(path));
        assert_eq!(get(&service.admin_url(path)).0, 200, "{path}");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = ["docs/architecture.md", "docs/reference.md", "docs/operating.md", "docs/faults.md"];
    for page in docs.into_iter().chain(["README.md", "examples/clients/README.md"]) {
        let text = fs::read_to_string(root.join(page)).unwrap();
        let links = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
        for link in links.filter(|link| !link.starts_with("https:")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let path = if file.is_empty() { root.join(page) } else { root.join(page).parent().unwrap().join(file) };
            assert!(path.exists(), "{page}: {link}");
            let is_heading = |line: &str| anchor(line.trim_start_matches('#')) == heading;
            let is_there = heading.is_empty()
                || fs::read_to_string(path).unwrap().lines().any(|line| line.starts_with('#') && is_heading(line));
            assert!(is_there, "{page}: {link}");
        }
    }
}

/// The anchor that a heading is linked by.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|one| one.is_alphanumeric() || matches!(one, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
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
        assert!(REFERENCE.contains(limit), "{limit}");
        let answer = service.query(&document);
        let (code, message) = error(&answer);
        assert_eq!(code, "QUERY_TOO_COMPLEX", "{limit}: {message}");
        assert!(message.contains(&limit.replace(',', "")), "{limit}: {message}");
    }
    let long = service.post(&json!({"query": " ".repeat(1_048_577)}));
    assert!(REFERENCE.contains("1,048,576 bytes"));
    assert_eq!(error(&long), ("BAD_REQUEST", "the body is longer than 1048576 bytes"));
}
