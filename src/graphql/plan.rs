//! The plan of an operation is data, made once from its document: the fields of its answer by their keys, with their
//! arguments in their final types, the questions to evaluate, and their exact cost. The answer is written from it.

use std::{collections::HashMap, mem};

use async_graphql::{
    Name, Pos, Positioned, ServerError, Variables,
    parser::types::{
        DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet,
        TypeDefinition,
    },
};

use super::{
    code::{Code, Fault, Refusal},
    cost::{self, ERROR_BYTES, Size},
    declaration::Arguments,
    introspection,
    model::{Model, TYPENAME},
    normal_form::{Below, Normalization},
    query,
    reader::Reader,
    root::{Planned, Root},
    selections::below,
};
use crate::{
    evaluator::{Limits, Question, distinct},
    telemetry::Kind,
};

/// An operation that is ready to run.
pub(super) struct Plan {
    /// Its root fields by their keys, in order.
    pub(super) roots: Vec<(Name, Step)>,
    /// The fields of the introspection, or of a subscription, in normal form.
    pub(super) library: Option<ExecutableDocument>,
    /// The errors of root fields that can't be planned, each of which is null in the answer.
    pub(super) errors: Vec<ServerError>,
    /// Its questions, each once, in order.
    pub(super) questions: Vec<Question>,
    /// The digits that its answer renders, at most.
    pub(super) digits: usize,
    /// Whether its answers come one after the other.
    pub(super) is_subscription: bool,
    /// Whether its answer follows from its questions alone, and so never changes.
    pub(super) is_constant: bool,
    /// The most values of the schema that it asks for.
    pub(super) introspected: usize,
    /// The values in its lists of objects.
    pub(super) listed: usize,
    /// The kind of the request that it makes, in the metrics.
    pub(super) kind: Kind,
    /// The memory that it takes, without that of values and their digits.
    pub(super) size: Size,
}

/// The source of a root field's answer.
pub(super) enum Step {
    /// From the answers of the evaluator; an error of it is at this place.
    Planned(Box<dyn Planned>, Pos),
    /// By the name of the type of the operation.
    Typename(Name),
    /// By the library.
    Library(Below),
    /// It is null, since it has an error.
    Failed,
}

impl Step {
    /// The shape of the response below its key, if the library answers it.
    pub(super) fn into_below(self) -> Option<Below> {
        match self {
            Self::Library(below) => Some(below),
            Self::Planned(..) | Self::Typename(_) | Self::Failed => None,
        }
    }
}

impl Plan {
    /// The plan of an operation, given the values of its variables.
    ///
    /// # Errors
    /// When a null stands where none may, and that fails no field by itself: as the condition of a root field, or in a
    /// subscription; or when the errors of its fields could take too much.
    pub(super) fn of(
        document: &ExecutableDocument,
        operation: &OperationDefinition,
        variables: &Variables,
        model: &Model,
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        let refused = |error| Refusal::new(Code::BadUserInput, vec![error]);
        let is_subscription = operation.ty == OperationType::Subscription;
        let mut planner = Planner {
            model,
            limits,
            parent: model.root(operation.ty),
            has_declared: operation.ty == OperationType::Query,
            reader: Reader::new(document, variables),
            errors: Vec::new(),
            library: Vec::new(),
            listed: 0,
            kind: Kind::Introspection,
        };
        let roots = planner.roots(&operation.selection_set.node).map_err(refused)?;
        let Planner { reader: Reader { size, error_bytes, .. }, mut errors, library, listed, kind, .. } = planner;
        if error_bytes > ERROR_BYTES {
            let message = format!(
                "the errors of an operation may take {ERROR_BYTES} bytes, but those of this one could take {error_bytes}: \
                 use shorter aliases"
            );
            return Err(Fault::new(Code::QueryTooComplex, message).into());
        }
        if is_subscription && let Some(error) = errors.pop() {
            return Err(refused(error));
        }
        let objects = || {
            roots.iter().filter_map(|(_, step)| match step {
                Step::Planned(object, _) => Some(object),
                Step::Typename(_) | Step::Library(_) | Step::Failed => None,
            })
        };
        let questions = distinct(objects().flat_map(|object| object.questions()).copied().collect());
        let digits = objects().fold(0, |sum: usize, object| sum.saturating_add(object.digits()));
        let asks = objects().all(|object| !object.questions().is_empty()) && !questions.is_empty();
        let introspected = if is_subscription { 0 } else { introspection::values(&library) };
        let size = size + cost::of_response(introspected) + cost::of_errors(error_bytes);
        let is_constant = asks && library.is_empty();
        let library = (!library.is_empty()).then(|| only(operation, library));
        Ok(Self {
            roots,
            library,
            errors,
            questions,
            digits,
            is_subscription,
            is_constant,
            introspected,
            listed,
            kind,
            size,
        })
    }
}

struct Planner<'a> {
    model: &'a Model,
    limits: &'a Limits,
    /// The type of the operation.
    parent: Option<&'a TypeDefinition>,
    /// Whether the operation has declared root fields: it is a query.
    has_declared: bool,
    reader: Reader<'a>,
    errors: Vec<ServerError>,
    /// The root fields that the library answers.
    library: Vec<Positioned<Selection>>,
    /// The values in lists of objects.
    listed: usize,
    kind: Kind,
}

impl<'a> Planner<'a> {
    /// The steps of all root fields.
    ///
    /// # Errors
    /// When there is no answer, because a field that is never null can't be answered.
    fn roots(&mut self, selections: &'a SelectionSet) -> Result<Vec<(Name, Step)>, ServerError> {
        let (model, limits) = (self.model, self.limits);
        let fields = self.reader.fields(&[selections])?;
        let mut steps = Vec::with_capacity(fields.len());
        for (key, same) in fields {
            let name = &same[0].node.name.node;
            let definition = self.parent.and_then(|parent| model.field(parent, name));
            let kind = definition.map(|definition| &definition.ty.node);
            let step = if name == TYPENAME {
                let parent = self.parent.map(|parent| parent.name.node.clone());
                self.reader.at(key, |_| Ok(Step::Typename(parent.unwrap_or_else(|| Name::new("")))))
            } else if let Some(root) = query::root(name).filter(|_| self.has_declared) {
                self.kind = self.kind.and(root.kind);
                let listed = &mut self.listed;
                let object = self.reader.at(key, |reader| object(reader, root, &same, limits, listed));
                object.map(|object| Step::Planned(object, same[0].pos))
            } else {
                let (field, below) = self.reader.at(key, |reader| Normalization { model, reader }.field(&same, kind));
                match below.error() {
                    // It would be an error of every event.
                    Some(error) if !self.has_declared => Err(error.clone()),
                    _ => {
                        self.library.extend(field);
                        Ok(Step::Library(below))
                    }
                }
            };
            let step = match step {
                Err(error) if kind.is_none_or(|kind| kind.nullable) => {
                    // Beyond the limit the operation is refused.
                    if self.reader.error_bytes <= ERROR_BYTES {
                        self.errors.push(error);
                    }
                    Step::Failed
                }
                step => step?,
            };
            steps.push((key.clone(), step));
        }
        Ok(steps)
    }
}

/// Plans the object of a declared root field, at which the reader is, or a list of them, whose values are added to `listed`.
fn object<'a>(
    reader: &mut Reader<'a>,
    root: &Root,
    same: &[&'a Positioned<Field>],
    limits: &Limits,
    listed: &mut usize,
) -> Result<Box<dyn Planned>, ServerError> {
    let Positioned { node: field, pos } = same[0];
    let arguments = reader.arguments(field).collect::<Result<Arguments, _>>()?;
    let object = (root.plan)(&arguments, limits);
    let mut object = object.map_err(|fault| reader.error(*pos, fault.message))?;
    // The first error is that of the object; what comes after it is read all the same, since its size counts.
    let (mut outcome, outside, is_list) = (Ok(()), mem::take(&mut reader.size), object.items().is_some());
    let fields = reader.within(is_list, |reader| reader.fields(&below(same)))?;
    let count = fields.len();
    for (key, same) in fields {
        let Positioned { node: field, pos } = same[0];
        let selected = reader.within(is_list, |reader| {
            reader.at(key, |reader| {
                let arguments = reader.arguments(field).collect::<Result<Arguments, _>>()?;
                let selected = object.select(key, &field.name.node, &arguments);
                selected.map_err(|fault| reader.error(*pos, fault.message))
            })
        });
        outcome = outcome.and(selected);
    }
    let mut size = mem::take(&mut reader.size);
    if let Some(items) = object.items() {
        *listed = listed.saturating_add(items.saturating_mul(count));
        size = cost::of_list(items, count, size);
    }
    reader.size = outside + size;
    outcome.map(|()| object)
}

/// An operation of these fields, by itself.
fn only(operation: &OperationDefinition, items: Vec<Positioned<Selection>>) -> ExecutableDocument {
    let operation = OperationDefinition {
        ty: operation.ty,
        variable_definitions: Vec::new(),
        directives: Vec::new(),
        selection_set: Positioned::new(SelectionSet { items }, operation.selection_set.pos),
    };
    let operations = DocumentOperations::Single(Positioned::new(operation, Pos::default()));
    ExecutableDocument { operations, fragments: HashMap::new() }
}
