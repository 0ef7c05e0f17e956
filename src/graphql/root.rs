//! The root fields of queries: each asks a question, or none, and has an object for its answer.

use async_graphql::{Name, registry::Registry};

use super::{
    code::Fault,
    declaration::{Arguments, Declaration, Field, Leaf, Object, Value},
};
use crate::{
    evaluator::{Answers, Evaluator, Failure, Question},
    telemetry::Kind,
};

/// A root field of queries.
pub(super) struct Root {
    pub(super) declaration: Declaration,
    /// The kind of the requests that ask it, in the metrics.
    pub(super) kind: Kind,
    /// Adds the type of its objects to the schema.
    pub(super) register: fn(&mut Registry) -> String,
    pub(super) plan: Planning,
}

/// Plans the answer of a root field with these arguments, so far without fields.
///
/// # Errors
/// When an argument is out of range.
pub(super) type Planning = fn(&Arguments, &Evaluator) -> Result<Box<dyn Planned>, Fault>;

/// The answer of a root field: an object with the fields that a query selects.
pub(super) trait Planned: Send + Sync {
    /// Adds a field of this name, with its key in the response and these arguments.
    ///
    /// # Errors
    /// When an argument is out of range.
    fn select(&mut self, key: &Name, name: &str, arguments: &Arguments) -> Result<(), Fault>;

    /// The question to the evaluator; without one the answer depends on this server, and may change with its next start.
    fn question(&self) -> Option<Question>;

    /// How many digits its answer renders, at most.
    fn digits(&self) -> usize;

    /// Its fields by their keys, in order.
    ///
    /// # Errors
    /// When its question has no answer.
    fn answer(&self, answers: &Answers) -> Result<Vec<(Name, Value)>, Failure>;
}

/// The plan of an object that `object` makes from the answer to a question.
pub(super) fn planned<T: Object>(
    question: Option<Question>,
    object: impl Fn(&Answers) -> Result<T, Failure> + Send + Sync + 'static,
) -> Box<dyn Planned> {
    Box::new(PlannedObject { question, object, fields: Vec::new() })
}

struct PlannedObject<T: 'static, F> {
    question: Option<Question>,
    object: F,
    /// By their keys, and with their digits; `None` is the name of the type.
    fields: Vec<(Name, Option<&'static Field<T>>, usize)>,
}

impl<T: Object, F: Fn(&Answers) -> Result<T, Failure> + Send + Sync> Planned for PlannedObject<T, F> {
    fn select(&mut self, key: &Name, name: &str, arguments: &Arguments) -> Result<(), Fault> {
        let field = T::field(name);
        let digits = field.map_or(Ok(0), |field| field.digits(arguments))?;
        self.fields.push((key.clone(), field, digits));
        Ok(())
    }

    fn question(&self) -> Option<Question> {
        self.question
    }

    fn digits(&self) -> usize {
        let all = self.question.map_or(0, Question::digits);
        self.fields.iter().fold(0, |sum, (_, _, digits)| sum.saturating_add(*digits.min(&all)))
    }

    fn answer(&self, answers: &Answers) -> Result<Vec<(Name, Value)>, Failure> {
        let object = (self.object)(answers)?;
        let typename = || Value::Leaf(Leaf::Text(T::NAME.into()));
        let value = |(key, field, digits): &(Name, Option<&'static Field<T>>, usize)| {
            (key.clone(), field.map_or_else(typename, |field| field.value(&object, *digits)))
        };
        Ok(self.fields.iter().map(value).collect())
    }
}
