//! The pages: as they are served, and in a browser.

use std::{io::Read, process::Command};

use crate::service::{Service, alone, getting};

const BROTLI: (&str, &str) = ("Accept-Encoding", "gzip, br");
const HTML: (&str, &str) = ("Accept", "text/html");

#[test]
fn files_are_sent_as_they_are_kept_or_as_they_were() {
    let service = Service::start("memory:");
    for (path, title) in [("/", "<title>"), ("/graphql", "<title>")] {
        let (status, head, compressed) = getting(&service.url(path), &[BROTLI, HTML]);
        assert_eq!(
            (status, &head["content-encoding"], &head["cache-control"]),
            (200, &"br".parse().unwrap(), &"no-cache".parse().unwrap())
        );
        let mut text = String::new();
        brotli::Decompressor::new(&*compressed, 4096).read_to_string(&mut text).unwrap();
        assert!(text.contains(title), "{text}");
        let (_, plain_head, plain) = getting(&service.url(path), &[("Accept-Encoding", "identity"), HTML]);
        assert_eq!((plain, plain_head.get("content-encoding")), (text.clone().into_bytes(), None), "{path}");
        assert_ne!(head["etag"], plain_head["etag"]);
        let tag = head["etag"].to_str().unwrap();
        assert_eq!(getting(&service.url(path), &[BROTLI, HTML, ("If-None-Match", tag)]).0, 304);

        let script = text.split('"').find(|word| word.starts_with("/assets/") && word.contains(".js")).unwrap();
        let (status, head, _) = getting(&service.url(script), &[BROTLI]);
        assert_eq!((status, &head["content-type"]), (200, &"text/javascript; charset=utf-8".parse().unwrap()));
        assert_eq!(head["cache-control"], "public, max-age=31536000, immutable");
        assert!(head["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    }
    for path in ["/assets/nothing.js", "/assets/", "/assets/..%2Findex.html"] {
        assert_eq!(getting(&service.url(path), &[]).0, 404, "{path}");
    }
}

#[test]
fn the_pages_work_in_a_browser() {
    let _alone = alone();
    let service = Service::start("memory:");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/web/tests/pages.mjs");
    let output = Command::new("node").arg(script).arg(service.url("")).output().unwrap();
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "install what it needs first, as scripts/test does: {said}{told}");
}
