//! Corrects the answers of the introspection, and counts their values. The schema is small, but a list within a list within a list is not.

use std::borrow::Cow;

use async_graphql::{
    ContextSelectionSet, OutputType, Positioned, ServerResult, Value,
    indexmap::IndexMap,
    parser::types::{Field, FieldDefinition, Selection},
    registry::{MetaField, MetaInputValue, MetaType, MetaTypeName, Registry},
};

use super::model;

/// Corrects the library's registry, so that the introspection says what the SDL and the specification (September 2025) say.
/// It is a type because the library shows its registry to nothing else.
pub(super) struct Corrections;

impl OutputType for Corrections {
    fn type_name() -> Cow<'static, str> {
        "Boolean".into()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        if !refers_to_id(registry) {
            registry.types.remove("ID");
        }
        for definition in model::standard_types() {
            if let Some(MetaType::Object { fields, .. }) = registry.types.get_mut(definition.name.node.as_str()) {
                correct(fields, model::fields(&definition));
            }
        }
        argument(registry, "deprecated", "reason", |reason| "String!".clone_into(&mut reason.ty));
        // Words that the SDL does not have.
        for directive in ["skip", "include"] {
            argument(registry, directive, "if", |condition| condition.description = None);
        }
        Self::type_name().into_owned()
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        Ok(Value::Null)
    }
}

/// Gives the fields of a type the order and the types of their definitions.
fn correct(fields: &mut IndexMap<String, MetaField>, definitions: &[Positioned<FieldDefinition>]) {
    fields.sort_by_cached_key(|name, _| definitions.iter().position(|field| field.node.name.node == *name));
    for FieldDefinition { name, ty, .. } in definitions.iter().map(|field| &field.node) {
        if let Some(field) = fields.get_mut(name.node.as_str()) {
            field.ty = ty.node.to_string();
        }
    }
}

fn refers_to_id(registry: &Registry) -> bool {
    let is_id = |kind: &str| MetaTypeName::concrete_typename(kind) == "ID";
    let mut fields = registry.types.values().filter_map(MetaType::fields).flat_map(|fields| fields.values());
    fields.any(|field| is_id(&field.ty) || field.args.values().any(|argument| is_id(&argument.ty)))
}

fn argument(registry: &mut Registry, directive: &str, name: &str, correct: impl FnMut(&mut MetaInputValue)) {
    let directive = registry.directives.get_mut(directive);
    directive.and_then(|directive| directive.args.get_mut(name)).into_iter().for_each(correct);
}

/// Whether a field of a type is null, whatever the library answers: its description of the schema says nothing of ours.
pub(super) fn is_null(parent: &str, field: &str) -> bool {
    (parent, field) == ("__Schema", "description")
}

/// The most values that these fields have, in normal form. Every list is taken for the longest of its name.
pub(super) fn values(selections: &[Positioned<Selection>]) -> usize {
    let of_field = |selection: &Selection| match selection {
        Selection::Field(field) => {
            let each = values(&field.node.selection_set.node.items).saturating_add(1);
            longest(&field.node.name.node).saturating_mul(each)
        }
        _ => 0,
    };
    selections.iter().fold(0, |sum: usize, selection| sum.saturating_add(of_field(&selection.node)))
}

/// The length of the longest list of this name.
fn longest(field: &str) -> usize {
    match field {
        "fields" => 12,
        "args" => 2,
        "types" | "enumValues" | "locations" => 19,
        "directives" => 6,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::graphql::{parser::parse, schema::builder};

    /// The length of the longest list of each name.
    fn measure(value: &Value, lists: &mut BTreeMap<String, usize>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if let Value::List(items) = value {
                        let longest = lists.entry(name.to_string()).or_default();
                        *longest = items.len().max(*longest);
                    }
                    measure(value, lists);
                }
            }
            Value::List(items) => items.iter().for_each(|item| measure(item, lists)),
            _ => {}
        }
    }

    #[tokio::test]
    async fn the_longest_lists_are_those_of_the_schema() {
        let schema = builder().finish();
        let everything = "{ __schema {
            directives { args { name } locations }
            types {
                name fields(includeDeprecated: true) { name args { name } } inputFields { name } interfaces { name }
                enumValues(includeDeprecated: true) { name } possibleTypes { name }
            }
        } }";
        let answer = schema.execute(everything).await;
        assert!(answer.errors.is_empty(), "{:?}", answer.errors);
        let mut lists = BTreeMap::new();
        measure(&answer.data, &mut lists);
        assert!(lists.len() >= 6, "{lists:?}");
        for (name, length) in lists {
            assert!(length <= longest(&name), "{name} has {length}");
        }
    }

    #[test]
    fn lists_within_lists_multiply() {
        let values_of = |text: &str| {
            let document = parse(text).unwrap().into_document();
            values(&document.operations.iter().next().unwrap().1.node.selection_set.node.items)
        };
        assert_eq!(values_of("{ __schema { queryType { name } } }"), 3);
        assert_eq!(values_of("{ __schema { types { name fields { name } } } }"), 1 + 19 * (1 + 1 + 12 * 2));
    }
}
