//! The root fields of queries: each asks a question, or none, and has an object for its answer.

use async_graphql::{Name, OutputType, registry::Registry};

use super::{
    code::Fault,
    declaration::{Answer, Arguments, Declaration, Field, Leaf, Object},
    library::Declared,
};
use crate::{
    evaluator::{Answers, Evaluator, Failure, Question},
    telemetry::Kind,
};

/// A root field that is answered by objects of this type.
pub(super) struct Root<T: 'static> {
    pub(super) declaration: Declaration,
    /// The kind of the requests that ask it, in the metrics.
    pub(super) kind: Kind,
    /// What it asks with these arguments.
    ///
    /// # Errors
    /// When an argument is out of range.
    pub(super) ask: fn(&Arguments, &Evaluator) -> Result<Asked<T>, Fault>,
}

/// What a root field asks.
pub(super) struct Asked<T> {
    /// The question to the evaluator; without one the answer depends on this server, and may change with its next start.
    pub(super) question: Option<Question>,
    pub(super) object: FromAnswers<T>,
}

/// Makes an object from the answers of the evaluator.
pub(super) type FromAnswers<T> = Box<dyn Fn(&Answers) -> Result<T, Failure> + Send + Sync>;

/// A root field whose type of objects does not matter.
pub(super) trait AnyRoot: Sync {
    fn declaration(&self) -> &Declaration;

    /// The kind of the requests that ask it, in the metrics.
    fn kind(&self) -> Kind;

    /// Adds its types to the schema.
    fn register(&self, registry: &mut Registry);

    /// Plans its answer with these arguments, so far without fields.
    ///
    /// # Errors
    /// When an argument is out of range.
    fn plan(&self, arguments: &Arguments, evaluator: &Evaluator) -> Result<Box<dyn Planned>, Fault>;
}

/// The answer of a root field: an object with the fields that a query selects.
pub(super) trait Planned: Send + Sync {
    /// Adds a field of this name, with its key in the response and these arguments.
    ///
    /// # Errors
    /// When an argument is out of range.
    fn select(&mut self, key: &Name, name: &str, arguments: &Arguments) -> Result<(), Fault>;

    /// The question that it asks, if it asks one.
    fn question(&self) -> Option<Question>;

    /// How many digits its answer renders, at most.
    fn digits(&self) -> usize;

    /// Its fields by their keys, in order.
    ///
    /// # Errors
    /// When its question has no answer.
    fn answer(&self, answers: &Answers) -> Result<Vec<(Name, Answer)>, Failure>;
}

impl<T: Object> AnyRoot for Root<T> {
    fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn register(&self, registry: &mut Registry) {
        Declared::<T>::create_type_info(registry);
    }

    fn plan(&self, arguments: &Arguments, evaluator: &Evaluator) -> Result<Box<dyn Planned>, Fault> {
        let asked = (self.ask)(arguments, evaluator)?;
        Ok(Box::new(PlannedObject { asked, fields: Vec::new() }))
    }
}

struct PlannedObject<T: 'static> {
    asked: Asked<T>,
    /// By their keys, and with their digits; `None` is the name of the type.
    fields: Vec<(Name, Option<&'static Field<T>>, usize)>,
}

impl<T: Object> Planned for PlannedObject<T> {
    fn select(&mut self, key: &Name, name: &str, arguments: &Arguments) -> Result<(), Fault> {
        let field = T::field(name);
        let digits = field.map_or(Ok(0), |field| (field.digits)(arguments))?;
        self.fields.push((key.clone(), field, digits));
        Ok(())
    }

    fn question(&self) -> Option<Question> {
        self.asked.question
    }

    fn digits(&self) -> usize {
        let all = self.asked.question.map_or(0, Question::digits);
        self.fields.iter().fold(0, |sum, (_, _, digits)| sum.saturating_add(*digits.min(&all)))
    }

    fn answer(&self, answers: &Answers) -> Result<Vec<(Name, Answer)>, Failure> {
        let object = (self.asked.object)(answers)?;
        let typename = || Answer::Ready(Leaf::Text(T::NAME.into()));
        let fields = self.fields.iter();
        let fields = fields.map(|(key, field, digits)| {
            (key.clone(), field.map_or_else(typename, |field| (field.answer)(&object, *digits)))
        });
        Ok(fields.collect())
    }
}
