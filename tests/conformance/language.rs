//! phipi's GraphQL held against graphql-js: the same documents, by hand and at random, have to be judged alike.

use std::{path::Path, process::Command};

use crate::service::Service;

#[test]
fn graphql_js_judges_every_document_alike() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("tests/conformance/language");
    assert!(folder.join("node_modules").exists(), "run `npm ci` in {} first, as scripts/test does", folder.display());
    let service = Service::start("memory:");
    let mut suite = Command::new("node");
    suite.arg(folder.join("run.mjs")).arg(service.url("/graphql")).arg(root.join("schema.graphql"));
    let suite = suite.output().expect("node is installed, as scripts/test does");
    let told = String::from_utf8(suite.stdout).unwrap();
    println!("{told}");
    assert!(suite.status.success(), "they differ:\n{told}\n{}", String::from_utf8_lossy(&suite.stderr));
    let count = |what: &str| told.lines().find_map(|line| line.split_once(what)?.0.parse().ok()).unwrap_or(0);
    assert!(count(" introspections of the whole schema") >= 48, "{told}");
    assert!(count(" documents by hand") >= 1_000, "{told}");
    assert!(count(" random documents of seed ") >= 50_000, "{told}");
    assert!(told.ends_with("\n0 differences\n"), "{told}");
}
