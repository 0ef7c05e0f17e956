//! Spans of the steps of a request, down to the store. They exist only if a collector takes them.

mod collector;

use std::{collections::HashMap, sync::OnceLock};

use opentelemetry::{
    propagation::TextMapPropagator,
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
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

/// The header that names a span between services (W3C Trace Context).
const TRACE_PARENT: &str = "traceparent";

/// The length of that header in version 00. Later versions are no shorter.
const TRACE_PARENT_LENGTH: usize = 55;

/// The exporter of spans to the collector, if there is one.
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// The layer that sends the spans of this crate to a collector.
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

/// Sends the spans that are not sent yet, and blocks until that is done.
pub fn flush_spans() {
    if let Some(provider) = PROVIDER.get() {
        // The exporter reports its own failures.
        let _ = provider.force_flush();
    }
}

/// A step of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A GraphQL request is executed, from its documents to their answers.
    Execute,
    /// All questions of a request are answered.
    Answer,
    /// The tiers of the cache are looked up.
    Lookup,
    /// The local tier is read.
    ReadLocal,
    /// The store is read.
    ReadShared,
    /// Missing values are evaluated and stored, once for all requests that ask for them (single-flight).
    Fly,
    /// Values are evaluated and proven.
    Evaluate,
    /// New entries are given to the tiers.
    Keep,
    /// The store acknowledges new entries.
    WriteShared,
}

/// Runs a future as a step of its request, below the step that this is called in. Pass a large future pinned, so that
/// it is not moved.
pub fn within<F: Future>(step: Step, future: F) -> Instrumented<F> {
    future.instrument(span(step))
}

/// Does work as a step of its request.
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

/// The span of a request, the parent of its steps.
#[derive(Debug)]
pub struct RequestSpan(Span);

impl RequestSpan {
    /// Begins it, below the span of the caller that `traceparent` names (W3C Trace Context), if it does.
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
            && let Some(caller) = traceparent().filter(|header| is_whole(header))
        {
            let carrier = HashMap::from([(TRACE_PARENT.to_owned(), caller.to_owned())]);
            // It can fail only once the span has begun.
            let _ = span.set_parent(TraceContextPropagator::new().extract(&carrier));
        }
        Self(span)
    }

    /// Runs a future within the span of the request.
    pub fn within<F: Future>(&self, future: F) -> Instrumented<F> {
        future.instrument(self.0.clone())
    }

    /// Records the answer to the request.
    pub fn record(&self, account: &Account, status: u16) {
        self.0.record("http.response.status_code", status);
        self.0.record("phipi.operation", account.kind.label());
        self.0.record("phipi.cached", account.cached);
        if status >= 500 {
            self.0.record("otel.status_code", "ERROR");
        }
    }

    /// The id of its trace, and its name for `traceresponse`; `None` when spans are not exported.
    #[must_use]
    pub fn names(&self) -> Option<(Box<str>, String)> {
        if self.0.is_disabled() {
            return None;
        }
        let (context, mut carrier) = (self.0.context(), HashMap::new());
        TraceContextPropagator::new().inject_context(&context, &mut carrier);
        Some((context.span().span_context().trace_id().to_string().into(), carrier.remove(TRACE_PARENT)?))
    }
}

/// Whether a `traceparent` has ids of full length, without signs: the propagator would take shorter ones.
fn is_whole(header: &str) -> bool {
    header.len() >= TRACE_PARENT_LENGTH && !header.contains('+')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_named_by_full_ids_alone() {
        let read = |header: &str| {
            let carrier = HashMap::from([(TRACE_PARENT.to_owned(), header.to_owned())]);
            let context = TraceContextPropagator::new().extract(&carrier);
            is_whole(header) && context.span().span_context().is_valid()
        };
        assert!(read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        assert!(read("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-more"), "of a later version");
        for header in [
            "",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-1-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(!read(header), "{header}");
        }
    }
}
