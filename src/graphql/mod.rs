//! The GraphQL schema and its execution. It knows of no transport.
//!
//! A request goes one way: its [`documents`] are read by the [`parser`] and held against the limits of the [`guard`] and the
//! rules of [`validation`], once for each text; an [`operation`] is chosen and its variables are coerced; the [`plan`]
//! holds its questions, and its [`cost`] is weighed; then the transport, which holds the memory of all requests, says
//! whether there is room for the [`Prepared`] request; then all questions of the request go to the evaluator together,
//! so that it sees the cache as it was at one lookup; and with the answers at hand the [`response`] is written from the
//! plan.
//!
//! The types are [declared](declaration) in [`fib`], [`pi`], [`pi_digits`] and [`limits`]. The library has the [`schema`] that is made from
//! the declarations; it executes what is asked about that, and the subscription of [`convergence`].

mod budget;
mod classes;
mod code;
mod completion;
mod convergence;
mod cost;
mod declaration;
mod documents;
mod fib;
mod footprint;
mod guard;
mod introspection;
mod lexer;
mod library;
mod limits;
mod model;
mod normal_form;
mod operation;
mod parser;
mod pi;
mod pi_digits;
mod plan;
mod query;
mod reader;
mod request;
mod response;
mod root;
mod schema;
mod selections;
mod strings;
mod validation;

use std::sync::Arc;

use async_graphql::{
    Name, PathSegment, Pos, ServerError, ValidationMode, Value, indexmap::IndexMap, parser::types::ExecutableDocument,
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use self::{
    budget::Budget,
    code::Refusal,
    completion::Completion,
    cost::Cost,
    declaration::Leaf,
    documents::{Documents, of_document},
    normal_form::Shape,
    plan::{Plan, Step},
    response::{Data, Outcome},
    schema::Schema,
};
pub use self::{
    budget::check_digits,
    code::{Code, Fault},
    cost::Size,
    request::{Batch, PersistedQuery, Request},
    response::{Response, Text},
    schema::sdl,
};
use crate::{
    evaluator::{Answers, Evaluator, Failure, Question},
    telemetry::{Account, Kind},
};

/// The memory that this room may hold, in bytes, by what it is held for. docs/operating.md adds the rooms up.
pub const MEMORY: [(&str, usize); 2] = [
    ("parsed documents", 2 * documents::PARSED_BYTES),
    ("texts of registered documents", 2 * documents::REGISTERED_BYTES),
];

/// The schema, ready to execute requests.
pub struct Api {
    documents: Documents,
    /// Executes validated operations.
    schema: Schema,
    evaluator: Arc<Evaluator>,
    /// The turn of large documents, which are read one at a time.
    reading: Semaphore,
    /// The turn of large plans, which are executed one at a time. They hold the values that were evaluated for them, so they
    /// do not wait behind documents that are still to be read.
    executing: Semaphore,
}

/// The longest text of documents, in bytes, that does not wait for its turn: it is read in some tenths of a millisecond.
const SHORT_BYTES: usize = 1024;

/// The same for the execution of a plan, by the memory that it takes.
const SHORT_EXECUTION: usize = 128 * 1024;

/// The operations of one request, executed.
pub struct Execution {
    /// To each operation, in order.
    pub responses: Vec<Response>,
    /// The account of them.
    pub account: Account,
}

impl Execution {
    /// The refusal of a request with one operation, which is not executed, or not to its end.
    #[must_use]
    pub fn refused(fault: Fault) -> Self {
        Self { responses: vec![Refusal::from(fault).into()], account: Account::REFUSED }
    }
}

/// The operations of one request, ready to be executed: planned, and within the budget or refused.
pub struct Prepared {
    operations: Vec<Result<Admitted, Refusal>>,
    /// The questions of all operations, each once.
    questions: Vec<Question>,
    size: Size,
}

/// A plan that the budget has admitted.
struct Admitted {
    plan: Plan,
    /// Its cost, if the client asked.
    cost: Option<Cost>,
}

impl Api {
    /// A schema answered by `evaluator`.
    #[must_use]
    pub fn new(evaluator: Arc<Evaluator>) -> Self {
        let schema = schema::builder().validation_mode(ValidationMode::Fast).finish();
        Self {
            documents: Documents::new(),
            schema,
            evaluator,
            reading: Semaphore::new(1),
            executing: Semaphore::new(1),
        }
    }

    /// Prepares the operations of one request, which share its budget. With `tells_cost` their responses hold their
    /// cost. Nothing is evaluated, and nothing that the client asks for is awaited.
    pub async fn prepare(&self, requests: Vec<Request>, tells_cost: bool) -> Prepared {
        let bytes = requests.iter().filter_map(|request| request.document.as_ref()).map(String::len).sum();
        let _turn = turn(&self.reading, bytes, SHORT_BYTES).await;
        let limits = self.evaluator.limits();
        let mut budget = Budget::new(limits);
        let admit = |request: Request| {
            let document = self.documents.of(&request)?;
            let operation = operation::choose(&document, request.operation_name.as_deref())?;
            let variables = operation::coerce(operation, request.variables)?;
            let plan = Plan::of(&document, operation, &variables, &self.documents.model, limits)?;
            let cost = budget.admit(&plan)?;
            Ok(Admitted { plan, cost: tells_cost.then_some(cost) })
        };
        let operations: Vec<Result<Admitted, Refusal>> = requests.into_iter().map(admit).collect();
        let size = operations.iter().flatten().fold(budget.size(), |size, admitted| size + admitted.plan.size);
        Prepared { operations, questions: budget.into_questions(), size }
    }

    /// Executes the operations of one request, which see the cache as of one lookup. There is a response to each: failures
    /// are in its errors, each with a code.
    pub async fn execute(&self, Prepared { mut operations, questions, .. }: Prepared) -> Execution {
        for operation in &mut operations {
            if operation.as_ref().is_ok_and(|admitted| admitted.plan.is_subscription) {
                let message =
                    "a subscription needs a WebSocket (graphql-transport-ws) or the header Accept: text/event-stream";
                *operation = Err(Fault::new(Code::OperationResolutionFailure, message).into());
            }
        }
        let kind = operations.iter().flatten().map(|admitted| admitted.plan.kind).reduce(Kind::and);
        let mut account = kind.map_or(Account::REFUSED, |kind| Account { kind, ..Account::default() });
        let mut answers = Answers::default();
        if !questions.is_empty() {
            answers = self.evaluator.answer(questions).await;
            account.cached = answers.are_cached();
            account.spent = Some(answers.spent);
        }
        let mut responses = Vec::with_capacity(operations.len());
        for operation in operations {
            responses.push(match operation {
                Ok(admitted) => self.run(admitted, &answers).await,
                Err(refusal) => refusal.into(),
            });
        }
        Execution { responses, account }
    }

    /// Executes an operation whose answer may be several: the responses of a subscription, one after the other, each made
    /// when it is taken; or the one response of any other.
    pub async fn subscribe(&self, prepared: Prepared) -> BoxStream<'static, Execution> {
        let Prepared { operations, questions, size } = prepared;
        match <[_; 1]>::try_from(operations) {
            Ok([Ok(Admitted { plan: Plan { library: Some(document), roots, is_subscription: true, .. }, .. })]) => {
                let request = of_document(document).data(Arc::clone(&self.evaluator));
                let keys = roots.into_iter().filter_map(|(key, step)| Some((key, step.into_below()?)));
                let shape = Shape(keys.collect());
                let execution = move |response: async_graphql::Response| {
                    let response = if has_no_source(&response) {
                        Refusal::new(Code::BadUserInput, response.errors).into()
                    } else {
                        event(response, &shape)
                    };
                    Execution { responses: vec![response], account: Account::SUBSCRIPTION }
                };
                self.schema.execute_stream(request).map(execution).boxed()
            }
            operations => {
                let operations = operations.map_or_else(|all| all, Vec::from);
                stream::iter([self.execute(Prepared { operations, questions, size }).await]).boxed()
            }
        }
    }

    /// Executes a plan whose questions are answered.
    async fn run(&self, Admitted { plan, cost }: Admitted, answers: &Answers) -> Response {
        let _turn = turn(&self.executing, plan.size.execution, SHORT_EXECUTION).await;
        let Plan { roots, library, mut errors, questions, is_constant, .. } = plan;
        let mut introspected = match library {
            // In a box, since few operations ask about the schema, and the futures of all are moved.
            Some(document) => Box::pin(self.introspect(document, &mut errors)).await,
            None => IndexMap::new(),
        };
        let (mut data, mut completion, mut is_null) = (Vec::with_capacity(roots.len()), Completion::default(), false);
        for (key, step) in roots {
            let value = match step {
                Step::Planned(planned, pos) => match planned.answer(answers, &self.evaluator).await {
                    Ok(text) => Data::Written(text),
                    Err(failure) => {
                        errors.push(failed(&key, pos, failure));
                        Data::Null
                    }
                },
                Step::Typename(name) => Data::Leaf(Leaf::Text(name.as_str().to_owned().into())),
                Step::Library(below) => {
                    completion.at(&key, introspected.swap_remove(&key), &below).unwrap_or_else(|| {
                        is_null = true;
                        Data::Null
                    })
                }
                Step::Failed => Data::Null,
            };
            data.push((key, value));
        }
        match completion.errors() {
            Ok(own) => errors.extend(own),
            Err(fault) => return fault.into(),
        }
        let data = if is_null { Data::Null } else { Data::Object(data) };
        // In the order of the document.
        errors.sort_by_key(|error| error.locations.first().copied());
        let is_immutable = is_constant && errors.is_empty() && questions.iter().all(|&asked| answers.is_cached(asked));
        Response { outcome: Outcome::Executed { data, errors, is_immutable }, cost }
    }

    /// The answers to fields about the schema.
    async fn introspect(&self, document: ExecutableDocument, errors: &mut Vec<ServerError>) -> IndexMap<Name, Value> {
        let response = self.schema.execute(of_document(document)).await;
        errors.extend(response.errors.into_iter().map(|mut error| {
            code::complete(&mut error, Code::Internal);
            error
        }));
        match response.data {
            Value::Object(fields) => fields,
            _ => IndexMap::new(),
        }
    }
}

/// Waits for the turn of a request that is larger than `short`: work of milliseconds, done for a thousand requests one
/// after the other, would make small requests wait for seconds. Nothing that has a turn waits for another request.
async fn turn(turns: &Semaphore, size: usize, short: usize) -> Option<SemaphorePermit<'_>> {
    if size <= short { None } else { turns.acquire().await.ok() }
}

impl Prepared {
    /// The memory that the request takes while it is executed and its answer is sent, in bytes, at most.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }
}

/// The error of a root field whose question has no answer.
fn failed(key: &Name, pos: Pos, failure: Failure) -> ServerError {
    let mut error = Fault::from(failure).into_error().into_server_error(pos);
    error.path = vec![PathSegment::Field(key.to_string())];
    error
}

/// An event of a subscription.
fn event(response: async_graphql::Response, shape: &Shape) -> Response {
    let data = match response.data {
        Value::Object(fields) => Completion::default().object(fields, shape).unwrap_or(Data::Null),
        _ => Data::Null,
    };
    let mut errors = response.errors;
    errors.iter_mut().for_each(|error| code::complete(error, Code::Internal));
    Response { outcome: Outcome::Executed { data, errors, is_immutable: false }, cost: None }
}

/// Whether it is the response to a subscription whose arguments are out of range. There is no source of events, and so no
/// data, not even null.
fn has_no_source(response: &async_graphql::Response) -> bool {
    let is_of_arguments = |error: &ServerError| {
        let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
        matches!(code, Some(Value::String(code)) if code == Code::BadUserInput.as_str())
    };
    !response.errors.is_empty() && response.errors.iter().all(is_of_arguments)
}
