//! Selections, sorted by the keys of the response.

use std::{collections::HashMap, convert::Infallible};

use async_graphql::{
    Name, Positioned,
    parser::types::{Directive, ExecutableDocument, Field, Selection, SelectionSet},
};
use foldhash::quality::RandomState;
use smallvec::SmallVec;

/// The selections for one object: for each key of the answer its fields, in the order in which keys are first met.
pub(super) type ByKey<'a> = Vec<(&'a Name, SmallVec<[&'a Positioned<Field>; 1]>)>;

/// Keys that are compared one by one. Most objects have fewer, and hashing them would take longer.
const FEW_KEYS: usize = 16;

/// The selections so far, and the places of their keys if they are not few.
#[derive(Default)]
struct Sorted<'a> {
    fields: ByKey<'a>,
    places: HashMap<&'a Name, usize, RandomState>,
}

impl<'a> Sorted<'a> {
    fn add(&mut self, key: &'a Name, field: &'a Positioned<Field>) {
        let place = if self.fields.len() <= FEW_KEYS {
            self.fields.iter().position(|(known, _)| *known == key)
        } else {
            self.places.get(key).copied()
        };
        if let Some(place) = place {
            return self.fields[place].1.push(field);
        }
        self.fields.push((key, SmallVec::from_elem(field, 1)));
        if self.fields.len() > FEW_KEYS {
            let new = self.places.len()..self.fields.len();
            self.places.extend(new.map(|place| (self.fields[place].0, place)));
        }
    }
}

/// Sorts the fields that these sets select, fragments included, without those that directives exclude.
///
/// # Errors
/// When the condition of a directive has no value.
pub(super) fn by_key<'a, E>(
    document: &'a ExecutableDocument,
    sets: &[&'a SelectionSet],
    is_included: &impl Fn(&[Positioned<Directive>]) -> Result<bool, E>,
) -> Result<ByKey<'a>, E> {
    let mut sorted = Sorted::default();
    for set in sets {
        collect(document, set, is_included, &mut sorted)?;
    }
    Ok(sorted.fields)
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
    sorted: &mut Sorted<'a>,
) -> Result<(), E> {
    for selection in &set.items {
        if !is_included(selection.node.directives())? {
            continue;
        }
        match &selection.node {
            Selection::Field(field) => sorted.add(&field.node.response_key().node, field),
            // There are neither interfaces nor unions: a fragment that is valid applies.
            Selection::InlineFragment(fragment) => {
                collect(document, &fragment.node.selection_set.node, is_included, sorted)?;
            }
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = document.fragments.get(&spread.node.fragment_name.node) {
                    collect(document, &fragment.node.selection_set.node, is_included, sorted)?;
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
