//! Spans: the steps of a request, down to the store. There are none unless a collector takes them.

mod collector;
mod trace_parent;

use std::sync::OnceLock;

use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{
    Instrument, Metadata, Span, Subscriber, field::Empty, info_span, instrument::Instrumented,
    level_filters::LevelFilter,
};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    Layer,
    filter::{FilterFn, filter_fn},
    registry::LookupSpan,
};

pub use self::collector::{Collector, CollectorError};
use super::account::Account;

/// The exporter of spans to the collector, if there is one.
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Hands the spans of this crate to a collector.
pub(super) fn exported<S>(collector: Collector) -> Result<impl Layer<S>, CollectorError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let provider = collector.open()?;
    let tracer = PROVIDER.get_or_init(|| provider).tracer("phipi");
    let is_ours: fn(&Metadata<'_>) -> bool = |metadata| metadata.is_span() && metadata.target() == module_path!();
    let ours: FilterFn<fn(&Metadata<'_>) -> bool> = filter_fn(is_ours).with_max_level_hint(LevelFilter::INFO);
    let layer = tracing_opentelemetry::layer().with_tracer(tracer);
    Ok(layer.with_location(false).with_threads(false).with_target(false).with_filter(ours))
}

/// Sends the spans that wait, and waits for that. Call it where waiting is allowed.
pub fn flush_spans() {
    if let Some(provider) = PROVIDER.get() {
        // The exporter reports its own failures.
        let _ = provider.force_flush();
    }
}

/// A step of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// GraphQL: from the documents to their answers.
    Execute,
    /// All questions of a request are answered.
    Answer,
    /// The tiers of the cache are asked.
    Lookup,
    /// The memory of this process is asked.
    ReadLocal,
    /// The store is asked.
    ReadShared,
    /// Missing values are evaluated, and kept.
    Fly,
    /// Values are evaluated and proven.
    Evaluate,
    /// The tiers are given the new entries.
    Keep,
    /// The store acknowledges it.
    WriteShared,
}

/// A future as a step of the request that polls it, below the step that this is called in. A large one is better pinned
/// where it is, and not moved.
pub fn within<F: Future>(step: Step, future: F) -> Instrumented<F> {
    future.instrument(span(step))
}

/// Work as a step of its request.
pub fn done_within<T>(step: Step, work: impl FnOnce() -> T) -> T {
    span(step).in_scope(work)
}

fn span(step: Step) -> Span {
    match step {
        Step::Execute => info_span!("graphql.execute"),
        Step::Answer => info_span!("answer"),
        Step::Lookup => info_span!("cache.lookup"),
        Step::ReadLocal => info_span!("cache.local.read"),
        Step::ReadShared => info_span!("cache.shared.read", otel.kind = "client"),
        Step::Fly => info_span!("flight"),
        Step::Evaluate => info_span!("evaluate"),
        Step::Keep => info_span!("cache.keep"),
        Step::WriteShared => info_span!("cache.shared.write", otel.kind = "client"),
    }
}

/// The span of a request, which all of its steps are below.
#[derive(Debug)]
pub struct RequestSpan(Span);

impl RequestSpan {
    /// Begins it, below the span of the caller that `traceparent` names (W3C Trace Context), if there is one.
    pub fn begin<'a>(method: &str, route: &str, traceparent: impl FnOnce() -> Option<&'a str>) -> Self {
        let span = info_span!(
            "request",
            otel.name = format!("{method} {route}"),
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = method,
            http.route = route,
            http.response.status_code = Empty,
            phipi.operation = Empty,
            phipi.cached = Empty,
        );
        if !span.is_disabled()
            && let Some(parent) = traceparent().and_then(trace_parent::read)
        {
            // It can fail only once the span has begun.
            let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(parent));
        }
        Self(span)
    }

    /// Runs a future within the span of the request.
    pub fn within<F: Future>(&self, future: F) -> Instrumented<F> {
        future.instrument(self.0.clone())
    }

    /// Records the answer to the request.
    pub fn tell(&self, account: &Account, status: u16) {
        self.0.record("http.response.status_code", status);
        self.0.record("phipi.operation", account.kind.label());
        self.0.record("phipi.cached", account.cached);
        if status >= 500 {
            self.0.record("otel.status_code", "ERROR");
        }
    }

    /// The trace that it is part of, and how `traceresponse` names it there; `None` when spans are not exported.
    #[must_use]
    pub fn names(&self) -> Option<(Box<str>, String)> {
        if self.0.is_disabled() {
            return None;
        }
        let context = self.0.context();
        let span = context.span();
        let ids = span.span_context();
        ids.is_valid().then(|| (ids.trace_id().to_string().into(), trace_parent::write(ids)))
    }
}
