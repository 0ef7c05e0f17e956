//! Fields sorted by their keys, and whether those of one key are one field.

use async_graphql::{
    Name, Positioned,
    indexmap::IndexMap,
    parser::types::{Directive, ExecutableDocument, Field, Selection, SelectionSet},
};

use super::code::{Code, Fault, Refusal};

/// What is selected for one object: for each key of the answer its fields, in the order in which keys are first met.
pub(super) type ByKey<'a> = IndexMap<&'a Name, Vec<&'a Positioned<Field>>>;

/// Sorts what any of these sets selects, fragments included. What its directives exclude is left out.
///
/// # Errors
/// When a directive can't tell whether it does.
pub(super) fn by_key<'a>(
    document: &'a ExecutableDocument,
    sets: &[&'a SelectionSet],
    is_included: &impl Fn(&[Positioned<Directive>]) -> Result<bool, Fault>,
) -> Result<ByKey<'a>, Fault> {
    let mut fields = ByKey::new();
    for set in sets {
        collect(document, set, is_included, &mut fields)?;
    }
    Ok(fields)
}

fn collect<'a>(
    document: &'a ExecutableDocument,
    set: &'a SelectionSet,
    is_included: &impl Fn(&[Positioned<Directive>]) -> Result<bool, Fault>,
    fields: &mut ByKey<'a>,
) -> Result<(), Fault> {
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

/// What is selected below fields of one key.
pub(super) fn below<'a>(same: &[&'a Positioned<Field>]) -> Vec<&'a SelectionSet> {
    same.iter().map(|field| &field.node.selection_set.node).collect()
}

/// Refuses a document in which one key of an answer stands for different fields, be they included or not (Field
/// Selection Merging in the specification; the library's own rule sees neither fragments nor what is merged below).
/// Time: that of the document with all fragments spread, which the guard bounds.
pub(super) fn check(document: &ExecutableDocument) -> Result<(), Refusal> {
    document
        .operations
        .iter()
        .try_for_each(|(_, operation)| check_sets(document, &[&operation.node.selection_set.node]))
}

fn check_sets(document: &ExecutableDocument, sets: &[&SelectionSet]) -> Result<(), Refusal> {
    for (key, same) in by_key(document, sets, &|_| Ok(true))? {
        if let Some(other) = same.iter().find(|field| !is_same(&field.node, &same[0].node)) {
            let message = format!("the key {key} stands for different fields: give one of them another alias");
            return Err(Refusal::at(other.pos, Code::ValidationFailed, message));
        }
        check_sets(document, &below(&same))?;
    }
    Ok(())
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
