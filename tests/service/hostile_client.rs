//! A client without manners: it sends any bytes, and reports the outcome.

use std::{
    collections::BTreeSet,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::service::Service;

/// No refusal takes longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(10);

/// More is not read of an answer to a hostile request.
const READ_BYTES: u64 = 64 * 1024;

/// A message: a beginning, and perhaps a piece that is repeated, so that a long one takes no memory here.
pub struct Message {
    start: Vec<u8>,
    piece: Vec<u8>,
    times: usize,
}

impl Message {
    /// These bytes.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { start: bytes.into(), piece: Vec::new(), times: 0 }
    }

    /// A POST of a body of this type.
    pub fn typed(content_type: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let head = post_head(content_type, &format!("Content-Length: {}", body.len()));
        Self::raw([head.as_bytes(), body].concat())
    }

    /// A POST of JSON.
    pub fn json(body: impl AsRef<[u8]>) -> Self {
        Self::typed("application/json", body)
    }

    /// A document, by POST.
    pub fn document(document: &str) -> Self {
        Self::json(json!({"query": document}).to_string())
    }

    /// A document twice, in a batch.
    pub fn batch(document: &str) -> Self {
        Self::json(json!([{"query": document}, {"query": document}]).to_string())
    }

    /// A document in the query of a URL.
    pub fn get(document: &str) -> Self {
        let encoded: String = document.bytes().map(|byte| format!("%{byte:02X}")).collect();
        Self::raw(format!("GET /graphql?query={encoded} HTTP/1.1\r\nHost: phipi\r\nConnection: close\r\n\r\n"))
    }

    /// A document that the server is asked to keep under its hash.
    pub fn persisted(document: &str) -> Self {
        let hash: String = Sha256::digest(document).iter().map(|byte| format!("{byte:02x}")).collect();
        let extensions = json!({"persistedQuery": {"version": 1, "sha256Hash": hash}});
        Self::json(json!({"query": document, "extensions": extensions}).to_string())
    }

    /// A GET with these headers on top.
    pub fn with_headers(headers: &str) -> Self {
        let line = "GET /graphql?query=%7B__typename%7D HTTP/1.1\r\nHost: phipi\r\nConnection: close\r\n";
        Self::raw(format!("{line}{headers}\r\n"))
    }

    /// A POST that announces `bytes` bytes, and sends `pieces` of a megabyte.
    pub fn announced(bytes: &str, pieces: usize) -> Self {
        let start = post_head("application/json", &format!("Content-Length: {bytes}")).into_bytes();
        Self { start, piece: vec![b' '; 1_000_000], times: pieces }
    }

    /// A POST of `pieces` of a megabyte, and no announcement of their number.
    pub fn chunked(pieces: usize) -> Self {
        let start = post_head("application/json", "Transfer-Encoding: chunked").into_bytes();
        let piece = [format!("{:x}\r\n", 1_000_000).into_bytes(), vec![b' '; 1_000_000], b"\r\n".to_vec()].concat();
        Self { start, piece, times: pieces }
    }

    /// Sends the message to a server that may answer, and close, before it has read all.
    pub fn send(&self, service: &Service) -> Outcome {
        let begun = Instant::now();
        let stream = service.connect();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut answer = Vec::new();
        let end = thread::scope(|scope| {
            scope.spawn(|| self.write(&stream));
            let end = (&stream).take(READ_BYTES).read_to_end(&mut answer);
            // A write in progress is in vain.
            let _ = stream.shutdown(Shutdown::Both);
            end
        });
        let is_late = end.is_err_and(|error| [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()));
        Outcome::of(&answer, is_late, begun.elapsed())
    }

    fn write(&self, mut stream: &TcpStream) {
        let pieces = [&self.start].into_iter().chain((0..self.times).map(|_| &self.piece));
        // A server that has heard enough closes: its answer tells the rest.
        let _ = pieces.map(|piece| stream.write_all(piece)).find(Result::is_err);
    }
}

/// The outcome of a message.
pub struct Outcome {
    /// Of the answer; none when the server closed the connection without a word.
    pub status: Option<u16>,
    /// The codes of all errors, or `served`, or another outcome.
    pub codes: BTreeSet<String>,
    /// Length of the body.
    pub bytes: usize,
    pub took: Duration,
}

impl Outcome {
    fn of(answer: &[u8], is_late: bool, took: Duration) -> Self {
        let text = String::from_utf8_lossy(answer);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status: Option<u16> = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let codes = match (status, serde_json::from_str::<Value>(body)) {
            _ if is_late => BTreeSet::from(["no end".to_owned()]),
            (None, _) => BTreeSet::from(["closed".to_owned()]),
            (Some(_), Ok(Value::Array(answers))) if !answers.is_empty() => answers.iter().flat_map(codes).collect(),
            (Some(_), Ok(answer)) => codes(&answer),
            // The answer of the HTTP library, below GraphQL.
            (Some(status), Err(_)) => BTreeSet::from([status.to_string()]),
        };
        Self { status, codes, bytes: body.len(), took }
    }
}

/// The codes of the errors of an answer.
fn codes(answer: &Value) -> BTreeSet<String> {
    let code = |error: &Value| error["extensions"]["code"].as_str().unwrap_or("an error without a code").to_owned();
    match &answer["errors"] {
        Value::Array(errors) if !errors.is_empty() => errors.iter().map(code).collect(),
        Value::Null if answer["data"].is_object() => BTreeSet::from(["served".to_owned()]),
        _ => BTreeSet::from([format!("no answer: {answer:.40}")]),
    }
}

fn post_head(content_type: &str, length: &str) -> String {
    format!(
        "POST /graphql HTTP/1.1\r\nHost: phipi\r\nConnection: close\r\nContent-Type: {content_type}\r\n{length}\r\n\r\n"
    )
}

/// Connections whose clients never go on: a hundred each within the header, within the body, and before the first byte.
pub fn hold(service: &Service) -> Vec<TcpStream> {
    let body =
        "POST /graphql HTTP/1.1\r\nHost: phipi\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{\"que";
    let begun = ["GET /graphql HTTP/1.1\r\nHos", body, ""].into_iter().flat_map(|begun| [begun; 100]);
    let hold = |begun: &str| {
        let mut stream = service.connect();
        stream.write_all(begun.as_bytes()).unwrap();
        stream
    };
    begun.map(hold).collect()
}

/// Clients that are all connected before the first of them asks. Returns the time until all were answered.
pub fn gather_a_crowd(clients: usize, service: &Service) -> Duration {
    let begun = Instant::now();
    let mut crowd: Vec<TcpStream> = (0..clients).map(|_| service.connect()).collect();
    for stream in &mut crowd {
        let target = "/graphql?query=%7Bfib(n:5)%7Bresult%7D%7D";
        write!(stream, "GET {target} HTTP/1.1\r\nHost: phipi\r\nConnection: close\r\n\r\n").unwrap();
    }
    for mut stream in crowd {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with(r#"{"data":{"fib":{"result":"5"}}}"#), "one of a crowd was answered {answer:?}");
    }
    begun.elapsed()
}
