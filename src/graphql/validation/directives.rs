//! Rules for directives (section 5.7 of the specification).

use async_graphql::{
    Positioned,
    parser::types::{Directive, DirectiveLocation},
};

use super::walk::Walk;

impl<'a> Walk<'a, '_> {
    /// Visits the directives at one location.
    pub(super) fn directives(&mut self, directives: &'a [Positioned<Directive>], location: DirectiveLocation) {
        // Directives Are Unique per Location: none of the schema is repeatable.
        let names = directives.iter().map(|directive| (&directive.node.name.node, directive.pos));
        self.errors.add_repeated(names, |name| format!("the directive @{name} is given twice"));
        for Positioned { node: Directive { name, arguments }, pos } in directives {
            // Directives Are Defined.
            let definition = self.model.directive(&name.node);
            match definition {
                None => self.errors.add(*pos, format!("there is no directive @{}", name.node)),
                // Directives Are in Valid Locations.
                Some(definition) if !definition.locations.iter().any(|valid| valid.node == location) => {
                    self.errors
                        .add(*pos, format!("the directive @{} can't stand at {}", name.node, described(location)));
                }
                Some(_) => {}
            }
            let definitions = definition.map(|definition| &definition.arguments[..]);
            self.arguments(*pos, &name.node, arguments, definitions);
        }
    }
}

/// The name of a location in an executable document.
fn described(location: DirectiveLocation) -> &'static str {
    match location {
        DirectiveLocation::Query => "a query",
        DirectiveLocation::Mutation => "a mutation",
        DirectiveLocation::Subscription => "a subscription",
        DirectiveLocation::Field => "a field",
        DirectiveLocation::FragmentDefinition => "the definition of a fragment",
        DirectiveLocation::FragmentSpread => "the spread of a fragment",
        DirectiveLocation::InlineFragment => "an inline fragment",
        DirectiveLocation::VariableDefinition => "the definition of a variable",
        _ => "a definition of the schema",
    }
}
