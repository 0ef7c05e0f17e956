//! GraphQL over HTTP, checked by the audits of its specification.

use std::{path::Path, process::Command};

use crate::service::Service;

#[test]
fn every_audit_of_graphql_over_http_is_met() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audits");
    assert!(folder.join("node_modules").exists(), "run `npm ci` in tests/audits first, as scripts/test does");
    let service = Service::start("memory:");
    let audits = Command::new("node").arg(folder.join("audit.mjs")).arg(service.url("/graphql")).output();
    let audits = audits.expect("node is installed, as scripts/test does");
    let told = String::from_utf8(audits.stdout).unwrap();
    let unmet: Vec<&str> = told.lines().filter(|line| !line.starts_with("ok ")).collect();
    let is_met = unmet == ["61 of 61"] && audits.status.success();
    assert!(is_met, "not met:\n{}\n{}", unmet.join("\n"), String::from_utf8_lossy(&audits.stderr));
}
