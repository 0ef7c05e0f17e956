//! The pages: as they are served, and in a browser.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

use ureq::Agent;

use crate::{
    browser::{LIMIT, check_pages},
    service::{Service, alone, client, getting},
};

const BROTLI: (&str, &str) = ("Accept-Encoding", "gzip, br");
/// As browsers ask over plain HTTP, unless they ask their own machine.
const GZIP: (&str, &str) = ("Accept-Encoding", "gzip, deflate");
const IDENTITY: (&str, &str) = ("Accept-Encoding", "identity");
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
        let (_, plain_head, plain) = getting(&service.url(path), &[IDENTITY, HTML]);
        assert_eq!((plain, plain_head.get("content-encoding")), (text.clone().into_bytes(), None), "{path}");
        assert_ne!(head["etag"], plain_head["etag"]);
        let tag = head["etag"].to_str().unwrap();
        assert_eq!(getting(&service.url(path), &[BROTLI, HTML, ("If-None-Match", tag)]).0, 304);

        let script = text.split('"').find(|word| word.starts_with("./assets/") && word.contains(".js")).unwrap();
        let (status, head, _) = getting(&service.url(script.trim_start_matches('.')), &[BROTLI]);
        assert_eq!((status, &head["content-type"]), (200, &"text/javascript; charset=utf-8".parse().unwrap()));
        assert_eq!(head["cache-control"], "public, max-age=31536000, immutable");
        assert!(head["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    }
    for path in ["/assets/nothing.js", "/assets/", "/assets/..%2Findex.html", "/assets/%FF"] {
        assert_eq!(getting(&service.url(path), &[]).0, 404, "{path}");
    }
}

#[test]
fn every_coding_carries_the_same_bytes() {
    let service = Service::start("memory:");
    for path in ["/", "/graphql", &largest_asset()] {
        let url = service.url(path);
        let answers = [BROTLI, GZIP, IDENTITY].map(|coding| getting(&url, &[coding, HTML]));
        let codings =
            answers.each_ref().map(|(_, head, _)| head.get("content-encoding").map(|name| name.to_str().unwrap()));
        assert_eq!(codings, [Some("br"), Some("gzip"), None], "{path}");
        let [brotli, gzip, plain] = answers.each_ref().map(|(_, _, body)| &body[..]);
        let (mut from_brotli, mut from_gzip) = (Vec::new(), Vec::new());
        brotli::Decompressor::new(brotli, 4096).read_to_end(&mut from_brotli).unwrap();
        flate2::read::GzDecoder::new(gzip).read_to_end(&mut from_gzip).unwrap();
        assert!(from_brotli == plain && from_gzip == plain, "{path}");

        let tags = answers.each_ref().map(|(_, head, _)| head.get("etag"));
        let is_page = path != largest_asset();
        assert_eq!(tags.iter().flatten().count(), if is_page { 3 } else { 0 }, "{path}");
        assert!(!is_page || tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
        for (coding, (_, head, body)) in [BROTLI, GZIP, IDENTITY].iter().zip(&answers) {
            assert_eq!(
                (&head["vary"], length(head)),
                (&"accept, accept-encoding".parse().unwrap(), body.len()),
                "{path}"
            );
            let answer = client().head(&url).header(coding.0, coding.1).header(HTML.0, HTML.1).call().unwrap();
            assert_eq!((answer.status().as_u16(), length(answer.headers())), (200, body.len()), "HEAD {path}");
            assert_eq!(answer.headers().get("content-encoding"), head.get("content-encoding"), "HEAD {path}");
        }
    }
}

#[test]
fn clients_that_do_not_read_share_the_bytes_of_a_file() {
    const CLIENTS: usize = 5;
    const ANSWERS: u32 = 20;
    // Room for the buffers of the connections, and for the file: 2.8 MB.
    const MEMORY_MB: u64 = 20;
    let service = Service::start("memory:");
    let path = largest_asset();
    let before_mb = service.memory_mb();
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| service.connect()).collect();
    clients.iter_mut().for_each(|client| ask_without_window(client, &path, ANSWERS));
    for client in &mut clients {
        let mut answers = 0;
        while answers < ANSWERS {
            let kind = next_frame(client);
            assert_ne!(kind, DATA, "the window is closed");
            answers += u32::from(kind == HEADERS);
        }
    }
    let held_mb = service.memory_mb().saturating_sub(before_mb);
    assert!(held_mb <= MEMORY_MB, "{} answers hold {held_mb} MB", CLIENTS * ANSWERS as usize);
}

/// Types of frames in HTTP/2 (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;

/// Asks for a path in identity, several times on one connection of HTTP/2, and lets no byte of a body come: the buffers
/// of the system would take whole bodies over HTTP/1.1.
fn ask_without_window(client: &mut TcpStream, path: &str, times: u32) {
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE is 0.
    sent.extend(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    // Names are of HPACK's static table (RFC 7541, appendix A): GET, http, :path, :authority, accept-encoding.
    let mut head = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    head.extend_from_slice(path.as_bytes());
    head.extend_from_slice(b"\x01\x05phipi\x0f\x01\x08identity");
    // END_STREAM and END_HEADERS, on the odd streams.
    (0..times).for_each(|number| sent.extend(frame(HEADERS, 5, 2 * number + 1, &head)));
    client.write_all(&sent).unwrap();
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Reads a frame, and returns its type.
fn next_frame(client: &mut TcpStream) -> u8 {
    let mut head = [0; 9];
    client.read_exact(&mut head).unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    client.read_exact(&mut vec![0; length as usize]).unwrap();
    head[3]
}

fn length(head: &ureq::http::HeaderMap) -> usize {
    head["content-length"].to_str().unwrap().parse().unwrap()
}

/// The path of the largest file that the pages are made of.
fn largest_asset() -> String {
    let built = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/web/dist/assets")).unwrap().map(Result::unwrap);
    let largest = built.max_by_key(|file| file.metadata().unwrap().len()).unwrap().file_name();
    let (name, _) = largest.to_str().unwrap().rsplit_once('.').unwrap();
    format!("/assets/{name}")
}

#[test]
fn the_pages_work_in_a_browser() {
    let _alone = alone();
    check_pages(&Service::start_with("memory:", &LIMIT).url("/"));
}

#[test]
fn no_address_in_a_page_begins_at_the_root() {
    let service = Service::start("memory:");
    for path in ["/", "/graphql"] {
        let (_, _, page) = getting(&service.url(path), &[IDENTITY, HTML]);
        let page = String::from_utf8(page).unwrap();
        let addresses = ["href=\"", "src=\""].map(|name| page.split(name).skip(1));
        let addresses: Vec<&str> =
            addresses.into_iter().flatten().map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(addresses.len() > 5, "{addresses:?}");
        for address in addresses {
            assert!(!address.starts_with('/') && !address.contains("//"), "{path}: {address}");
        }
    }
}

#[test]
fn a_slash_too_many_is_taken_away_below_any_path() {
    let service = Service::start("memory:");
    let agent: Agent = Agent::config_builder().max_redirects(0).http_status_as_error(false).build().into();
    for (asked, location) in [("/graphql/", "../graphql"), ("/graphql/?query={a}", "../graphql?query={a}")] {
        for answer in [agent.get(service.url(asked)).call(), agent.post(service.url(asked)).send("{}")] {
            let answer = answer.unwrap();
            let head = answer.headers();
            assert_eq!((answer.status().as_u16(), head["location"].to_str().unwrap()), (308, location), "{asked}");
            assert_eq!(head["cache-control"], "no-store");
        }
    }
}
