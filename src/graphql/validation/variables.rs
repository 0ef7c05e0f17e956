//! Rules for variables (section 5.8 of the specification).

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Positioned,
    parser::types::{BaseType, OperationDefinition, TypeKind, VariableDefinition},
};
use async_graphql_value::ConstValue;

use super::{
    errors::Errors,
    walk::{Place, Use, Uses, Walk},
};
use crate::graphql::model::{Model, name_of};

/// Variable Uniqueness: an operation defines a variable once.
pub(super) fn uniqueness(operation: &OperationDefinition, errors: &mut Errors) {
    let names = operation.variable_definitions.iter().map(|definition| (&definition.node.name.node, definition.pos));
    errors.add_repeated(names, |name| format!("the variable ${name} is defined twice"));
}

impl Walk<'_, '_> {
    /// Variables Are Input Types.
    pub(super) fn variable_is_input_type(&mut self, definition: &Positioned<VariableDefinition>) {
        let VariableDefinition { name, var_type, .. } = &definition.node;
        let kind = name_of(&var_type.node);
        if self.model.named(kind).is_none() {
            self.errors.add(var_type.pos, format!("there is no type {kind}"));
        } else if !is_input_type(self.model, kind) {
            let message = format!("the variable ${} can't be of type {kind}, which only answers have", name.node);
            self.errors.add(var_type.pos, message);
        }
    }
}

fn is_input_type(model: &Model, name: &str) -> bool {
    let kind = model.named(name).map(|definition| &definition.kind);
    matches!(kind, Some(TypeKind::Scalar | TypeKind::Enum(_) | TypeKind::InputObject(_)))
}

/// All Variable Uses Defined.
pub(super) fn uses_defined(operation: &OperationDefinition, uses: &[&Uses], errors: &mut Errors) {
    let defined: HashSet<_> =
        operation.variable_definitions.iter().map(|definition| &definition.node.name.node).collect();
    for Use { variable, pos, .. } in uses.iter().flat_map(|uses| &uses.variables) {
        if !defined.contains(variable) {
            errors.add(*pos, format!("the variable ${variable} is not defined"));
        }
    }
}

/// All Variables Used.
pub(super) fn must_be_used(operation: &OperationDefinition, uses: &[&Uses], errors: &mut Errors) {
    let names: HashSet<_> = uses.iter().flat_map(|uses| &uses.variables).map(|used| used.variable).collect();
    for Positioned { node: VariableDefinition { name, .. }, pos } in &operation.variable_definitions {
        if !names.contains(&name.node) {
            errors.add(*pos, format!("the variable ${} is not used", name.node));
        }
    }
}

/// All Variable Usages Are Allowed: a variable is of a type that its place takes. A type that no variable can have is
/// reported once, at its definition.
pub(super) fn usages_are_allowed(operation: &OperationDefinition, uses: &[&Uses], model: &Model, errors: &mut Errors) {
    let definitions = operation.variable_definitions.iter().map(|definition| &definition.node);
    let definitions = definitions.filter(|definition| is_input_type(model, name_of(&definition.var_type.node)));
    let definitions: HashMap<_, _> = definitions.map(|definition| (&definition.name.node, definition)).collect();
    for Use { variable, pos, place } in uses.iter().flat_map(|uses| &uses.variables) {
        if let (Some(definition), Some(place)) = (definitions.get(variable), place)
            && !is_usage_allowed(definition, *place)
        {
            let (kind, Place { argument, kind: taken, .. }) = (&definition.var_type.node, place);
            let message =
                format!("the variable ${variable} of type {kind} can't be the argument {argument} of type {taken}");
            errors.add(*pos, message);
        }
    }
}

/// `IsVariableUsageAllowed` in the specification.
fn is_usage_allowed(definition: &VariableDefinition, place: Place) -> bool {
    let kind = &definition.var_type.node;
    let has_default = definition.default_value.as_ref().is_some_and(|default| default.node != ConstValue::Null);
    // Where a default stands in for null, a null that is given all the same is an error of the field.
    let is_null_excluded = place.kind.nullable || !kind.nullable || has_default || place.has_default;
    is_null_excluded && are_compatible(&kind.base, &place.kind.base)
}

/// `AreTypesCompatible` in the specification, but for null at the outside.
fn are_compatible(variable: &BaseType, place: &BaseType) -> bool {
    match (variable, place) {
        (BaseType::Named(variable), BaseType::Named(place)) => variable == place,
        (BaseType::List(variable), BaseType::List(place)) => {
            (place.nullable || !variable.nullable) && are_compatible(&variable.base, &place.base)
        }
        _ => false,
    }
}
