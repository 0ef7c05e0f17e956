//! The body of an answer, which keeps its request open.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};

use super::pulse::OpenRequest;

/// A body that hyper drops when it has taken it to its end, and its request is over then.
pub(super) struct Answer {
    body: Body,
    _request: OpenRequest,
}

impl Answer {
    pub(super) fn new(body: Body, request: OpenRequest) -> Self {
        Self { body, _request: request }
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
