//! The root fields of queries: each asks questions, or none, and has an object or a list of objects for its answer.

use async_graphql::{Name, OutputType, registry::Registry};
use futures_util::future::BoxFuture;
use smallvec::{SmallVec, smallvec};

use super::{
    code::Fault,
    declaration::{Arguments, Declaration, Field, Leaf, Object},
    library::Declared,
    response::Text,
};
use crate::{
    evaluator::{Answer, Answers, Evaluator, Failure, FromValue, Limits, Question},
    telemetry::Kind,
};

/// A root field of queries.
pub(super) struct Root {
    pub(super) declaration: Declaration,
    /// The kind of the requests that ask it, in the metrics.
    pub(super) kind: Kind,
    /// Adds the type of its objects to the schema.
    pub(super) register: fn(&mut Registry),
    pub(super) plan: PlanObjects,
}

/// Plans the answer with these arguments, so far without fields.
///
/// # Errors
/// When an argument is out of range.
type PlanObjects = fn(&Arguments, &Limits) -> Result<Box<dyn Planned>, Fault>;

/// The objects that answer a root field, with the fields that a query selects.
pub(super) struct Objects<T: 'static> {
    questions: Few<Question>,
    /// The digits of the whole value of each.
    lengths: Few<usize>,
    is_list: bool,
    make: Make<T>,
    /// By their keys, and with their digits; `None` is the name of the type.
    fields: Vec<(Name, Option<&'static Field<T>>, usize)>,
}

/// Makes objects of the answers to their questions.
type Make<T> = Box<dyn Fn(&Answers) -> Result<Few<T>, Failure> + Send + Sync>;

/// One in most cases, and else those of a list.
type Few<T> = SmallVec<[T; 1]>;

/// An object that is the answer to a question.
pub(super) trait Subject: Object {
    type Question: FromValue + Send + Sync + 'static;

    fn of(question: Self::Question, answer: Answer<<Self::Question as crate::evaluator::Function>::Value>) -> Self;

    /// The digits of its whole value.
    fn digits(question: Self::Question) -> usize;
}

impl<T: Subject> Objects<T> {
    /// The answer to a question.
    pub(super) fn one(question: T::Question) -> Box<dyn Planned> {
        Self::of(smallvec![question], false)
    }

    /// A list of the answers to some questions.
    pub(super) fn list(questions: impl Iterator<Item = T::Question>) -> Box<dyn Planned> {
        Self::of(questions.collect(), true)
    }

    fn of(subjects: Few<T::Question>, is_list: bool) -> Box<dyn Planned> {
        let questions = subjects.iter().map(|&subject| subject.into()).collect();
        let lengths = subjects.iter().map(|&subject| T::digits(subject)).collect();
        let make: Make<T> =
            Box::new(move |answers| subjects.iter().map(|&subject| Ok(T::of(subject, answers.of(subject)?))).collect());
        Box::new(Self { questions, lengths, is_list, make, fields: Vec::with_capacity(2) })
    }
}

impl<T: Object + Clone> Objects<T> {
    /// An object that depends on this server, and may change with its next start.
    pub(super) fn constant(object: T) -> Box<dyn Planned> {
        let make: Make<T> = Box::new(move |_| Ok(smallvec![object.clone()]));
        let (questions, lengths, fields) = (Few::new(), smallvec![0], Vec::new());
        Box::new(Self { questions, lengths, is_list: false, make, fields })
    }
}

impl<T: Object> Objects<T> {
    /// Adds their type to the schema.
    pub(super) fn register(registry: &mut Registry) {
        Declared::<T>::create_type_info(registry);
    }
}

/// The answer of a root field: objects with the fields that a query selects.
pub(super) trait Planned: Send + Sync {
    /// Adds a field of this name, with its key in the response and these arguments.
    ///
    /// # Errors
    /// When an argument is out of range.
    fn select(&mut self, key: &Name, name: &str, arguments: &Arguments) -> Result<(), Fault>;

    /// The questions to the evaluator; without any the answer depends on this server, and may change with its next start.
    fn questions(&self) -> &[Question];

    /// The number of objects, if it is a list.
    fn items(&self) -> Option<usize>;

    /// The digits that its answer renders, at most.
    fn digits(&self) -> usize;

    /// The object in JSON, or the list of them.
    ///
    /// # Errors
    /// When one of its questions has no answer.
    fn answer<'a>(&'a self, answers: &'a Answers, evaluator: &'a Evaluator) -> BoxFuture<'a, Result<Text, Failure>>;
}

impl<T: Object> Planned for Objects<T> {
    fn select(&mut self, key: &Name, name: &str, arguments: &Arguments) -> Result<(), Fault> {
        let field = T::field(name);
        let digits = field.map_or(Ok(0), |field| field.digits(arguments))?;
        self.fields.push((key.clone(), field, digits));
        Ok(())
    }

    fn questions(&self) -> &[Question] {
        &self.questions
    }

    fn items(&self) -> Option<usize> {
        self.is_list.then_some(self.questions.len())
    }

    fn digits(&self) -> usize {
        let of_field = |digits: usize| self.lengths.iter().map(move |&all| digits.min(all));
        self.fields.iter().flat_map(|(_, _, digits)| of_field(*digits)).fold(0, usize::saturating_add)
    }

    fn answer<'a>(&'a self, answers: &'a Answers, evaluator: &'a Evaluator) -> BoxFuture<'a, Result<Text, Failure>> {
        let written = async move {
            let mut text = Text::default();
            text.raw(if self.is_list { "[" } else { "" });
            for (number, (object, &all)) in (self.make)(answers)?.into_iter().zip(&self.lengths).enumerate() {
                text.raw(if number == 0 { "{" } else { ",{" });
                for (number, (key, field, digits)) in self.fields.iter().enumerate() {
                    text.key(number, key);
                    text.leaf(&match field {
                        Some(field) => field.value(&object, all.min(*digits), evaluator).await?,
                        None => Leaf::Text(T::NAME.into()),
                    });
                }
                text.raw("}");
            }
            text.raw(if self.is_list { "]" } else { "" });
            Ok(text)
        };
        Box::pin(written)
    }
}
