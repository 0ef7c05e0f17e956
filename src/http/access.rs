//! Access logging: a request is reported when the head of its response is made, to the log, the metrics, the collector
//! of spans, and the client.

use std::time::{Duration, Instant};

use axum::{
    extract::Request,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_LENGTH},
    },
    response::Response,
};
use hyper::body::Body as _;

use super::{
    caching::NO_STORE,
    head::only,
    labels::{method_of, route_of},
};
use crate::telemetry::{self, Account, RequestSpan};

/// The header with the duration of each part of a request, for the developer tools of a browser.
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The header with the span of the caller (W3C Trace Context).
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// The header with the span of the request, for the caller (W3C Trace Context, level 2).
const TRACE_RESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// A request that is being answered.
pub(super) struct Access {
    began: Instant,
    method: &'static str,
    route: &'static str,
    pub(super) span: RequestSpan,
}

impl Access {
    /// Starts the clock and the span of a request.
    pub(super) fn begin(request: &Request) -> Self {
        let (method, route) = (method_of(request.method()), route_of(request.uri().path()));
        let span = RequestSpan::begin(method, route, || only(request.headers(), &TRACE_PARENT)?.to_str().ok());
        Self { began: Instant::now(), method, route, span }
    }

    /// Starts the clock and the span of an operation on a WebSocket. `SUBSCRIBE` is the message that asks for one.
    pub(super) fn begin_operation() -> Self {
        let (method, route) = ("SUBSCRIBE", "/graphql");
        Self { began: Instant::now(), method, route, span: RequestSpan::begin(method, route, || None) }
    }

    /// Reports the request, and adds headers with its report to the response.
    pub(super) fn end(&self, response: &mut Response) {
        let status = response.status();
        let account = response.extensions_mut().remove().unwrap_or_else(|| without_account(status));
        let took = self.began.elapsed();
        let timing = HeaderValue::try_from(account.server_timing(took)).ok();
        let (trace, name) = self.span.names().unzip();
        let name = name.and_then(|name| HeaderValue::try_from(name).ok());
        let head = response.headers_mut();
        // An HTTP cache would send these headers with other requests.
        if head.get(CACHE_CONTROL).is_none_or(|cache| *cache == NO_STORE) {
            head.extend(timing.map(|timing| (SERVER_TIMING, timing)));
            head.extend(name.map(|name| (TRACE_RESPONSE, name)));
        }
        let bytes = response.body().size_hint().exact().or_else(|| announced(response.headers()));
        self.report(account, status, took, bytes, trace);
    }

    /// Reports an operation on a WebSocket, with the status that its first response would have over HTTP.
    pub(super) fn end_operation(&self, account: Account, status: StatusCode) {
        let trace = self.span.names().map(|(trace, _)| trace);
        self.report(account, status, self.began.elapsed(), None, trace);
    }

    fn report(
        &self,
        account: Account,
        status: StatusCode,
        took: Duration,
        bytes: Option<u64>,
        trace: Option<Box<str>>,
    ) {
        let (method, route, status) = (self.method, self.route, status.as_u16());
        self.span.record(&account, status);
        telemetry::request_answered(&telemetry::Request { method, route, account, status, took, bytes, trace });
    }
}

/// The account of a response whose handler gave none: a page, or a refusal.
fn without_account(status: StatusCode) -> Account {
    if status.is_client_error() || status.is_server_error() { Account::REFUSED } else { Account::default() }
}

/// The length of a streamed body, if its head has it.
fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
