//! The GraphQL schema and its execution. It knows of no transport.
//!
//! Execution is held for one moment: when every root field of the request has asked its question, all questions go to
//! the evaluator together, so that a request sees the cache as it was at one lookup.

mod code;
mod document;
mod round;
mod types;

use std::{pin::pin, sync::Arc, task::Poll};

use async_graphql::{
    BatchRequest, BatchResponse, EmptyMutation, EmptySubscription, Name, PathSegment, Request, Response,
    SDLExportOptions, Value,
};
use futures_util::{future::join_all, poll};

pub use self::code::{Code, Fault};
use self::{round::Round, types::Query};
use crate::evaluator::Evaluator;

type Schema = async_graphql::Schema<Query, EmptyMutation, EmptySubscription>;

/// The schema, ready to execute requests.
pub struct Api {
    schema: Schema,
    evaluator: Arc<Evaluator>,
}

impl Api {
    /// A schema answered by `evaluator`.
    #[must_use]
    pub fn new(evaluator: Arc<Evaluator>) -> Self {
        Self { schema: schema(), evaluator }
    }

    /// Executes a request or a batch. All of its fields see the cache as of one lookup. The answer is always there:
    /// failures are in its errors, each with a code.
    pub async fn execute(&self, batch: BatchRequest) -> BatchResponse {
        let round = Arc::new(Round::default());
        let one = |request| self.execute_one(request, Arc::clone(&round));
        let all = async {
            match batch {
                BatchRequest::Single(request) => BatchResponse::Single(one(request).await),
                BatchRequest::Batch(requests) => BatchResponse::Batch(join_all(requests.into_iter().map(one)).await),
            }
        };
        let mut execution = pin!(all);
        // The resolvers of root fields ask the round and wait; execution awaits nothing else. Fields that were not yet
        // polled are polled before any is polled again, so when a poll brings no new question, all have asked.
        loop {
            let asked = round.asked();
            match poll!(&mut execution) {
                Poll::Ready(response) => return response,
                Poll::Pending if round.asked() == asked => break,
                Poll::Pending => {}
            }
        }
        round.answer(self.evaluator.answer(round.questions()).await);
        execution.await
    }

    async fn execute_one(&self, request: Request, round: Arc<Round>) -> Response {
        let request = match document::prepare(request) {
            Ok(request) => request.data(round).data(Arc::clone(&self.evaluator)),
            Err(fault) => return Response::from_errors(vec![fault.into()]),
        };
        let mut response = self.schema.execute(request).await;
        give_codes(&mut response);
        null_failed_roots(&mut response);
        response
    }
}

/// What has no code of its own was refused by validation, before execution began, or is no one's plan.
fn give_codes(response: &mut Response) {
    let code = if response.data == Value::Null { Code::ValidationFailed } else { Code::Internal };
    for error in &mut response.errors {
        code::shorten(&mut error.message);
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            extensions.set("code", code.as_str());
        }
    }
}

/// A field below a root that fails is never nullable, so its root is null. (The library leaves out the field alone.)
fn null_failed_roots(response: &mut Response) {
    let Value::Object(data) = &mut response.data else { return };
    for error in &response.errors {
        if let [PathSegment::Field(root), _, ..] = &error.path[..] {
            data.insert(Name::new(root), Value::Null);
        }
    }
}

/// The schema in the schema definition language.
#[must_use]
pub fn sdl() -> String {
    schema()
        .sdl_with_options(SDLExportOptions::new().prefer_single_line_descriptions().use_space_ident().indent_width(2))
}

fn schema() -> Schema {
    Schema::new(Query, EmptyMutation, EmptySubscription)
}
