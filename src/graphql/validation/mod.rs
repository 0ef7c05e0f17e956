//! Validation: the rules of section 5 of the specification (September 2025), each a function of its name, in a file for
//! each of the section's parts.
//!
//! A [`Walk`] visits every definition once and checks each node against the rules that need no more than that. The
//! uses of variables and fragments that it collects are then checked against the rules for whole operations.

mod arguments;
mod directives;
mod documents;
mod errors;
mod fields;
mod fragments;
mod operations;
mod values;
mod variables;
mod walk;

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, Positioned,
    parser::types::{
        DirectiveLocation, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet,
        TypeDefinition,
    },
};

use self::{
    errors::Errors,
    walk::{Uses, Walk},
};
use super::{
    code::Refusal,
    guard,
    model::{Model, name_of},
    parser::Definitions,
};

/// The document of these definitions.
///
/// # Errors
/// When a rule is broken, or the document spreads to too much.
pub(super) fn check(definitions: Definitions, model: &Model) -> Result<ExecutableDocument, Refusal> {
    let mut errors = Errors::default();
    documents::operation_name_uniqueness(&definitions, &mut errors);
    documents::lone_anonymous_operation(&definitions, &mut errors);
    documents::fragment_name_uniqueness(&definitions, &mut errors);
    errors.check()?;
    let document = definitions.into_document();
    let mut errors = Errors::default();
    fragments::spread_target_defined(&document, &mut errors);
    fragments::spreads_must_not_form_cycles(&document, &mut errors);
    errors.check()?;
    // From here on all spreads may be followed.
    guard::check_document(&document)?;
    let mut errors = Errors::default();
    check_definitions(&document, model, &mut errors);
    errors.check()?;
    Ok(document)
}

fn check_definitions(document: &ExecutableDocument, model: &Model, errors: &mut Errors) {
    let mut of_fragments = HashMap::new();
    for (name, fragment) in &document.fragments {
        let mut walk = Walk { document, model, errors, uses: Uses::default() };
        let parent = walk.condition(&fragment.node.type_condition);
        walk.directives(&fragment.node.directives, DirectiveLocation::FragmentDefinition);
        walk.selections(&fragment.node.selection_set.node, parent);
        of_fragments.insert(name, walk.uses);
    }
    let of_operations: Vec<_> = document
        .operations
        .iter()
        .map(|(_, operation)| {
            let mut walk = Walk { document, model, errors, uses: Uses::default() };
            walk.operation(operation);
            (operation, walk.uses)
        })
        .collect();
    let mut spread = HashSet::new();
    for (operation, own) in &of_operations {
        // A fragment with errors has them again for each operation that spreads it.
        if errors.is_full() {
            return;
        }
        let uses = reachable(own, &of_fragments);
        spread.extend(uses.iter().flat_map(|uses| &uses.spreads));
        variables::uses_defined(&operation.node, &uses, errors);
        variables::must_be_used(&operation.node, &uses, errors);
        variables::usages_are_allowed(&operation.node, &uses, model, errors);
        fields::merging(document, &operation.node, errors);
        if operation.node.ty == OperationType::Subscription {
            operations::single_root_field(document, operation, errors);
        }
    }
    fragments::must_be_used(document, &spread, errors);
}

/// The uses of a definition and of all fragments that it spreads, each once.
fn reachable<'a, 'b>(own: &'b Uses<'a>, of_fragments: &'b HashMap<&'a Name, Uses<'a>>) -> Vec<&'b Uses<'a>> {
    let (mut found, mut seen) = (vec![own], HashSet::new());
    let mut next = 0;
    while let Some(uses) = found.get(next) {
        let spreads = uses.spreads.iter().filter(|name| seen.insert(**name)).filter_map(|name| of_fragments.get(name));
        found.extend(spreads.collect::<Vec<_>>());
        next += 1;
    }
    found
}

impl<'a> Walk<'a, '_> {
    fn operation(&mut self, operation: &'a Positioned<OperationDefinition>) {
        let location = match operation.node.ty {
            OperationType::Query => DirectiveLocation::Query,
            OperationType::Mutation => DirectiveLocation::Mutation,
            OperationType::Subscription => DirectiveLocation::Subscription,
        };
        let root = self.operation_type_existence(operation);
        self.directives(&operation.node.directives, location);
        variables::uniqueness(&operation.node, self.errors);
        for definition in &operation.node.variable_definitions {
            self.variable_is_input_type(definition);
            self.default_value(&definition.node);
            self.directives(&definition.node.directives, DirectiveLocation::VariableDefinition);
        }
        self.selections(&operation.node.selection_set.node, root);
    }

    /// Visits the selections of a type; when it is `None`, there is no such type, which was reported.
    fn selections(&mut self, set: &'a SelectionSet, parent: Option<&'a TypeDefinition>) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    self.directives(&field.node.directives, DirectiveLocation::Field);
                    let definition = parent.and_then(|parent| self.field_selection(field, parent));
                    let arguments = definition.map(|definition| &definition.arguments[..]);
                    self.arguments(field.pos, &field.node.name.node, &field.node.arguments, arguments);
                    let below = definition.and_then(|definition| self.model.named(name_of(&definition.ty.node)));
                    if let Some(below) = below {
                        self.leaf_field_selection(field, below);
                    }
                    self.selections(&field.node.selection_set.node, below);
                }
                Selection::InlineFragment(fragment) => {
                    self.directives(&fragment.node.directives, DirectiveLocation::InlineFragment);
                    let condition = fragment.node.type_condition.as_ref();
                    let own = condition.map_or(parent, |condition| self.condition(condition));
                    self.spread_is_possible(fragment.pos, parent, own);
                    self.selections(&fragment.node.selection_set.node, own);
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.node.directives, DirectiveLocation::FragmentSpread);
                    let fragment = self.document.fragments.get(&spread.node.fragment_name.node);
                    let own =
                        fragment.and_then(|fragment| self.model.named(&fragment.node.type_condition.node.on.node));
                    self.spread_is_possible(spread.pos, parent, own);
                    self.uses.spreads.push(&spread.node.fragment_name.node);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::Pos;

    use super::{errors::ERRORS, *};
    use crate::graphql::{code::Code, parser::parse, schema::sdl};

    /// The first error of a document, with its place.
    fn told(text: &str) -> Option<String> {
        let definitions = parse(text).unwrap_or_else(|refusal| panic!("{text}: {refusal:?}"));
        let refusal = check(definitions, &Model::of_sdl(&sdl())).err()?;
        assert_eq!(refusal.code, Code::ValidationFailed, "{text}");
        let error = &refusal.errors[0];
        let Pos { line, column } = error.locations[0];
        Some(format!("{line}:{column} {}", error.message))
    }

    #[test]
    fn what_is_valid_is_taken() {
        for text in [
            "{ __typename ...f } fragment f on Query { __typename fib(n: -0) { ... on Fibonacci { n } ... { n } } }",
            "query A($n: Int = 5) { ...f } query B($n: Int!) { ...f } fragment f on Query { fib(n: $n) { n } }",
            "query($b: Boolean!) { fib(n: 1) { n __typename @include(if: $b) } }",
            "query($n: Int) { fib(n: 1) { leading(digits: $n) } __typename @skip(if: false) @include(if: true) }",
            "{ a: fib(n: 1) { n } a: fib(n: 1) { cached } __type(name: \"Query\") { fields { args { name } } } }",
            "{ __schema { types { name enumValues(includeDeprecated: true) { name } } } }",
            "subscription { a: piConvergence(terms: 1) { terms } ...f }
             fragment f on Subscription { a: piConvergence(terms: 1) { terms @skip(if: true) } }",
        ] {
            assert_eq!(told(text), None, "{text}");
        }
    }

    /// A rule, a document that breaks it, and how its first error begins; in the order of the specification.
    const BROKEN: [(&str, &str, &str); 37] = [
        ("Operation Type Existence", "mutation { a }", "1:1 the schema has no mutations"),
        ("Operation Name Uniqueness", "query A { a } query A { b }", "1:21 there are two operations named A"),
        ("Lone Anonymous Operation", "{ a } query A { b }", "1:1 of several operations each needs a name"),
        (
            "Single Root Field",
            "query A { __typename } subscription B { ...f } fragment f on Subscription {
                 a: piConvergence(terms: 1) { terms } b: piConvergence(terms: 1) { terms } }",
            "2:55 a subscription has one field, but this one has 2",
        ),
        (
            "Single Root Field",
            "subscription { ... @include(if: true) { piConvergence(terms: 1) { terms } } }",
            "1:20 the field of a subscription can't be left out by @skip or @include",
        ),
        ("Single Root Field", "subscription { __typename }", "1:16 a subscription can't have the field __typename"),
        ("Field Selections", "{ fob }", "1:3 the type Query has no field fob; it has fib, fibs"),
        ("Field Selections", "{ __typename fib(n: 1) { __schema { description } } }", "1:26 the type Fibonacci has"),
        (
            "Field Selection Merging",
            "{ a: __typename ...{ a: fib(n: 1) { n } } }",
            "1:22 the key a stands for different",
        ),
        ("Leaf Field Selections", "{ fib(n: 1) }", "1:3 select fields of fib, which is an object: fib { … }"),
        ("Leaf Field Selections", "{ __typename { a } }", "1:14 __typename of type String has no fields to select"),
        ("Argument Names", "{ __typename(a: 1) }", "1:14 __typename has no argument a; it has none"),
        ("Argument Names", "{ a: __typename @skip(if: true, iff: 1) }", "1:33 skip has no argument iff; it has if"),
        ("Argument Uniqueness", "{ fib(n: 1, n: 1) { n } }", "1:13 the argument n is given twice"),
        ("Required Arguments", "{ fib { n } }", "1:3 fib needs the argument n of type Int!"),
        ("Required Arguments", "{ __typename @skip }", "1:14 skip needs the argument if of type Boolean!"),
        (
            "Fragment Name Uniqueness",
            "{ ...f } fragment f on Query { pi } fragment f on Query { fib }",
            "1:46 there are two fragments named f",
        ),
        ("Fragment Spread Type Existence", "{ ... on Nothing { a } }", "1:10 there is no type Nothing"),
        ("Fragments on Object Types", "{ ... on Int { a } }", "1:10 Int has no fields for a fragment"),
        (
            "Fragments Must Be Used",
            "{ __typename } fragment f on Query { ...g } fragment g on Query { __typename }",
            "1:16 the fragment f is not used",
        ),
        ("Fragment Spread Target Defined", "{ ...f }", "1:6 there is no fragment f"),
        (
            "Fragment Spreads Must Not Form Cycles",
            "{ ...f } fragment f on Query { ... { ...f } }",
            "1:41 the fragment f spreads itself",
        ),
        (
            "Fragment Spread Is Possible",
            "{ ...f } fragment f on Fibonacci { n }",
            "1:3 a fragment on Fibonacci can't be spread in Query",
        ),
        ("Values of Correct Type", "{ fib(n: 5.0) { n } }", "1:10 the argument n of type Int! can't be 5.0"),
        (
            "Values of Correct Type",
            "{ __typename @skip(if: YES) }",
            "1:24 the argument if of type Boolean! can't be YES",
        ),
        (
            "Values of Correct Type",
            "query($n: Int = \"5\") { fib(n: $n) { n } }",
            "1:17 the variable $n of type Int can't be \"5\"",
        ),
        ("Directives Are Defined", "{ __typename @no }", "1:14 there is no directive @no"),
        (
            "Directives Are in Valid Locations",
            "query @skip(if: true) { pi }",
            "1:7 the directive @skip can't stand at a query",
        ),
        (
            "Directives Are in Valid Locations",
            "query($n: Int! @include(if: true)) { fib(n: $n) { n } }",
            "1:16 the directive @include can't stand at the definition of a variable",
        ),
        (
            "Directives Are Unique per Location",
            "{ __typename @skip(if: true) @skip(if: true) }",
            "1:30 the directive @skip is given twice",
        ),
        (
            "Variable Uniqueness",
            "query($n: Int!, $n: Int!) { fib(n: $n) { n } }",
            "1:17 the variable $n is defined twice",
        ),
        ("Variables Are Input Types", "query($n: ID) { fib(n: $n) { n } }", "1:11 there is no type ID"),
        (
            "Variables Are Input Types",
            "query($n: [Query]) { fib(n: $n) { n } }",
            "1:11 the variable $n can't be of type Query, which only answers have",
        ),
        (
            "All Variable Uses Defined",
            "query A($n: Int!) { ...f } query B { ...f } fragment f on Query { fib(n: $n) { n } }",
            "1:74 the variable $n is not defined",
        ),
        ("All Variables Used", "query($n: Int) { __typename }", "1:7 the variable $n is not used"),
        (
            "All Variable Usages Are Allowed",
            "query($n: [Int!]!) { fib(n: $n) { n } }",
            "1:29 the variable $n of type [Int!]! can't be the argument n of type Int!",
        ),
        (
            "All Variable Usages Are Allowed",
            "query($b: Boolean) { __typename @skip(if: $b) }",
            "1:43 the variable $b of type Boolean can't be the argument if of type Boolean!",
        ),
    ];

    #[test]
    fn each_rule_has_its_error() {
        for (rule, text, expected) in BROKEN {
            let told = told(text).unwrap_or_else(|| panic!("{rule}: {text}"));
            assert!(told.starts_with(expected), "{rule}: {text}: {told}");
        }
    }

    #[test]
    fn a_cycle_has_the_same_error_each_time() {
        let text = "{ ...a } fragment a on Query { ...b } fragment b on Query { ...c } fragment c on Query { ...a }";
        for _ in 0..32 {
            assert_eq!(told(text).as_deref(), Some("1:93 the fragment a spreads itself"));
        }
    }

    #[test]
    fn a_fragment_of_many_operations_has_few_errors() {
        let uses: String = (0..900).map(|k| format!(" $a{k}")).collect();
        let operations: String = (0..200).map(|k| format!(" query q{k} {{ ...f }}")).collect();
        let text = format!("fragment f on Query {{ fib(n: [{uses}]) {{ n }} }} {operations}");
        let refusal = check(parse(&text).unwrap(), &Model::of_sdl(&sdl())).unwrap_err();
        assert_eq!((refusal.errors.len(), refusal.errors.capacity()), (ERRORS, ERRORS));
    }

    #[test]
    fn errors_come_in_the_order_of_the_document_and_are_few() {
        let text = format!("{{ {} ...f }} fragment f on Query {{ a b }}", "fob ".repeat(20));
        let refusal = check(parse(&text).unwrap(), &Model::of_sdl(&sdl())).unwrap_err();
        assert_eq!(refusal.errors.len(), ERRORS);
        assert!(refusal.errors.is_sorted_by_key(|error| error.locations[0].column));
    }
}
