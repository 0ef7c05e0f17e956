//! Rules for the names of a document's definitions (sections 5.2 and 5.5.1 of the specification).

use std::collections::HashSet;

use super::errors::Errors;
use crate::graphql::parser::Definitions;

/// Operation Name Uniqueness: no two operations have one name.
pub(super) fn operation_name_uniqueness(Definitions { operations, .. }: &Definitions, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for name in operations.iter().filter_map(|(name, _)| name.as_ref()) {
        if !seen.insert(&name.node) {
            errors.add(name.pos, format!("there are two operations named {}", name.node));
        }
    }
}

/// Lone Anonymous Operation: an operation without a name is the only one.
pub(super) fn lone_anonymous_operation(Definitions { operations, .. }: &Definitions, errors: &mut Errors) {
    for (_, operation) in operations.iter().filter(|(name, _)| name.is_none() && operations.len() > 1) {
        errors.add(operation.pos, "of several operations each needs a name");
    }
}

/// Fragment Name Uniqueness: no two fragments have one name.
pub(super) fn fragment_name_uniqueness(Definitions { fragments, .. }: &Definitions, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for (name, _) in fragments {
        if !seen.insert(&name.node) {
            errors.add(name.pos, format!("there are two fragments named {}", name.node));
        }
    }
}
