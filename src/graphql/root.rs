//! The root fields of queries: each asks questions, or none, and has an object or a list of objects for its answer.

use async_graphql::{Name, OutputType, registry::Registry};
use smallvec::{SmallVec, smallvec};

use super::{
    code::Fault,
    declaration::{Arguments, Declaration, Field, Leaf, Object, Value},
    library::Declared,
};
use crate::{
    evaluator::{Answer, Answers, Failure, FromValue, Limits, Question},
    telemetry::Kind,
};

/// A root field of queries.
pub(super) trait Root: Sync {
    const DECLARATION: &'static Declaration;
    /// The kind of the requests that ask it, in the metrics.
    const KIND: Kind;
    /// The type of its objects.
    type Object: Object;

    /// Plans its answer with these arguments.
    ///
    /// # Errors
    /// When an argument is out of range.
    fn plan(arguments: &Arguments, limits: &Limits) -> Result<Objects<Self::Object>, Fault>;
}

/// The objects that answer a root field.
pub(super) struct Objects<T> {
    questions: Few<Question>,
    /// The digits of the whole value of each.
    lengths: Few<usize>,
    is_list: bool,
    make: Make<T>,
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
    pub(super) fn one(question: T::Question) -> Self {
        Self::of(smallvec![question], false)
    }

    /// A list of the answers to some questions.
    pub(super) fn list(questions: impl Iterator<Item = T::Question>) -> Self {
        Self::of(questions.collect(), true)
    }

    fn of(subjects: Few<T::Question>, is_list: bool) -> Self {
        Self {
            questions: subjects.iter().map(|&subject| subject.into()).collect(),
            lengths: subjects.iter().map(|&subject| T::digits(subject)).collect(),
            is_list,
            make: Box::new(move |answers| {
                subjects.iter().map(|&subject| Ok(T::of(subject, answers.of(subject)?))).collect()
            }),
        }
    }
}

impl<T: Object + Clone> Objects<T> {
    /// An object that depends on this server, and may change with its next start.
    pub(super) fn constant(object: T) -> Self {
        let make = Box::new(move |_: &Answers| Ok(smallvec![object.clone()]));
        Self { questions: Few::new(), lengths: smallvec![0], is_list: false, make }
    }
}

/// Any root field.
pub(super) trait AnyRoot: Sync {
    fn declaration(&self) -> &'static Declaration;

    /// The kind of the requests that ask it, in the metrics.
    fn kind(&self) -> Kind;

    /// Adds the type of its objects to the schema.
    fn register(&self, registry: &mut Registry);

    /// Plans its answer with these arguments, so far without fields.
    ///
    /// # Errors
    /// When an argument is out of range.
    fn plan(&self, arguments: &Arguments, limits: &Limits) -> Result<Box<dyn Planned>, Fault>;
}

impl<R: Root> AnyRoot for R {
    fn declaration(&self) -> &'static Declaration {
        R::DECLARATION
    }

    fn kind(&self) -> Kind {
        R::KIND
    }

    fn register(&self, registry: &mut Registry) {
        Declared::<R::Object>::create_type_info(registry);
    }

    fn plan(&self, arguments: &Arguments, limits: &Limits) -> Result<Box<dyn Planned>, Fault> {
        Ok(Box::new(PlannedObjects { objects: R::plan(arguments, limits)?, fields: Vec::with_capacity(2) }))
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

    /// The fields of each object by their keys, in order.
    ///
    /// # Errors
    /// When one of its questions has no answer.
    fn answer(&self, answers: &Answers) -> Result<Vec<Vec<(&Name, Value)>>, Failure>;
}

struct PlannedObjects<T: 'static> {
    objects: Objects<T>,
    /// By their keys, and with their digits; `None` is the name of the type.
    fields: Vec<(Name, Option<&'static Field<T>>, usize)>,
}

impl<T: Object> Planned for PlannedObjects<T> {
    fn select(&mut self, key: &Name, name: &str, arguments: &Arguments) -> Result<(), Fault> {
        let field = T::field(name);
        let digits = field.map_or(Ok(0), |field| field.digits(arguments))?;
        self.fields.push((key.clone(), field, digits));
        Ok(())
    }

    fn questions(&self) -> &[Question] {
        &self.objects.questions
    }

    fn items(&self) -> Option<usize> {
        self.objects.is_list.then_some(self.objects.questions.len())
    }

    fn digits(&self) -> usize {
        let of_field = |digits: usize| self.objects.lengths.iter().map(move |&all| digits.min(all));
        self.fields.iter().flat_map(|(_, _, digits)| of_field(*digits)).fold(0, usize::saturating_add)
    }

    fn answer(&self, answers: &Answers) -> Result<Vec<Vec<(&Name, Value)>>, Failure> {
        let typename = || Value::Leaf(Leaf::Text(T::NAME.into()));
        let objects = (self.objects.make)(answers)?.into_iter().zip(&self.objects.lengths).map(|(object, &all)| {
            let fields = self.fields.iter().map(|(key, field, digits)| {
                (key, field.map_or_else(typename, |field| field.value(&object, all.min(*digits))))
            });
            fields.collect()
        });
        Ok(objects.collect())
    }
}
