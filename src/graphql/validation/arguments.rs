//! Rules for arguments of fields and directives (section 5.4 of the specification).

use async_graphql::{Name, Pos, Positioned, parser::types::InputValueDefinition};

use super::walk::{Place, Walk};
use crate::graphql::parser::Argument;

impl<'a> Walk<'a, '_> {
    /// Visits the arguments of the field or directive `of`, given those that it takes; `None` when it is unknown.
    pub(super) fn arguments(
        &mut self,
        pos: Pos,
        of: &Name,
        arguments: &'a [Argument],
        definitions: Option<&'a [Positioned<InputValueDefinition>]>,
    ) {
        // Argument Uniqueness.
        let names = arguments.iter().map(|(name, _)| (&name.node, name.pos));
        self.errors.add_repeated(names, |name| format!("the argument {name} is given twice"));
        if let Some(definitions) = definitions {
            self.argument_names(of, arguments, definitions);
            self.required_arguments(pos, of, arguments, definitions);
        }
        for (name, value) in arguments {
            let definition = definitions.and_then(|definitions| definition(definitions, &name.node));
            let place = definition.map(|definition| Place {
                argument: &name.node,
                kind: &definition.ty.node,
                has_default: definition.default_value.is_some(),
            });
            self.value(value, place);
        }
    }

    /// Argument Names: there is an argument of this name.
    fn argument_names(&mut self, of: &Name, arguments: &[Argument], definitions: &[Positioned<InputValueDefinition>]) {
        for (name, _) in arguments.iter().filter(|(name, _)| definition(definitions, &name.node).is_none()) {
            let known: Vec<_> = definitions.iter().map(|definition| definition.node.name.node.as_str()).collect();
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            self.errors.add(name.pos, format!("{of} has no argument {:.40}; it has {known}", name.node));
        }
    }

    /// Required Arguments: an argument that takes no null and has no default is given. (A null that is given is the
    /// business of Values of Correct Type.)
    fn required_arguments(
        &mut self,
        pos: Pos,
        of: &Name,
        arguments: &[Argument],
        definitions: &[Positioned<InputValueDefinition>],
    ) {
        let required = definitions.iter().map(|definition| &definition.node);
        for definition in
            required.filter(|definition| !definition.ty.node.nullable && definition.default_value.is_none())
        {
            let InputValueDefinition { name, ty, .. } = definition;
            if !arguments.iter().any(|(given, _)| given.node == name.node) {
                self.errors.add(pos, format!("{of} needs the argument {} of type {}", name.node, ty.node));
            }
        }
    }
}

fn definition<'a>(
    definitions: &'a [Positioned<InputValueDefinition>],
    name: &Name,
) -> Option<&'a InputValueDefinition> {
    definitions.iter().map(|definition| &definition.node).find(|definition| definition.name.node == *name)
}
