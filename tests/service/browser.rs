//! The pages in a browser.

use std::process::Command;

/// The setting of a server whose pages are checked: no limit that a page could know by itself.
pub const LIMIT: [&str; 2] = ["--max-n", "6543210"];

/// Checks the pages of a server with that limit and an empty cache, whose explorer is at `url`.
pub fn check_pages(url: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/web/tests/pages.mjs");
    let output = Command::new("node").arg(script).arg(url).output().unwrap();
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "install what it needs first, as scripts/test does: {said}{told}");
}
