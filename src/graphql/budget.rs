//! The budget of a request says how much its operations may cost together.

use std::collections::BTreeSet;

use super::{
    code::{Code, Fault},
    cost::{Cost, Size, digits_per_request},
    plan::Plan,
};
use crate::{evaluator::Question, math::fib::Index};

/// The most values of the schema in a request: two of the introspections that clients send.
const SCHEMA_VALUES: usize = 50_000;

/// The rest for the operations of a request.
pub(super) struct Budget {
    limit: usize,
    spent: Cost,
    introspected: usize,
    asked: BTreeSet<Question>,
}

impl Budget {
    /// The budget of a request where indices go up to `max_n`.
    pub(super) fn new(max_n: Index) -> Self {
        let limit = digits_per_request(max_n);
        Self { limit, spent: Cost::default(), introspected: 0, asked: BTreeSet::new() }
    }

    /// The size of the values and digits of all that was admitted. A value has 18 digits in 8 bytes.
    pub(super) fn size(&self) -> Size {
        Size { execution: self.spent.evaluate / 2, text: self.spent.render }
    }

    /// Charges the cost of the plan. A question that an operation before it asks too costs nothing to evaluate.
    ///
    /// # Errors
    /// The cost and the budget that it exceeds.
    pub(super) fn admit(&mut self, plan: &Plan) -> Result<Cost, Fault> {
        let cost = Cost { evaluate: plan.questions.iter().copied().map(Question::digits).sum(), render: plan.digits };
        let new = plan.questions.difference(&self.asked).copied().map(Question::digits).sum();
        self.within("evaluate", self.spent.evaluate, new)?;
        self.within("render", self.spent.render, cost.render)?;
        let introspected = self.introspected.saturating_add(plan.introspected);
        if introspected > SCHEMA_VALUES {
            let message = format!(
                "a request may ask for {SCHEMA_VALUES} values of the schema at most, but this one asks for up to \
                 {introspected}: nest fewer lists"
            );
            return Err(Fault::new(Code::QueryTooComplex, message));
        }
        self.introspected = introspected;
        self.spent.evaluate += new;
        self.spent.render += cost.render;
        self.asked.extend(&plan.questions);
        Ok(cost)
    }

    fn within(&self, verb: &str, before: usize, digits: usize) -> Result<(), Fault> {
        let limit = self.limit;
        if before.saturating_add(digits) <= limit {
            return Ok(());
        }
        let others = if before == 0 { String::new() } else { format!(", with {before} for those before it") };
        let message = format!(
            "a request may {verb} {limit} digits at most, but this operation would {verb} {digits}{others}: ask for \
             fewer or smaller numbers, or for leading and trailing digits"
        );
        Err(Fault::new(Code::QueryTooComplex, message))
    }
}
