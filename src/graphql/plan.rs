//! The questions of an operation, known before anything runs.
//!
//! An operation is brought to its normal form: each field once, in the order in which fields are first met, with
//! neither fragments nor directives nor variables. From it follow the questions to evaluate and their exact cost.

use std::collections::{BTreeSet, HashMap};

use async_graphql::{
    Name, PathSegment, Pos, Positioned, ServerError, Variables,
    parser::types::{
        Directive, DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType, Selection,
        SelectionSet, Type, TypeDefinition,
    },
};
use async_graphql_value::{ConstValue, Value};

use super::{
    code::{self, Code, Fault, Refusal},
    cost::{self, Size, rendered},
    introspection::{self, is_introspection},
    model::{Model, name_of},
    parser::Argument,
    selections::{below, by_key, int},
};
use crate::evaluator::{Evaluator, Question};

/// An operation that is ready to run.
pub(super) struct Plan {
    /// The operation in normal form, by itself.
    pub(super) document: ExecutableDocument,
    /// The keys of its answer, in order.
    pub(super) shape: Shape,
    /// The errors of fields that have no argument to run with, which are null in the answer.
    pub(super) errors: Vec<ServerError>,
    /// Its questions, each once.
    pub(super) questions: BTreeSet<Question>,
    /// The digits that its answer has.
    pub(super) digits: usize,
    /// Whether its answers come one after the other.
    pub(super) is_subscription: bool,
    /// The most values of the schema that it asks for.
    pub(super) introspected: usize,
    /// The memory that it takes, without that of values and their digits.
    pub(super) size: Size,
}

/// The keys of an object in the order of the document, each with those below.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape(pub(super) Vec<(Name, Shape)>);

impl Shape {
    fn size(&self) -> Size {
        self.0.iter().fold(Size::default(), |size, (key, below)| size + cost::of_field(key) + below.size())
    }
}

impl Plan {
    /// The plan of an operation, given the values of its variables.
    ///
    /// # Errors
    /// When a null stands where none may, and that fails no field by itself: as the condition of a root field, or in a
    /// subscription.
    pub(super) fn of(
        document: &ExecutableDocument,
        operation: &OperationDefinition,
        variables: &Variables,
        model: &Model,
        evaluator: &Evaluator,
    ) -> Result<Self, Refusal> {
        let refused = |error| Refusal::new(Code::BadUserInput, vec![error]);
        let (path, errors) = (Vec::new(), Vec::new());
        let mut normalization = Normalization { document, variables, model, path, errors, error_bytes: 0 };
        let root = model.root(operation.ty);
        let (selections, shape) = normalization.of(&[&operation.selection_set.node], root).map_err(refused)?;
        let Normalization { mut errors, error_bytes, .. } = normalization;
        if error_bytes > ERROR_BYTES {
            let message = format!(
                "the errors of an operation may take {ERROR_BYTES} bytes, but those of this one could take {error_bytes}: \
                 use shorter aliases"
            );
            return Err(Fault::new(Code::QueryTooComplex, message).into());
        }
        let (mut questions, mut digits, mut introspected) = (BTreeSet::new(), 0_usize, 0_usize);
        for selection in &selections.items {
            let Selection::Field(field) = &selection.node else { continue };
            if is_introspection(&field.node) {
                introspected = introspected.saturating_add(introspection::values(&field.node.selection_set.node));
            }
            let Some(question) = question(&field.node, evaluator) else { continue };
            digits = digits.saturating_add(rendered(question, &field.node.selection_set.node));
            questions.insert(question);
        }
        let is_subscription = operation.ty == OperationType::Subscription;
        if is_subscription && let Some(error) = errors.pop() {
            return Err(refused(error));
        }
        let operation = OperationDefinition {
            ty: operation.ty,
            variable_definitions: Vec::new(),
            directives: Vec::new(),
            selection_set: Positioned::new(selections, operation.selection_set.pos),
        };
        let operations = DocumentOperations::Single(Positioned::new(operation, Pos::default()));
        let document = ExecutableDocument { operations, fragments: HashMap::new() };
        let size = shape.size() + cost::of_response(introspected) + cost::of_errors(error_bytes);
        Ok(Self { document, shape, errors, questions, digits, is_subscription, introspected, size })
    }
}

/// The question of a root field; none when its argument is out of range, which its resolver reports.
fn question(field: &Field, evaluator: &Evaluator) -> Option<Question> {
    match field.name.node.as_str() {
        "fib" => evaluator.index(int(field, "n")?).ok().map(Question::Fib),
        "pi" => evaluator.terms(int(field, "terms")?).ok().map(Question::Pi),
        _ => None,
    }
}

fn typename() -> Positioned<Field> {
    let name = Positioned::new(Name::new("__typename"), Pos::default());
    let (arguments, directives, selection_set) = Default::default();
    Positioned::new(Field { alias: None, name, arguments, directives, selection_set }, Pos::default())
}

/// The most bytes that the errors of an operation may take if each of its fields fails. An error repeats the keys on the way
/// to its field, of which one may be nearly as long as the document; a thousand fields with usual keys take 300 kB.
const ERROR_BYTES: usize = 512 * 1024;

/// A variable has neither a value nor a default.
struct NoValue;

struct Normalization<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    model: &'a Model,
    /// The keys down to where it is.
    path: Vec<&'a Name>,
    errors: Vec<ServerError>,
    /// The bytes of an error of each field so far.
    error_bytes: usize,
}

impl<'a> Normalization<'a> {
    /// The normal form of all selections of these sets, for one object of a type. The guard bounds it, and validation
    /// has made sure that fields of one key are the same.
    ///
    /// # Errors
    /// When the object can't be answered, because a field of it that is never null can't.
    fn of(
        &mut self,
        sets: &[&'a SelectionSet],
        parent: Option<&'a TypeDefinition>,
    ) -> Result<(SelectionSet, Shape), ServerError> {
        let fields = by_key(self.document, sets, &|directives| self.is_included(directives))?;
        let (mut items, mut keys) = (Vec::with_capacity(fields.len()), Vec::with_capacity(fields.len()));
        for (key, same) in fields {
            let name = &same[0].node.name.node;
            let definition = parent.and_then(|parent| self.model.field(parent, name));
            let kind = definition.map(|definition| &definition.ty.node);
            self.path.push(key);
            self.error_bytes += cost::bytes_of_error(&self.path);
            let answered = self.field(&same, kind);
            self.path.pop();
            let shape = match answered {
                Ok((field, shape)) => {
                    // A field that is left out of the plan is null in the answer.
                    if !parent.is_some_and(|parent| introspection::is_null(&parent.name.node, name)) {
                        items.push(field);
                    }
                    shape
                }
                Err(error) if kind.is_none_or(|kind| kind.nullable) => {
                    // Beyond the limit the operation is refused.
                    if self.error_bytes <= ERROR_BYTES {
                        self.errors.push(error);
                    }
                    Shape::default()
                }
                Err(error) => return Err(error),
            };
            keys.push((key.clone(), shape));
        }
        if items.is_empty() {
            // An object of which nothing is left is an object still, which the library would take for null.
            items.push(field(&typename(), Vec::new(), SelectionSet::default()));
        }
        Ok((SelectionSet { items }, Shape(keys)))
    }

    /// The normal form of fields of one key, which are of a type.
    fn field(
        &mut self,
        same: &[&'a Positioned<Field>],
        kind: Option<&'a Type>,
    ) -> Result<(Positioned<Selection>, Shape), ServerError> {
        let arguments = self.arguments(&same[0].node)?;
        let sets = below(same);
        let below = kind.and_then(|kind| self.model.named(name_of(kind)));
        let (selections, shape) = if sets[0].items.is_empty() { Default::default() } else { self.of(&sets, below)? };
        Ok((field(same[0], arguments, selections), shape))
    }

    /// The arguments of a field, without those whose variable has no value.
    fn arguments(&self, field: &Field) -> Result<Vec<Argument>, ServerError> {
        let mut arguments = Vec::with_capacity(field.arguments.len());
        for (name, value) in &field.arguments {
            match self.constant(&value.node) {
                // No argument takes null, which a variable may have although it has a default or its place has one.
                Ok(ConstValue::Null) => {
                    return Err(self.error(value.pos, format!("the argument {} can't be null", name.node)));
                }
                Ok(constant) => arguments.push((name.clone(), Positioned::new(constant.into_value(), value.pos))),
                Err(NoValue) => {}
            }
        }
        Ok(arguments)
    }

    fn is_included(&self, directives: &[Positioned<Directive>]) -> Result<bool, ServerError> {
        Ok(self.condition(directives, "skip")? != Some(true) && self.condition(directives, "include")? != Some(false))
    }

    /// The condition of a directive, if it is there.
    fn condition(&self, directives: &[Positioned<Directive>], name: &str) -> Result<Option<bool>, ServerError> {
        let directive = directives.iter().find(|directive| directive.node.name.node == name);
        let Some(value) = directive.and_then(|directive| directive.node.get_argument("if")) else { return Ok(None) };
        match self.constant(&value.node) {
            Ok(ConstValue::Boolean(condition)) => Ok(Some(condition)),
            _ => Err(self.error(value.pos, format!("the condition of @{name} must be true or false"))),
        }
    }

    fn constant(&self, value: &Value) -> Result<ConstValue, NoValue> {
        value.clone().into_const_with(|name| self.variables.get(&name).cloned().ok_or(NoValue))
    }

    /// An error of the field where it is.
    fn error(&self, pos: Pos, message: String) -> ServerError {
        let mut error = ServerError::new(message, Some(pos));
        error.path = self.path.iter().map(|key| PathSegment::Field(key.to_string())).collect();
        code::complete(&mut error, Code::BadUserInput);
        error
    }
}

/// A field with these arguments, and with these below.
fn field(from: &Positioned<Field>, arguments: Vec<Argument>, below: SelectionSet) -> Positioned<Selection> {
    let Field { alias, name, selection_set, .. } = &from.node;
    let normal = Field {
        alias: alias.clone(),
        name: name.clone(),
        arguments,
        directives: Vec::new(),
        selection_set: Positioned::new(below, selection_set.pos),
    };
    Positioned::new(Selection::Field(Positioned::new(normal, from.pos)), from.pos)
}
