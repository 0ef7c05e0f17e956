//! Rules for fragments (section 5.5 of the specification).

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, Pos, Positioned,
    parser::types::{ExecutableDocument, Selection, SelectionSet, TypeCondition, TypeDefinition, TypeKind},
};

use super::{errors::Errors, walk::Walk};

impl<'a> Walk<'a, '_> {
    /// Fragment Spread Type Existence, and Fragments on Object, Interface or Union Types: a fragment is of an object.
    /// Returns it.
    pub(super) fn condition(&mut self, condition: &Positioned<TypeCondition>) -> Option<&'a TypeDefinition> {
        let name = &condition.node.on;
        let kind = self.model.named(&name.node);
        match kind.map(|kind| &kind.kind) {
            Some(TypeKind::Object(_)) => return kind,
            Some(_) => self.errors.add(name.pos, format!("{} has no fields for a fragment", name.node)),
            None => self.errors.add(name.pos, format!("there is no type {}", name.node)),
        }
        None
    }

    /// Fragment Spread Is Possible: a fragment of one object can't be of another.
    pub(super) fn spread_is_possible(
        &mut self,
        pos: Pos,
        parent: Option<&TypeDefinition>,
        own: Option<&TypeDefinition>,
    ) {
        if let (Some(parent), Some(own)) = (parent, own)
            && parent.name.node != own.name.node
        {
            let message = format!("a fragment on {} can't be spread in {}", own.name.node, parent.name.node);
            self.errors.add(pos, message);
        }
    }
}

/// Fragment Spread Target Defined: a fragment that is spread is in the document.
pub(super) fn spread_target_defined(document: &ExecutableDocument, errors: &mut Errors) {
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node);
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
    for Positioned { node: name, pos } in operations.chain(fragments).flat_map(spreads) {
        if !document.fragments.contains_key(name) {
            errors.add(*pos, format!("there is no fragment {name}"));
        }
    }
}

/// Fragment Spreads Must Not Form Cycles: no fragment spreads itself, not even by another. Time: one pass,
/// and the time to sort the fragments.
pub(super) fn spreads_must_not_form_cycles(document: &ExecutableDocument, errors: &mut Errors) {
    let mut states = HashMap::new();
    // In the order of the document, so that a cycle has the same error each time.
    let mut fragments: Vec<_> = document.fragments.iter().collect();
    fragments.sort_by_key(|(_, fragment)| fragment.pos);
    fragments.into_iter().for_each(|(name, _)| visit(document, name, &mut states, errors));
}

/// The progress of the visit to a fragment.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Begun,
    Done,
}

fn visit<'a>(
    document: &'a ExecutableDocument,
    name: &'a Name,
    states: &mut HashMap<&'a Name, State>,
    errors: &mut Errors,
) {
    let Some(fragment) = document.fragments.get(name) else { return };
    if states.contains_key(name) {
        return;
    }
    states.insert(name, State::Begun);
    for Positioned { node: name, pos } in spreads(&fragment.node.selection_set.node) {
        if states.get(name) == Some(&State::Begun) {
            errors.add(*pos, format!("the fragment {name} spreads itself"));
        }
        visit(document, name, states, errors);
    }
    states.insert(name, State::Done);
}

/// The names of the fragments that a set spreads by itself.
fn spreads(set: &SelectionSet) -> Vec<&Positioned<Name>> {
    let selections = set.items.iter().map(|selection| &selection.node);
    let of_each = selections.flat_map(|selection| match selection {
        Selection::FragmentSpread(spread) => vec![&spread.node.fragment_name],
        Selection::Field(field) => spreads(&field.node.selection_set.node),
        Selection::InlineFragment(fragment) => spreads(&fragment.node.selection_set.node),
    });
    of_each.collect()
}

/// Fragments Must Be Used: each is spread by an operation, or by a fragment that is. `spread` holds those.
pub(super) fn must_be_used(document: &ExecutableDocument, spread: &HashSet<&&Name>, errors: &mut Errors) {
    for (name, fragment) in document.fragments.iter().filter(|(name, _)| !spread.contains(name)) {
        errors.add(fragment.pos, format!("the fragment {name} is not used"));
    }
}
