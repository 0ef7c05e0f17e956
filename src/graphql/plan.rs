//! What an operation asks, known before anything runs.
//!
//! An operation is brought to its normal form: each field once, in the order in which fields are first met, with
//! neither fragments nor directives nor variables. From it follows what is to be evaluated and what it costs, exactly.

use std::collections::{BTreeSet, HashMap};

use async_graphql::{
    Name, Pos, Positioned, Value, Variables,
    indexmap::IndexMap,
    parser::types::{
        Directive, DocumentOperations, ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet,
    },
};

use super::{
    code::{Code, Fault},
    cost::rendered,
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
    /// Whether it asks for the schema too.
    pub(super) introspects: bool,
}

/// The keys of an object in the order of the document, each with those below.
#[derive(Debug, Default)]
pub(super) struct Shape(pub(super) Vec<(Name, Shape)>);

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
        let (mut questions, mut digits, mut introspects) = (BTreeSet::new(), 0_usize, false);
        for selection in &selections.items {
            let Selection::Field(field) = &selection.node else { continue };
            introspects |= field.node.name.node.starts_with("__") && field.node.name.node != "__typename";
            let Some(question) = question(&field.node, evaluator) else { continue };
            digits = digits.saturating_add(rendered(question, &field.node.selection_set.node));
            questions.insert(question);
        }
        let operation = OperationDefinition {
            ty: operation.ty,
            variable_definitions: Vec::new(),
            directives: Vec::new(),
            selection_set: Positioned::new(selections, operation.selection_set.pos),
        };
        let operations = DocumentOperations::Single(Positioned::new(operation, Pos::default()));
        let document = ExecutableDocument { operations, fragments: HashMap::new() };
        Ok(Self { document, shape, questions, digits, introspects })
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
        let mut fields = IndexMap::new();
        for set in sets {
            self.collect(set, &mut fields)?;
        }
        let (mut items, mut keys) = (Vec::with_capacity(fields.len()), Vec::with_capacity(fields.len()));
        for (key, same) in fields {
            let sets: Vec<_> = same.iter().map(|field| &field.node.selection_set.node).collect();
            let (below, shape) = if sets[0].items.is_empty() { Default::default() } else { self.of(&sets)? };
            items.push(self.field(same[0], below));
            keys.push((key.clone(), shape));
        }
        if items.is_empty() {
            // An object of which nothing is left is an object still, which the library would take for null.
            items.push(self.field(&typename(), SelectionSet::default()));
        }
        Ok((SelectionSet { items }, Shape(keys)))
    }

    /// Sorts the fields that are selected by their keys.
    fn collect(
        &self,
        set: &'a SelectionSet,
        fields: &mut IndexMap<&'a Name, Vec<&'a Positioned<Field>>>,
    ) -> Result<(), Fault> {
        for selection in &set.items {
            if !self.is_included(selection.node.directives())? {
                continue;
            }
            match &selection.node {
                Selection::Field(field) => fields.entry(&field.node.response_key().node).or_default().push(field),
                // There are neither interfaces nor unions: a fragment that is valid applies.
                Selection::InlineFragment(fragment) => self.collect(&fragment.node.selection_set.node, fields)?,
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.node.fragment_name.node) {
                        self.collect(&fragment.node.selection_set.node, fields)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A field with these below.
    fn field(&self, field: &Positioned<Field>, below: SelectionSet) -> Positioned<Selection> {
        let Field { alias, name, arguments, selection_set, .. } = &field.node;
        // An argument whose variable has no value is left out.
        let arguments = arguments.iter().filter_map(|(name, value)| {
            let constant = value.node.clone().into_const_with(|name| self.variable(&name)).ok()?;
            Some((name.clone(), Positioned::new(constant.into_value(), value.pos)))
        });
        let field = Field {
            alias: alias.clone(),
            name: name.clone(),
            arguments: arguments.collect(),
            directives: Vec::new(),
            selection_set: Positioned::new(below, selection_set.pos),
        };
        let pos = name.pos;
        Positioned::new(Selection::Field(Positioned::new(field, pos)), pos)
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
