//! The example clients do what their README says, and the schema keeps serving clients.

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Output},
};

use crate::service::{Service, eventually};

const README: &str = include_str!("../../examples/clients/README.md");
const SCHEMA: &str = include_str!("../../schema.graphql");

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The code blocks of the README in a language, in order.
fn blocks(language: &str) -> Vec<&'static str> {
    README.split(&format!("```{language}\n")).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// Runs a client as the README does. The commands between the first and the last, which install and build, are those of
/// scripts/test, whose folders this finds.
fn run(block: &str, service: &Service) -> Output {
    let lines: Vec<&str> = block.lines().collect();
    let folder = lines[0].strip_prefix("cd ").unwrap();
    let command = lines.last().unwrap().replace("http://127.0.0.1:8000", &service.url(""));
    let python = root().join("target/python/bin");
    assert!(python.exists(), "install what the clients need first, as scripts/test does");
    let path = env::join_paths([python].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap()))).unwrap();
    Command::new("sh")
        .args(["-c", &command])
        .current_dir(root().join("examples/clients").join(folder))
        .env("PATH", path)
        .env("CARGO_TARGET_DIR", root().join("target/clients"))
        .output()
        .unwrap()
}

#[test]
fn every_client_prints_what_is_shown() {
    let shown = blocks("text")[0];
    let clients = blocks("sh");
    assert_eq!(clients.len(), 4);
    for client in clients {
        let service = Service::start("memory:");
        for shown in [shown, &shown.replace("false", "true")] {
            let output = run(client, &service);
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(String::from_utf8_lossy(&output.stdout), shown, "{client}\n{told}");
            assert!(output.status.success(), "{client}\n{told}");
        }
        // Both values in one request, each time.
        eventually("both requests are logged", || service.requests().len() == 2);
        let requests = service.requests();
        assert!(requests.iter().all(|line| line.contains("operation=fib_and_pi")), "{requests:?}");
    }
}

#[test]
fn a_client_gets_one_value_and_the_error_of_the_other() {
    for client in blocks("sh") {
        let output = run(&client.replace(" 213 ", " 10000001 "), &Service::start("memory:"));
        let shown = blocks("text")[0].lines().last().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), shown, "{client}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("n must be a whole number from 0 to 10000000, but it is 10000001"), "{client}\n{told}");
        assert!(!output.status.success(), "{client}");
    }
}

#[test]
fn a_client_without_arguments_says_how_it_is_used() {
    let service = Service::start("memory:");
    for client in blocks("sh") {
        for arguments in ["", " http://127.0.0.1:8000 many 1000"] {
            let output = run(&client.replace(" http://127.0.0.1:8000 213 1000", arguments), &service);
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && told.contains("usage: ") && told.contains(" URL N TERMS"), "{told}");
            assert!(!told.contains("Traceback") && output.stdout.is_empty(), "{told}");
        }
    }
}

/// The report on a schema that follows the one of today, and whether it is accepted.
fn following(later: &str) -> (String, bool) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("later.graphql");
    fs::write(&file, later).unwrap();
    let script = root().join("tests/clients/schema-diff.mjs");
    let output = Command::new("node").args([script, root().join("schema.graphql"), file]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (String::from_utf8(output.stdout).unwrap(), output.status.success())
}

#[test]
fn a_schema_that_breaks_clients_is_told_from_one_that_does_not() {
    assert_eq!(following(SCHEMA), (String::new(), true));
    let field = "  digitCount: Int!\n";
    assert!(SCHEMA.contains(field));
    let (told, is_accepted) = following(&SCHEMA.replace(field, &format!("{field}  isEven: Boolean!\n")));
    assert!(is_accepted && told.contains("NON_BREAKING: Field 'isEven' was added"), "{told}");
    let (told, is_accepted) = following(&SCHEMA.replace(field, "  digits: Int!\n"));
    assert!(!is_accepted && told.contains("BREAKING: Field 'digitCount' was removed"), "{told}");
}
