//! What an operation asks, known before anything runs.
//!
//! An operation is brought to its normal form: each field once, in the order in which fields are first met, with
//! neither fragments nor directives nor variables. From it follows what is to be evaluated and what it costs, exactly.

use std::collections::{BTreeSet, HashMap};

use async_graphql::{
    Name, Pos, Positioned, Value, Variables,
    parser::types::{
        Directive, DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType, Selection,
        SelectionSet,
    },
};

use super::{
    code::{Code, Fault},
    cost::{self, Size, rendered},
    introspection::{self, is_introspection},
    selections::{below, by_key},
};
use crate::evaluator::{Evaluator, Question};

/// An operation that is ready to run.
pub(super) struct Plan {
    /// The operation in normal form, by itself.
    pub(super) document: ExecutableDocument,
    /// The keys of its answer, in order.
    pub(super) shape: Shape,
    /// What it asks, each question once.
    pub(super) questions: BTreeSet<Question>,
    /// How many digits its answer has.
    pub(super) digits: usize,
    /// Whether its answers come one after the other.
    pub(super) is_subscription: bool,
    /// How many values of the schema it asks for, at most.
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
    /// When a directive's condition is no truth value.
    pub(super) fn of(
        document: &ExecutableDocument,
        operation: &OperationDefinition,
        variables: &Variables,
        evaluator: &Evaluator,
    ) -> Result<Self, Fault> {
        let (selections, shape) = Normalization { document, variables }.of(&[&operation.selection_set.node])?;
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
        if is_subscription && shape.0.len() != 1 {
            let message = format!("a subscription has one field, but this one has {}", shape.0.len());
            return Err(Fault::new(Code::ValidationFailed, message));
        }
        let operation = OperationDefinition {
            ty: operation.ty,
            variable_definitions: Vec::new(),
            directives: Vec::new(),
            selection_set: Positioned::new(selections, operation.selection_set.pos),
        };
        let operations = DocumentOperations::Single(Positioned::new(operation, Pos::default()));
        let document = ExecutableDocument { operations, fragments: HashMap::new() };
        let size = shape.size() + cost::of_response(introspected);
        Ok(Self { document, shape, questions, digits, is_subscription, introspected, size })
    }
}

/// What a root field asks; nothing when its argument is out of range, which its resolver tells.
fn question(field: &Field, evaluator: &Evaluator) -> Option<Question> {
    match field.name.node.as_str() {
        "fib" => evaluator.index(int(field, "n")?).ok().map(Question::Fib),
        "pi" => evaluator.terms(int(field, "terms")?).ok().map(Question::Pi),
        _ => None,
    }
}

/// The value of an argument of a field in normal form.
pub(super) fn int(field: &Field, argument: &str) -> Option<i64> {
    match field.get_argument(argument)?.node.clone().into_const()? {
        Value::Number(number) => number.as_i64(),
        _ => None,
    }
}

fn typename() -> Positioned<Field> {
    let name = Positioned::new(Name::new("__typename"), Pos::default());
    let (arguments, directives, selection_set) = Default::default();
    Positioned::new(Field { alias: None, name, arguments, directives, selection_set }, Pos::default())
}

/// A variable has neither a value nor a default.
struct NoValue;

struct Normalization<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Variables,
}

impl<'a> Normalization<'a> {
    /// The normal form of what is selected by any of these, for one object. The guard bounds it, and validation has made
    /// sure that fields of one key are the same.
    fn of(&self, sets: &[&'a SelectionSet]) -> Result<(SelectionSet, Shape), Fault> {
        let fields = by_key(self.document, sets, &|directives| self.is_included(directives))?;
        let (mut items, mut keys) = (Vec::with_capacity(fields.len()), Vec::with_capacity(fields.len()));
        for (key, same) in fields {
            let sets = below(&same);
            let (selections, shape) = if sets[0].items.is_empty() { Default::default() } else { self.of(&sets)? };
            items.push(self.field(same[0], selections));
            keys.push((key.clone(), shape));
        }
        if items.is_empty() {
            // An object of which nothing is left is an object still, which the library would take for null.
            items.push(self.field(&typename(), SelectionSet::default()));
        }
        Ok((SelectionSet { items }, Shape(keys)))
    }

    /// A field with these below.
    fn field(&self, field: &Positioned<Field>, below: SelectionSet) -> Positioned<Selection> {
        let Field { alias, name, arguments, selection_set, .. } = &field.node;
        // An argument whose variable has no value is left out.
        let arguments = arguments.iter().filter_map(|(name, value)| {
            let constant = value.node.clone().into_const_with(|name| self.variable(&name)).ok()?;
            Some((name.clone(), Positioned::new(constant.into_value(), value.pos)))
        });
        let normal = Field {
            alias: alias.clone(),
            name: name.clone(),
            arguments: arguments.collect(),
            directives: Vec::new(),
            selection_set: Positioned::new(below, selection_set.pos),
        };
        Positioned::new(Selection::Field(Positioned::new(normal, field.pos)), field.pos)
    }

    fn is_included(&self, directives: &[Positioned<Directive>]) -> Result<bool, Fault> {
        for directive in directives {
            let name = directive.node.name.node.as_str();
            let condition = directive
                .node
                .get_argument("if")
                .and_then(|value| value.node.clone().into_const_with(|name| self.variable(&name)).ok());
            match (name, condition) {
                ("skip", Some(Value::Boolean(true))) | ("include", Some(Value::Boolean(false))) => {
                    return Ok(false);
                }
                (_, Some(Value::Boolean(_))) => {}
                _ => {
                    let message = format!("the condition of @{name} must be true or false");
                    return Err(Fault::new(Code::BadUserInput, message));
                }
            }
        }
        Ok(true)
    }

    fn variable(&self, name: &Name) -> Result<Value, NoValue> {
        self.variables.get(name).cloned().ok_or(NoValue)
    }
}
