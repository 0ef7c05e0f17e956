//! The GraphQL schema and its execution. It knows of no transport.
//!
//! A request goes one way: its [`documents`] are read by the [`parser`] and held against the limits of the [`guard`] and the
//! rules of [`validation`], once for each text; an [`operation`] is chosen and its variables are coerced; the [`plan`]
//! holds its questions, and its [`cost`] is weighed; then the transport, which holds the memory of all requests, says
//! whether there is room for the [`Prepared`] request; then all questions of the request go to the evaluator together,
//! so that it sees the cache as it was at one lookup; and with the answers at hand the library executes the plan,
//! whose outcome is the [`response`].

mod budget;
mod classes;
mod code;
mod convergence;
mod cost;
mod documents;
mod footprint;
mod guard;
mod introspection;
mod lexer;
mod model;
mod operation;
mod parser;
mod plan;
mod request;
mod response;
mod schema;
mod selections;
mod strings;
mod types;
mod validation;

use std::{collections::BTreeSet, sync::Arc};

use async_graphql::{Name, PathSegment, ServerError, ValidationMode, Value};
use futures_util::{
    StreamExt,
    future::join_all,
    stream::{self, BoxStream},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use self::{
    budget::Budget,
    code::Refusal,
    cost::Cost,
    documents::{Documents, of_document},
    plan::{Plan, Shape},
    response::Outcome,
    schema::Schema,
};
pub use self::{
    code::{Code, Fault},
    cost::Size,
    request::{Batch, PersistedQuery, Request},
    response::{Response, Text},
    schema::sdl,
};
use crate::{
    evaluator::{Answers, Evaluator, Question},
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
    /// The turn of large requests, which are read and executed one at a time.
    turn: Semaphore,
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

/// The operations of one request, ready to be executed: planned, and within the budget or refused.
pub struct Prepared {
    operations: Vec<Result<Admitted, Refusal>>,
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
        Self { documents: Documents::new(), schema, evaluator, turn: Semaphore::new(1) }
    }

    /// Prepares the operations of one request, which share its budget. With `tells_cost` their responses hold their
    /// cost. Nothing is evaluated, and nothing that the client asks for is awaited.
    pub async fn prepare(&self, requests: Vec<Request>, tells_cost: bool) -> Prepared {
        let bytes = requests.iter().filter_map(|request| request.document.as_ref()).map(String::len).sum();
        let _turn = self.turn(bytes, SHORT_BYTES).await;
        let mut budget = Budget::new(self.evaluator.max_n());
        let mut operations = Vec::with_capacity(requests.len());
        for request in requests {
            operations.push(self.admit(request, &mut budget, tells_cost));
        }
        let size = operations.iter().flatten().fold(budget.size(), |size, admitted| size + admitted.plan.size);
        Prepared { operations, size }
    }

    /// Executes the operations of one request, which see the cache as of one lookup. There is a response to each: failures
    /// are in its errors, each with a code.
    pub async fn execute(&self, prepared: Prepared) -> Execution {
        self.answer(prepared.operations.into_iter().map(|admitted| admitted.and_then(Admitted::at_once)).collect())
            .await
    }

    /// Executes an operation whose answer may be several: the responses of a subscription, one after the other, each made
    /// when it is taken; or the one response of any other.
    pub async fn subscribe(&self, prepared: Prepared) -> BoxStream<'static, Execution> {
        match <[_; 1]>::try_from(prepared.operations) {
            Ok([Ok(Admitted { plan, .. })]) if plan.is_subscription => {
                let request = of_document(plan.document).data(Arc::clone(&self.evaluator));
                let execution = move |response| {
                    let response = if has_no_source(&response) {
                        Refusal::new(Code::BadUserInput, response.errors).into()
                    } else {
                        executed(response, plan.shape.clone(), Vec::new(), false)
                    };
                    Execution { responses: vec![response], account: Account::SUBSCRIPTION }
                };
                self.schema.execute_stream(request).map(execution).boxed()
            }
            operations => {
                let operations = operations.map_or_else(|all| all, Vec::from);
                stream::iter([self.answer(operations).await]).boxed()
            }
        }
    }

    async fn answer(&self, operations: Vec<Result<Admitted, Refusal>>) -> Execution {
        let questions: BTreeSet<_> =
            operations.iter().flatten().flat_map(|admitted| admitted.plan.questions.iter().copied()).collect();
        let is_refused = operations.iter().all(Result::is_err);
        let mut account = if is_refused { Account::REFUSED } else { account_of(&questions) };
        let mut answers = Answers::default();
        if !questions.is_empty() {
            answers = self.evaluator.answer(questions).await;
            account.cached = answers.are_cached();
            account.spent = Some(answers.spent);
        }
        let answers = Arc::new(answers);
        let responses = operations.into_iter().map(async |operation| match operation {
            Ok(admitted) => self.run(admitted, Arc::clone(&answers)).await,
            Err(refusal) => refusal.into(),
        });
        Execution { responses: join_all(responses).await, account }
    }

    fn admit(&self, request: Request, budget: &mut Budget, tells_cost: bool) -> Result<Admitted, Refusal> {
        let document = self.documents.of(&request)?;
        let operation = operation::choose(document.parsed(), request.operation_name.as_deref())?;
        let variables = operation::coerce(operation, request.variables)?;
        let plan = Plan::of(document.parsed(), operation, &variables, self.documents.model(), &self.evaluator)?;
        let cost = budget.admit(&plan)?;
        Ok(Admitted { plan, cost: tells_cost.then_some(cost) })
    }

    /// Waits for the turn of a request that is larger than `short`: work of milliseconds, done for a thousand requests one
    /// after the other, would make small requests wait for seconds. Nothing that has a turn waits for another request.
    async fn turn(&self, size: usize, short: usize) -> Option<SemaphorePermit<'_>> {
        if size <= short { None } else { self.turn.acquire().await.ok() }
    }

    /// Executes a plan whose questions are answered.
    async fn run(&self, Admitted { plan, cost }: Admitted, answers: Arc<Answers>) -> Response {
        let _turn = self.turn(plan.size.execution, SHORT_EXECUTION).await;
        let is_cached = !plan.questions.is_empty() && plan.questions.iter().all(|&asked| answers.is_cached(asked));
        let request = of_document(plan.document).data(answers).data(Arc::clone(&self.evaluator));
        // The schema may change with the next version of this program.
        let may_stay = is_cached && plan.introspected == 0;
        let response = executed(self.schema.execute(request).await, plan.shape, plan.errors, may_stay);
        Response { cost, ..response }
    }
}

impl Prepared {
    /// The memory that the request takes while it is executed and its answer is sent, in bytes, at most.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }
}

impl Admitted {
    /// The operation, if it has one answer.
    fn at_once(self) -> Result<Self, Refusal> {
        if self.plan.is_subscription {
            let message =
                "a subscription needs a WebSocket (graphql-transport-ws) or the header Accept: text/event-stream";
            return Err(Fault::new(Code::OperationResolutionFailure, message).into());
        }
        Ok(self)
    }
}

/// The library's response, in the form of ours, with the errors of its plan. With `may_stay` it can never change, unless
/// something in it failed.
fn executed(response: async_graphql::Response, shape: Shape, planned: Vec<ServerError>, may_stay: bool) -> Response {
    let (mut data, mut errors) = (response.data, response.errors);
    errors.iter_mut().for_each(|error| code::complete(error, Code::Internal));
    null_failed_roots(&mut data, &errors);
    errors.extend(planned);
    // In the order of the document, whichever field was done first.
    errors.sort_by_key(|error| error.locations.first().copied());
    let is_immutable = may_stay && errors.is_empty();
    Response { outcome: Outcome::Executed { data, shape, errors, is_immutable }, cost: None }
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

/// The account of operations that ask these questions.
fn account_of(questions: &BTreeSet<Question>) -> Account {
    let asks_fib = questions.iter().any(|question| matches!(question, Question::Fib(_)));
    let asks_pi = questions.iter().any(|question| matches!(question, Question::Pi(_)));
    let kind = match (asks_fib, asks_pi) {
        (true, true) => Kind::FibAndPi,
        (true, false) => Kind::Fib,
        (false, true) => Kind::Pi,
        (false, false) => Kind::Introspection,
    };
    Account { kind, ..Account::default() }
}

/// A field below a root that fails is never nullable, so its root is null. (The library leaves out the field alone.)
fn null_failed_roots(data: &mut Value, errors: &[ServerError]) {
    let Value::Object(data) = data else { return };
    for error in errors {
        if let [PathSegment::Field(root), _, ..] = &error.path[..] {
            data.insert(Name::new(root), Value::Null);
        }
    }
}
