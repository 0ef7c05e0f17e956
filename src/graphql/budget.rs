//! The budget of a request says how much its operations may cost together.

use super::{
    code::{Code, Fault},
    cost::{Cost, Size, digits_per_request},
    plan::Plan,
};
use crate::evaluator::{Limits, Question, digits_admitted, digits_to_evaluate, distinct};

/// The most values of the schema in a request: two of the introspections that clients send.
const SCHEMA_VALUES: usize = 50_000;

/// The most values in the lists of a request: eight fields of six lists of the greatest length.
const LISTED_VALUES: usize = 50_000;

/// The limits of a request, and what its operations have spent so far.
pub(super) struct Budget {
    limits: Limits,
    spent: Cost,
    introspected: usize,
    listed: usize,
    /// The questions, each once, in order.
    asked: Vec<Question>,
}

impl Budget {
    /// The budget of a request.
    pub(super) fn new(limits: &Limits) -> Self {
        Self { limits: *limits, spent: Cost::default(), introspected: 0, listed: 0, asked: Vec::new() }
    }

    /// The size of the values and digits of all that was admitted.
    pub(super) fn size(&self) -> Size {
        let values = self.asked.iter().map(|question| question.bytes());
        Size { execution: values.fold(0, usize::saturating_add), text: self.spent.render }
    }

    /// The questions of all that was admitted, each once.
    pub(super) fn into_questions(self) -> Vec<Question> {
        self.asked
    }

    /// Charges the cost of the plan. A question that an operation before it asks too costs nothing to evaluate.
    ///
    /// # Errors
    /// The cost and the budget that it exceeds.
    pub(super) fn admit(&mut self, plan: &Plan) -> Result<Cost, Fault> {
        let cost = Cost { evaluate: digits_to_evaluate(&plan.questions), render: plan.digits };
        let asked = distinct([&self.asked[..], &plan.questions[..]].concat());
        let all = Cost { evaluate: digits_to_evaluate(&asked), render: self.spent.render.saturating_add(cost.render) };
        check(&asked, self.spent, all, &self.limits)?;
        let introspected = self.introspected.saturating_add(plan.introspected);
        if introspected > SCHEMA_VALUES {
            let message = format!(
                "a request may ask for {SCHEMA_VALUES} values of the schema at most, but this one asks for up to \
                 {introspected}: nest fewer lists"
            );
            return Err(Fault::new(Code::QueryTooComplex, message));
        }
        let listed = self.listed.saturating_add(plan.listed);
        if listed > LISTED_VALUES {
            let message = format!(
                "a request may ask for {LISTED_VALUES} values in lists at most, but this one asks for {listed}: ask for \
                 shorter lists, or for fewer fields"
            );
            return Err(Fault::new(Code::QueryTooComplex, message));
        }
        (self.introspected, self.listed) = (introspected, listed);
        (self.spent, self.asked) = (all, asked);
        Ok(cost)
    }
}

/// Checks the cost of a request that asks these questions, which are in order, and renders `digits` digits of their values.
///
/// # Errors
/// The cost and the limit that it exceeds.
pub fn check_digits(questions: &[Question], digits: usize, limits: &Limits) -> Result<(), Fault> {
    let all = Cost { evaluate: digits_to_evaluate(questions), render: digits };
    check(questions, Cost::default(), all, limits)
}

/// Checks the cost `all` of a request with these questions, of which `before` is the cost of earlier operations.
fn check(questions: &[Question], before: Cost, all: Cost, limits: &Limits) -> Result<(), Fault> {
    let most = digits_per_request(limits);
    within("evaluate", before.evaluate, all.evaluate, most.saturating_add(digits_admitted(questions)))?;
    within("render", before.render, all.render, most)
}

/// Checks that the digits of a request, of which there were `before` for the operations before this one, are no more than
/// `limit`.
fn within(verb: &str, before: usize, digits: usize, limit: usize) -> Result<(), Fault> {
    if digits <= limit {
        return Ok(());
    }
    let (own, others) =
        (digits - before, if before == 0 { String::new() } else { format!(", with {before} for those before it") });
    let message = format!(
        "a request may {verb} {limit} digits at most, but this operation would {verb} {own}{others}: ask for \
         fewer or smaller numbers, or for fewer of their digits"
    );
    Err(Fault::new(Code::QueryTooComplex, message))
}
