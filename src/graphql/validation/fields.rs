//! Rules for fields (section 5.3 of the specification).

use async_graphql::{
    Positioned,
    parser::types::{
        ExecutableDocument, Field, FieldDefinition, OperationDefinition, SelectionSet, TypeDefinition, TypeKind,
    },
};

use super::{errors::Errors, walk::Walk};
use crate::graphql::{
    model,
    selections::{all_by_key, below},
};

impl<'a> Walk<'a, '_> {
    /// Field Selections: the type has a field of this name.
    pub(super) fn field_selection(
        &mut self,
        field: &Positioned<Field>,
        parent: &'a TypeDefinition,
    ) -> Option<&'a FieldDefinition> {
        let name = &field.node.name;
        let definition = self.model.field(parent, &name.node);
        if definition.is_none() {
            let own = model::fields(parent).iter().map(|field| field.node.name.node.as_str());
            let own = own.filter(|name| !name.starts_with("__")).collect::<Vec<_>>().join(", ");
            let message = format!("the type {} has no field {:.40}; it has {own}", parent.name.node, name.node);
            self.errors.add(name.pos, message);
        }
        definition
    }

    /// Leaf Field Selections: fields are selected of objects, and of nothing else.
    pub(super) fn leaf_field_selection(&mut self, field: &Positioned<Field>, kind: &TypeDefinition) {
        let Field { name, selection_set, .. } = &field.node;
        let is_object = matches!(kind.kind, TypeKind::Object(_));
        match (is_object, selection_set.node.items.is_empty()) {
            (true, true) => {
                let message = format!("select fields of {}, which is an object: {} {{ … }}", name.node, name.node);
                self.errors.add(field.pos, message);
            }
            (false, false) => {
                let message = format!("{} of type {} has no fields to select", name.node, kind.name.node);
                self.errors.add(selection_set.pos, message);
            }
            _ => {}
        }
    }
}

/// Field Selection Merging: one key of an answer stands for one field, be the others included or not. Time: that of the
/// operation with all fragments spread, which the guard bounds.
pub(super) fn merging(document: &ExecutableDocument, operation: &OperationDefinition, errors: &mut Errors) {
    merging_of_sets(document, &[&operation.selection_set.node], errors);
}

fn merging_of_sets(document: &ExecutableDocument, sets: &[&SelectionSet], errors: &mut Errors) {
    for (key, same) in all_by_key(document, sets) {
        if let Some(other) = same.iter().find(|field| !is_same(&field.node, &same[0].node)) {
            let message = format!("the key {key} stands for different fields: give one of them another alias");
            errors.add(other.pos, message);
        }
        merging_of_sets(document, &below(&same), errors);
    }
}

/// Whether two fields ask the same: the same name, and the same arguments in any order.
fn is_same(one: &Field, other: &Field) -> bool {
    one.name.node == other.name.node
        && one.arguments.len() == other.arguments.len()
        && one
            .arguments
            .iter()
            .all(|(name, value)| other.get_argument(&name.node).is_some_and(|own| own.node == value.node))
}
