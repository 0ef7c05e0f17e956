//! The collector that spans are sent to: OTLP in protobuf over plain HTTP.
//!
//! Nothing waits for it. Spans are gathered by a thread of the SDK's, which drops them when more come than are taken.

use std::{
    fmt::Display,
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use async_trait::async_trait;
use axum::http::{HeaderValue, Uri, header::HOST, uri::Scheme};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use thiserror::Error;
use tokio::{net::TcpStream, runtime::Handle, time::timeout};

use crate::telemetry::events;

/// The timeout of a collector for one export, which is up to 512 spans.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest answer of a collector that is read.
const ANSWER_BYTES: usize = 64 * 1024;

/// Why spans can't be sent.
#[derive(Debug, Error)]
pub enum CollectorError {
    /// It is not the URL of a collector.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT is not the URL of a collector: write one like http://127.0.0.1:4318")]
    NoUrl,
    /// It asks for TLS, which is not supported.
    #[error(
        "OTEL_EXPORTER_OTLP_ENDPOINT asks for TLS: spans are sent over plain HTTP alone; name a collector beside phipi, \
         like http://127.0.0.1:4318, which sends them on"
    )]
    Tls,
    /// One of the other variables that OpenTelemetry defines is wrong.
    #[error("spans can't be exported: {0}; look at the variables whose names begin with OTEL_")]
    Settings(String),
}

/// Where spans are sent, and in whose name.
#[derive(Clone, Debug)]
pub struct Collector {
    /// Where it takes traces.
    traces: Uri,
    host: String,
    port: u16,
    service: String,
}

impl FromStr for Collector {
    type Err = CollectorError;

    /// Reads the URL below which a collector takes OTLP.
    fn from_str(url: &str) -> Result<Self, CollectorError> {
        let base: Uri = url.parse().map_err(|_| CollectorError::NoUrl)?;
        if base.scheme() == Some(&Scheme::HTTPS) {
            return Err(CollectorError::Tls);
        }
        let authority = base.authority().filter(|authority| !authority.as_str().contains('@'));
        let host = authority.map(|authority| authority.host().trim_matches(['[', ']']).to_owned());
        if base.scheme() != Some(&Scheme::HTTP) || base.query().is_some() {
            return Err(CollectorError::NoUrl);
        }
        let traces = format!("{}/v1/traces", url.trim_end_matches('/'));
        Ok(Self {
            traces: traces.parse().map_err(|_| CollectorError::NoUrl)?,
            host: host.filter(|host| !host.is_empty()).ok_or(CollectorError::NoUrl)?,
            port: base.port_u16().unwrap_or(80),
            service: "phipi".into(),
        })
    }
}

impl Collector {
    /// With spans in the name of this service.
    #[must_use]
    pub fn named(self, service: String) -> Self {
        Self { service, ..self }
    }

    /// Begins to gather and to send.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(super) fn open(self) -> Result<SdkTracerProvider, CollectorError> {
        let resource = Resource::builder().with_service_name(self.service.clone()).build();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(self.traces.to_string())
            .with_http_client(Courier { collector: self, runtime: Handle::current(), is_away: AtomicBool::new(false) })
            .build()
            .map_err(|error| CollectorError::Settings(error.to_string()))?;
        Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
    }

    /// Sends a request over a connection of its own: there is one every few seconds.
    async fn send(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let stream = TcpStream::connect((self.host, self.port)).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the answer; an error shows there.
        tokio::spawn(connection);
        let (mut head, body) = request.into_parts();
        let (host, path) = (head.uri.authority().map(ToString::to_string), head.uri.path_and_query().cloned());
        head.headers.insert(HOST, HeaderValue::try_from(host.unwrap_or_default())?);
        head.uri = path.map(Uri::from).unwrap_or_default();
        let response = sender.send_request(Request::from_parts(head, Full::new(body))).await?;
        let (head, body) = response.into_parts();
        Ok(Response::from_parts(head, Limited::new(body, ANSWER_BYTES).collect().await?.to_bytes()))
    }
}

/// Takes spans to the collector on the runtime, and reports when that fails.
#[derive(Debug)]
struct Courier {
    collector: Collector,
    runtime: Handle,
    is_away: AtomicBool,
}

#[async_trait]
impl HttpClient for Courier {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let collector = self.collector.clone();
        let sent = self.runtime.spawn(async move { timeout(PATIENCE, collector.send(request)).await });
        let answer = match sent.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(late)) => Err(late.into()),
            // The process ends.
            Err(ended) => return Err(ended.into()),
        };
        match &answer {
            Ok(answer) if answer.status().is_success() => self.is_taken(),
            Ok(answer) => self.is_not_taken(&answer.status()),
            Err(error) => self.is_not_taken(error),
        }
        answer
    }
}

impl Courier {
    fn is_taken(&self) {
        if self.is_away.swap(false, Relaxed) {
            events::spans_taken_again();
        }
    }

    fn is_not_taken(&self, cause: &impl Display) {
        if !self.is_away.swap(true, Relaxed) {
            events::spans_not_taken(&self.collector.traces, cause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_have_a_path_below_the_url() {
        let rows = [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces", "127.0.0.1", 4318),
            ("http://collector/", "http://collector/v1/traces", "collector", 80),
            ("http://[::1]:4318/otlp", "http://[::1]:4318/otlp/v1/traces", "::1", 4318),
        ];
        for (url, traces, host, port) in rows {
            let collector: Collector = url.parse().unwrap();
            assert_eq!((&*collector.traces.to_string(), &*collector.host, collector.port), (traces, host, port));
        }
    }

    #[test]
    fn refusals_say_what_to_write() {
        for url in ["collector:4318", "127.0.0.1", "grpc://127.0.0.1:4317", "http://", "http://me:secret@host", "/x"] {
            let refusal = url.parse::<Collector>().unwrap_err().to_string();
            assert!(refusal.contains("write one like http://127.0.0.1:4318"), "{url}: {refusal}");
            assert!(!refusal.contains("secret"), "{refusal}");
        }
        let refusal = "https://collector".parse::<Collector>().unwrap_err().to_string();
        assert!(refusal.contains("plain HTTP alone"), "{refusal}");
    }
}
