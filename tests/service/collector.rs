//! A collector of the test's own, which takes OTLP in protobuf over HTTP.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value},
    trace::v1::Span,
};
use prost::Message;

use crate::service::eventually;

/// The requests so far.
#[derive(Clone, Default)]
pub struct Collector {
    address: Option<SocketAddr>,
    requests: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    /// Listens on a free port.
    pub fn start() -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// Takes all that comes to this listener.
    pub fn listen(listener: TcpListener) -> Self {
        let collector = Self { address: Some(listener.local_addr().unwrap()), ..Self::default() };
        let requests = Arc::clone(&collector.requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                requests.lock().unwrap().push(taken(stream.unwrap()));
            }
        });
        collector
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address.unwrap())
    }

    /// All spans of a trace.
    pub fn trace(&self, id: &str) -> Vec<Span> {
        let requests = self.requests.lock().unwrap();
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        let spans = resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
        spans.filter(|span| hex(&span.trace_id) == id).cloned().collect()
    }

    /// Waits until a trace has a span of this name, and returns all that it has then.
    pub fn trace_with(&self, id: &str, name: &str) -> Vec<Span> {
        let has = |spans: &[Span]| spans.iter().any(|span| span.name == name);
        eventually(&format!("the collector has a span {name}"), || has(&self.trace(id)));
        self.trace(id)
    }

    /// The names of the services that sent spans.
    pub fn services(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        resources.map(|spans| attribute(&spans.resource.as_ref().unwrap().attributes, "service.name")).collect()
    }

    /// Everything that was sent, as text.
    pub fn text(&self) -> String {
        format!("{:?}", self.requests.lock().unwrap())
    }
}

/// An attribute, as text.
pub fn attribute(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key).and_then(|attribute| attribute.value.clone());
    match found {
        Some(AnyValue { value: Some(any_value::Value::StringValue(text)) }) => text,
        Some(AnyValue { value: Some(any_value::Value::IntValue(number)) }) => number.to_string(),
        Some(AnyValue { value: Some(any_value::Value::BoolValue(truth)) }) => truth.to_string(),
        other => panic!("{key} is {other:?}"),
    }
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One request to `/v1/traces`, answered as the specification asks.
fn taken(mut stream: TcpStream) -> ExportTraceServiceRequest {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "the head breaks off: {head}");
    }
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    let head = head.to_lowercase();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!(header("content-type:"), "application/x-protobuf");
    let mut body = vec![0; header("content-length:").parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    ExportTraceServiceRequest::decode(&body[..]).unwrap()
}
