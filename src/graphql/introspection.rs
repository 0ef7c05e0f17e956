//! How much an introspection answers. The schema is small, but a list within a list within a list is not.

use async_graphql::parser::types::{Field, Selection, SelectionSet};

/// Whether a root field is about the schema.
pub(super) fn is_introspection(field: &Field) -> bool {
    matches!(field.name.node.as_str(), "__schema" | "__type")
}

/// How many values these fields have at most, in normal form. Every list is taken for the longest of its name.
pub(super) fn values(selections: &SelectionSet) -> usize {
    let of_field = |selection: &Selection| match selection {
        Selection::Field(field) => {
            let each = values(&field.node.selection_set.node).saturating_add(1);
            longest(&field.node.name.node).saturating_mul(each)
        }
        _ => 0,
    };
    selections.items.iter().fold(0, |sum: usize, selection| sum.saturating_add(of_field(&selection.node)))
}

/// The length of the longest list of this name.
fn longest(field: &str) -> usize {
    match field {
        "types" => 18,
        "fields" => 12,
        "args" => 2,
        "enumValues" | "locations" => 19,
        "directives" => 6,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use async_graphql::{Value, parser::parse_query};

    use super::*;
    use crate::graphql::builder;

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
            let document = parse_query(text).unwrap();
            values(&document.operations.iter().next().unwrap().1.node.selection_set.node)
        };
        assert_eq!(values_of("{ __schema { queryType { name } } }"), 3);
        assert_eq!(values_of("{ __schema { types { name fields { name } } } }"), 1 + 18 * (1 + 1 + 12 * 2));
    }
}
