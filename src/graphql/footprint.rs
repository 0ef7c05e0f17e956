//! The memory that a parsed document takes: up to a hundred times its text, if its names are short.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned,
    parser::types::{
        BaseType, Directive, DocumentOperations, ExecutableDocument, FragmentDefinition, OperationDefinition,
        Selection, SelectionSet, Type, VariableDefinition,
    },
};
use async_graphql_value::{ConstValue, Value, indexmap::IndexMap};

/// The two counters of an `Arc`.
const COUNTERS: usize = 2 * size_of::<usize>();

/// The bytes that a document behind an `Arc` takes, with what the allocator takes for itself. Time: one pass.
pub(super) fn of(document: &ExecutableDocument) -> usize {
    let names = match &document.operations {
        DocumentOperations::Single(_) => 0,
        DocumentOperations::Multiple(operations) => map(operations),
    };
    let operations = document.operations.iter();
    let operations = operations.map(|(name, definition)| name.map_or(0, self::name) + operation(&definition.node));
    let fragments = document.fragments.iter().map(|(name, definition)| self::name(name) + fragment(&definition.node));
    allocated(COUNTERS + size_of::<ExecutableDocument>())
        + names
        + map(&document.fragments)
        + operations.sum::<usize>()
        + fragments.sum::<usize>()
}

fn operation(definition: &OperationDefinition) -> usize {
    list(&definition.variable_definitions, |definition| variable(&definition.node))
        + directives(&definition.directives)
        + selections(&definition.selection_set.node)
}

fn fragment(definition: &FragmentDefinition) -> usize {
    name(&definition.type_condition.node.on.node)
        + directives(&definition.directives)
        + selections(&definition.selection_set.node)
}

fn variable(definition: &VariableDefinition) -> usize {
    name(&definition.name.node)
        + kind(&definition.var_type.node)
        + directives(&definition.directives)
        + definition.default_value.as_ref().map_or(0, |default| constant(&default.node))
}

fn kind(kind: &Type) -> usize {
    match &kind.base {
        BaseType::Named(named) => name(named),
        BaseType::List(items) => allocated(size_of::<Type>()) + self::kind(items),
    }
}

fn directives(all: &Vec<Positioned<Directive>>) -> usize {
    list(all, |directive| name(&directive.node.name.node) + arguments(&directive.node.arguments))
}

fn arguments(all: &Vec<(Positioned<Name>, Positioned<Value>)>) -> usize {
    list(all, |(argument, given)| name(&argument.node) + value(&given.node))
}

fn selections(set: &SelectionSet) -> usize {
    list(&set.items, |selection| match &selection.node {
        Selection::Field(field) => {
            let field = &field.node;
            let alias = field.alias.as_ref().map_or(0, |alias| name(&alias.node));
            let names = alias + name(&field.name.node);
            names + arguments(&field.arguments) + directives(&field.directives) + selections(&field.selection_set.node)
        }
        Selection::FragmentSpread(spread) => {
            name(&spread.node.fragment_name.node) + directives(&spread.node.directives)
        }
        Selection::InlineFragment(fragment) => {
            let condition = fragment.node.type_condition.as_ref();
            let condition = condition.map_or(0, |condition| name(&condition.node.on.node));
            condition + directives(&fragment.node.directives) + selections(&fragment.node.selection_set.node)
        }
    })
}

fn value(given: &Value) -> usize {
    match given {
        Value::Variable(text) | Value::Enum(text) => name(text),
        Value::String(text) => allocated(text.capacity()),
        Value::List(items) => list(items, value),
        Value::Object(members) => object(members, value),
        // Binary values come from resolvers alone.
        Value::Null | Value::Number(_) | Value::Boolean(_) | Value::Binary(_) => 0,
    }
}

fn constant(given: &ConstValue) -> usize {
    match given {
        ConstValue::Enum(text) => name(text),
        ConstValue::String(text) => allocated(text.capacity()),
        ConstValue::List(items) => list(items, constant),
        ConstValue::Object(members) => object(members, constant),
        ConstValue::Null | ConstValue::Number(_) | ConstValue::Boolean(_) | ConstValue::Binary(_) => 0,
    }
}

/// A name is an `Arc<str>`; each is taken for one that nothing else shares.
fn name(name: &Name) -> usize {
    allocated(COUNTERS + name.len())
}

fn list<T>(items: &Vec<T>, below: impl Fn(&T) -> usize) -> usize {
    allocated(items.capacity() * size_of::<T>()) + items.iter().map(below).sum::<usize>()
}

fn map<K, V>(map: &HashMap<K, V>) -> usize {
    table(map.capacity(), size_of::<(K, V)>())
}

/// An `IndexMap` has its entries, each with its hash, in a list beside a table of their places.
fn object<T>(members: &IndexMap<Name, T>, below: impl Fn(&T) -> usize) -> usize {
    let entry = size_of::<(u64, Name, T)>();
    let entries = allocated(members.capacity() * entry) + table(members.capacity(), size_of::<usize>());
    entries + members.iter().map(|(member, given)| name(member) + below(given)).sum::<usize>()
}

/// A hash table has a power of two of buckets, of which at most 7 in 8 are used, and a byte for each; before them comes
/// padding, after them a group of bytes more.
fn table(capacity: usize, bucket: usize) -> usize {
    const AROUND: usize = 2 * 16;
    let buckets = (capacity + 1).next_power_of_two();
    if capacity == 0 { 0 } else { allocated(buckets * (bucket + 1) + AROUND) }
}

/// An allocation of this size, as an allocator such as glibc's makes it: with a header of 8 bytes, in steps of 16, and
/// of 32 at least.
fn allocated(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { (bytes + 8).next_multiple_of(16).max(32) }
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write, sync::Arc};

    use crate::graphql::parser::parse;

    use super::*;

    /// The text that `piece` makes for each number below `count`.
    fn repeated(count: usize, piece: impl Fn(usize) -> String) -> String {
        (0..count).fold(String::new(), |mut text, k| {
            write!(text, "{} ", piece(k)).unwrap();
            text
        })
    }

    fn cases() -> Vec<(&'static str, String)> {
        vec![
            ("one field", "{ n }".into()),
            ("990 fields", format!("{{ {} }}", "n ".repeat(990))),
            ("a long name", format!("{{ {} }}", "n".repeat(100_000))),
            ("nesting", format!("{}n{}", "{ n ".repeat(24), "}".repeat(24))),
            ("aliases", format!("{{ {} }}", repeated(100, |k| format!("a{k}: fib(n: {k}) {{ result cached }}")))),
            ("a list", format!("{{ n(a: [{}]) }}", "1 ".repeat(3_900))),
            ("lists", format!("{{ n(a: [{}]) }}", "[] [1] ".repeat(700))),
            ("an object", format!("{{ n(a: {{{}}}) }}", repeated(1_000, |k| format!("m{k}: {k}")))),
            ("objects", format!("{{ n(a: [{}]) }}", "{a: {b: \"c\"}} ".repeat(400))),
            ("strings", format!("{{ n(a: [{}]) }}", "\"\" \"a\" \"\"\"b\"\"\" ENUM $v ".repeat(600))),
            (
                "variables",
                format!("query({}) {{ n }}", repeated(90, |k| format!("$v{k}: [[Int!]!] = [{{a: \"b\", c: D}}] @a"))),
            ),
            ("directives", format!("{{ n {} }}", "@include(if: true) ".repeat(100))),
            (
                "fragments",
                repeated(90, |k| format!("fragment f{k} on Query {{ ...f{k} ... on Query {{ n }} ... @a {{ n }} }}"))
                    + "{ n }",
            ),
            ("operations", repeated(300, |k| format!("query q{k} {{ n }}"))),
        ]
    }

    #[test]
    fn is_an_upper_bound_that_is_tight() {
        for (what, text) in cases() {
            let parsed = || parse(&text).unwrap_or_else(|_| panic!("{what}")).into_document();
            // A copy has lists without spare room, and what the parser holds for good is there before the first measurement.
            let copied = || parsed().clone();
            copied();
            let makers: [&dyn Fn() -> ExecutableDocument; 2] = [&parsed, &copied];
            for make in makers {
                let mut document = None;
                let taken = allocation_counter::measure(|| document = Some(Arc::new(make())));
                let requested = usize::try_from(taken.bytes_current).unwrap();
                let allocations = usize::try_from(taken.count_current).unwrap();
                let bytes = document.map(|document| of(&document)).unwrap();
                // An allocator adds a header of 8 bytes at least.
                assert!(bytes >= requested + 8 * allocations, "{what}: {bytes} for {requested} in {allocations}");
                assert!(4 * bytes <= 5 * requested, "{what}: {bytes} for {requested} in {allocations}");
            }
        }
    }
}
