//! Rules for values (section 5.6 of the specification). The schema has no input objects, and no rules for them.

use async_graphql::{
    Pos, Positioned,
    parser::types::{BaseType, Type, TypeKind, VariableDefinition},
};
use async_graphql_value::Value;

use super::walk::{Place, Use, Walk};
use crate::graphql::{
    model::{Model, name_of},
    operation::{INTS, is_int},
};

/// Describes the values of a type in a message, if that helps.
fn hint(kind: &Type) -> String {
    if name_of(kind) == "Int" { format!(": {INTS}") } else { String::new() }
}

impl<'a> Walk<'a, '_> {
    /// Values of Correct Type, for a value at a place. At an unknown place it may be anything.
    pub(super) fn value(&mut self, value: &'a Positioned<Value>, place: Option<Place<'a>>) {
        self.note_variables(&value.node, value.pos, place);
        if let Some(Place { argument, kind, .. }) = place
            && !fits(self.model, &value.node, kind)
        {
            let message = format!(
                "the argument {argument} of type {kind} can't be {:.100}{}",
                value.node.to_string(),
                hint(kind)
            );
            self.errors.add(value.pos, message);
        }
    }

    /// Values of Correct Type, for the default of a variable.
    pub(super) fn default_value(&mut self, definition: &VariableDefinition) {
        let VariableDefinition { name, var_type, default_value, .. } = definition;
        if let Some(default) = default_value
            && !fits(self.model, &default.node.clone().into_value(), &var_type.node)
        {
            let (kind, pos, default) = (&var_type.node, default.pos, default.node.to_string());
            let message = format!("the variable ${} of type {kind} can't be {default:.100}{}", name.node, hint(kind));
            self.errors.add(pos, message);
        }
    }

    fn note_variables(&mut self, value: &'a Value, pos: Pos, place: Option<Place<'a>>) {
        match value {
            Value::Variable(variable) => self.uses.variables.push(Use { variable, pos, place }),
            Value::List(items) => {
                let place = place.and_then(Place::of_items);
                items.iter().for_each(|item| self.note_variables(item, pos, place));
            }
            Value::Object(members) => members.values().for_each(|value| self.note_variables(value, pos, None)),
            _ => {}
        }
    }
}

/// Whether a value is of a type. Variables have a rule of their own.
fn fits(model: &Model, value: &Value, kind: &Type) -> bool {
    match (value, &kind.base) {
        (Value::Variable(_), _) => true,
        (Value::Null, _) => kind.nullable,
        (Value::List(items), BaseType::List(kind)) => items.iter().all(|item| fits(model, item, kind)),
        // A value by itself is a list of one.
        (value, BaseType::List(kind)) => fits(model, value, kind),
        (Value::List(_) | Value::Object(_), BaseType::Named(_)) => false,
        (value, BaseType::Named(name)) => match (name.as_str(), value) {
            ("Int", Value::Number(number)) => is_int(number),
            ("Float", Value::Number(_)) | ("String", Value::String(_)) | ("Boolean", Value::Boolean(_)) => true,
            ("Int" | "Float" | "String" | "Boolean", _) => false,
            (name, value) => match (model.named(name).map(|definition| &definition.kind), value) {
                (Some(TypeKind::Enum(kind)), Value::Enum(name)) => {
                    kind.values.iter().any(|value| value.node.value.node == *name)
                }
                (Some(TypeKind::Enum(_)), _) => false,
                // A custom scalar takes what its resolvers take, and another type is reported elsewhere.
                _ => true,
            },
        },
    }
}
