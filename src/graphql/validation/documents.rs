//! Rules for the names of a document's definitions (sections 5.2 and 5.5.1 of the specification).

use super::errors::Errors;
use crate::graphql::parser::Definitions;

/// Operation Name Uniqueness: no two operations have one name.
pub(super) fn operation_name_uniqueness(Definitions { operations, .. }: &Definitions, errors: &mut Errors) {
    let names = operations.iter().filter_map(|(name, _)| name.as_ref()).map(|name| (&name.node, name.pos));
    errors.add_repeated(names, |name| format!("there are two operations named {name}"));
}

/// Lone Anonymous Operation: an operation without a name is the only one.
pub(super) fn lone_anonymous_operation(Definitions { operations, .. }: &Definitions, errors: &mut Errors) {
    for (_, operation) in operations.iter().filter(|(name, _)| name.is_none() && operations.len() > 1) {
        errors.add(operation.pos, "of several operations each needs a name");
    }
}

/// Fragment Name Uniqueness: no two fragments have one name.
pub(super) fn fragment_name_uniqueness(Definitions { fragments, .. }: &Definitions, errors: &mut Errors) {
    let names = fragments.iter().map(|(name, _)| (&name.node, name.pos));
    errors.add_repeated(names, |name| format!("there are two fragments named {name}"));
}
