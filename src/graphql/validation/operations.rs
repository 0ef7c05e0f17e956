//! Rules for operations (section 5.2 of the specification).

use async_graphql::{
    Pos, Positioned,
    parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet, TypeDefinition},
};

use super::{errors::Errors, walk::Walk};
use crate::graphql::selections::all_by_key;

impl<'a> Walk<'a, '_> {
    /// Operation Type Existence: the schema has such operations. Returns the type that they select from.
    pub(super) fn operation_type_existence(
        &mut self,
        operation: &'a Positioned<OperationDefinition>,
    ) -> Option<&'a TypeDefinition> {
        let root = self.model.root(operation.node.ty);
        if root.is_none() {
            self.errors.add(operation.pos, format!("the schema has no {}s", operation.node.ty));
        }
        root
    }
}

/// Single Root Field: a subscription has one field, which is none of the introspection, and no variable decides
/// whether it has it.
pub(super) fn single_root_field(
    document: &ExecutableDocument,
    operation: &Positioned<OperationDefinition>,
    errors: &mut Errors,
) {
    let set = &operation.node.selection_set.node;
    if let Some(pos) = condition_within(document, set) {
        errors.add(pos, "the field of a subscription can't be left out by @skip or @include");
    }
    let fields = all_by_key(document, &[set]);
    if fields.len() != 1 {
        let pos = fields.get(1).map_or(operation.pos, |(_, same)| same[0].pos);
        errors.add(pos, format!("a subscription has one field, but this one has {}", fields.len()));
    }
    for field in fields.iter().map(|(_, same)| same[0]).filter(|field| field.node.name.node.starts_with("__")) {
        errors.add(field.pos, format!("a subscription can't have the field {}", field.node.name.node));
    }
}

/// The place of a @skip or @include at the root, in fragments too. The guard bounds the spreads.
fn condition_within(document: &ExecutableDocument, set: &SelectionSet) -> Option<Pos> {
    set.items.iter().find_map(|selection| {
        let mut directives = selection.node.directives().iter();
        let own = directives.find(|directive| matches!(&*directive.node.name.node, "skip" | "include"));
        own.map(|directive| directive.pos).or_else(|| match &selection.node {
            Selection::Field(_) => None,
            Selection::InlineFragment(fragment) => condition_within(document, &fragment.node.selection_set.node),
            Selection::FragmentSpread(spread) => {
                let fragment = document.fragments.get(&spread.node.fragment_name.node)?;
                condition_within(document, &fragment.node.selection_set.node)
            }
        })
    })
}
