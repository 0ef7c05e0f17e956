//! Selections, sorted by the keys of the response.

use std::convert::Infallible;

use async_graphql::{
    Name, Positioned,
    indexmap::IndexMap,
    parser::types::{Directive, ExecutableDocument, Field, Selection, SelectionSet},
};
use foldhash::quality::RandomState;
use smallvec::SmallVec;

/// The selections for one object: for each key of the answer its fields, in the order in which keys are first met.
pub(super) type ByKey<'a> = IndexMap<&'a Name, SmallVec<[&'a Positioned<Field>; 1]>, RandomState>;

/// Sorts the fields that these sets select, fragments included, without those that directives exclude.
///
/// # Errors
/// When the condition of a directive has no value.
pub(super) fn by_key<'a, E>(
    document: &'a ExecutableDocument,
    sets: &[&'a SelectionSet],
    is_included: &impl Fn(&[Positioned<Directive>]) -> Result<bool, E>,
) -> Result<ByKey<'a>, E> {
    let count = sets.iter().map(|set| set.items.len()).sum();
    let mut fields = ByKey::with_capacity_and_hasher(count, RandomState::default());
    for set in sets {
        collect(document, set, is_included, &mut fields)?;
    }
    Ok(fields)
}

/// The same, with fields that directives exclude.
pub(super) fn all_by_key<'a>(document: &'a ExecutableDocument, sets: &[&'a SelectionSet]) -> ByKey<'a> {
    let Ok(fields) = by_key::<Infallible>(document, sets, &|_| Ok(true));
    fields
}

fn collect<'a, E>(
    document: &'a ExecutableDocument,
    set: &'a SelectionSet,
    is_included: &impl Fn(&[Positioned<Directive>]) -> Result<bool, E>,
    fields: &mut ByKey<'a>,
) -> Result<(), E> {
    for selection in &set.items {
        if !is_included(selection.node.directives())? {
            continue;
        }
        match &selection.node {
            Selection::Field(field) => fields.entry(&field.node.response_key().node).or_default().push(field),
            // There are neither interfaces nor unions: a fragment that is valid applies.
            Selection::InlineFragment(fragment) => {
                collect(document, &fragment.node.selection_set.node, is_included, fields)?;
            }
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = document.fragments.get(&spread.node.fragment_name.node) {
                    collect(document, &fragment.node.selection_set.node, is_included, fields)?;
                }
            }
        }
    }
    Ok(())
}

/// The selections below fields of one key.
pub(super) fn below<'a>(same: &[&'a Positioned<Field>]) -> Vec<&'a SelectionSet> {
    same.iter().map(|field| &field.node.selection_set.node).collect()
}
