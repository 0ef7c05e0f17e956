//! The collector that spans are sent to: OTLP in protobuf over plain HTTP.
//!
//! Nothing waits for it. A thread of the SDK batches spans, and drops them when more come than the collector takes.

use std::{
    error::Error,
    fmt::Display,
    iter,
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use async_trait::async_trait;
use axum::http::{HeaderValue, Uri, header::CONNECTION, uri::Scheme};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response, hyper::HyperClient};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use thiserror::Error;
use tokio::runtime::Handle;

use crate::telemetry::events;

/// The timeout of one export, which is up to 512 spans.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why spans can't be sent.
#[derive(Debug, Error)]
pub enum CollectorError {
    /// The variable is not the URL of a collector.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT is not the URL of a collector: write one like http://127.0.0.1:4318")]
    NoUrl,
    /// The URL asks for TLS, which is not supported.
    #[error(
        "OTEL_EXPORTER_OTLP_ENDPOINT asks for TLS: spans are sent over plain HTTP alone; name a collector beside phipi, \
         like http://127.0.0.1:4318, which sends them on"
    )]
    Tls,
    /// One of the other variables that OpenTelemetry defines is wrong.
    #[error("spans can't be exported: {0}; look at the variables whose names begin with OTEL_")]
    Settings(String),
}

/// The address of a collector, and the name of the service that sends spans to it.
#[derive(Clone, Debug)]
pub struct Collector {
    /// The URL to which traces are sent.
    traces: Uri,
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
        let has_login = base.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if base.scheme() != Some(&Scheme::HTTP) || base.query().is_some() || has_login {
            return Err(CollectorError::NoUrl);
        }
        let traces = format!("{}/v1/traces", url.trim_end_matches('/'));
        Ok(Self { traces: traces.parse().map_err(|_| CollectorError::NoUrl)?, service: "phipi".into() })
    }
}

impl Collector {
    /// Sends spans in the name of this service.
    #[must_use]
    pub fn named(self, service: String) -> Self {
        Self { service, ..self }
    }

    /// Starts to batch and to send spans.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(super) fn open(self) -> Result<SdkTracerProvider, CollectorError> {
        let resource = Resource::builder().with_service_name(self.service).build();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(self.traces.to_string())
            .with_http_client(Exporter {
                client: HyperClient::with_default_connector(EXPORT_TIMEOUT, None),
                runtime: Handle::current(),
                traces: self.traces,
                is_failing: AtomicBool::new(false),
            })
            .build()
            .map_err(|error| CollectorError::Settings(error.to_string()))?;
        Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
    }
}

/// Sends spans on the runtime, since the SDK's thread has none, and logs once when that fails.
#[derive(Debug)]
struct Exporter {
    client: HyperClient,
    runtime: Handle,
    traces: Uri,
    is_failing: AtomicBool,
}

#[async_trait]
impl HttpClient for Exporter {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // There is one every few seconds: a connection that was kept for it might be closed by then.
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        let client = self.client.clone();
        // It ends early only with the process.
        let answer = self.runtime.spawn(async move { client.send_bytes(request).await }).await?;
        match &answer {
            Ok(answer) if answer.status().is_success() => self.succeeded(),
            Ok(answer) => self.failed(&answer.status()),
            Err(error) => self.failed(&root_cause(&**error)),
        }
        answer
    }
}

impl Exporter {
    fn succeeded(&self) {
        if self.is_failing.swap(false, Relaxed) {
            events::spans_taken_again();
        }
    }

    fn failed(&self, cause: &impl Display) {
        if !self.is_failing.swap(true, Relaxed) {
            events::spans_not_taken(&self.traces, cause);
        }
    }
}

/// The error that others wrap: the client's own says only in which phase it failed.
fn root_cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    iter::successors(Some(error), |&error| error.source()).last().unwrap_or(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_have_a_path_below_the_url() {
        let rows = [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://collector/", "http://collector/v1/traces"),
            ("http://[::1]:4318/otlp", "http://[::1]:4318/otlp/v1/traces"),
        ];
        for (url, traces) in rows {
            assert_eq!(url.parse::<Collector>().unwrap().traces.to_string(), traces);
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
