//! What the library's validation leaves unsaid of arguments: a number has to be an Int, and a variable of a type that
//! its place takes.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, Pos, Positioned,
    parser::types::{
        Directive, ExecutableDocument, OperationDefinition, Selection, SelectionSet, Type, VariableDefinition,
    },
};
use async_graphql_value::{ConstValue, Value};

use super::{
    code::{Code, Refusal},
    operation::is_int,
};

/// The types of all arguments, by their names.
const KINDS: [&str; 3] = ["Int", "Boolean", "String"];

/// What an argument takes.
struct Place {
    kind: &'static str,
    is_required: bool,
    has_default: bool,
}

/// What the argument of this name takes, wherever it stands; `None` when there is no such argument.
fn place(argument: &str) -> Option<Place> {
    let (kind, is_required, has_default) = match argument {
        "n" | "terms" => ("Int", true, false),
        "digits" | "points" => ("Int", true, true),
        "if" => ("Boolean", true, false),
        // Of the introspection.
        "name" => ("String", true, false),
        "includeDeprecated" => ("Boolean", false, true),
        _ => return None,
    };
    Some(Place { kind, is_required, has_default })
}

impl Place {
    /// Whether a variable may stand here, as the specification has it (`IsVariableUsageAllowed`).
    fn takes(&self, variable: &VariableDefinition) -> bool {
        let Type { base, nullable } = &variable.var_type.node;
        let has_default = variable.default_value.as_ref().is_some_and(|default| default.node != ConstValue::Null);
        base.to_string() == self.kind && (!self.is_required || !nullable || has_default || self.has_default)
    }

    fn type_name(&self) -> String {
        format!("{}{}", self.kind, if self.is_required { "!" } else { "" })
    }
}

/// A variable that stands for an argument.
struct Use<'a> {
    variable: &'a Name,
    argument: &'a Name,
    pos: Pos,
}

/// What a selection uses by itself, without the fragments that it spreads.
#[derive(Default)]
struct Uses<'a> {
    variables: Vec<Use<'a>>,
    spreads: Vec<&'a Name>,
}

/// Refuses arguments that are not what their places take. Time: operations × fragments, which the guard bounds.
pub(super) fn check(document: &ExecutableDocument) -> Result<(), Refusal> {
    let fragments = document.fragments.iter().map(|(name, fragment)| {
        let mut uses = Uses::default();
        uses.of(&fragment.node.selection_set.node)?;
        Ok((name, uses))
    });
    let fragments: HashMap<_, _> = fragments.collect::<Result<_, Refusal>>()?;
    for (_, operation) in document.operations.iter() {
        operation.node.variable_definitions.iter().try_for_each(check_type)?;
        let mut uses = Uses::default();
        uses.of(&operation.node.selection_set.node)?;
        check_variables(&operation.node, &uses, &fragments, &mut HashSet::new())?;
    }
    Ok(())
}

/// Refuses a variable that can't stand anywhere. (The library panics at a list of an unknown type that has a default.)
fn check_type(variable: &Positioned<VariableDefinition>) -> Result<(), Refusal> {
    let VariableDefinition { name, var_type, .. } = &variable.node;
    if KINDS.contains(&&*var_type.node.base.to_string()) {
        return Ok(());
    }
    let message =
        format!("the variable ${} can't be of type {}: arguments are {}", name.node, var_type.node, KINDS.join(", "));
    Err(Refusal::at(variable.pos, Code::ValidationFailed, message))
}

/// Refuses variables of an operation that are of another type than their places, once in each fragment.
fn check_variables<'a>(
    operation: &OperationDefinition,
    uses: &Uses<'a>,
    fragments: &HashMap<&Name, Uses<'a>>,
    seen: &mut HashSet<&'a Name>,
) -> Result<(), Refusal> {
    for Use { variable, argument, pos } in &uses.variables {
        // One that is not defined is the library's to tell.
        let definition =
            operation.variable_definitions.iter().find(|definition| definition.node.name.node == **variable);
        if let (Some(definition), Some(place)) = (definition, place(argument))
            && !place.takes(&definition.node)
        {
            let (kind, type_name) = (&definition.node.var_type.node, place.type_name());
            let message =
                format!("the variable ${variable} of type {kind} can't be the argument {argument} of type {type_name}");
            return Err(Refusal::at(*pos, Code::ValidationFailed, message));
        }
    }
    for name in &uses.spreads {
        if let Some(uses) = fragments.get(*name)
            && seen.insert(name)
        {
            check_variables(operation, uses, fragments, seen)?;
        }
    }
    Ok(())
}

impl<'a> Uses<'a> {
    fn of(&mut self, selections: &'a SelectionSet) -> Result<(), Refusal> {
        for selection in &selections.items {
            self.directives(selection.node.directives())?;
            match &selection.node {
                Selection::Field(field) => {
                    self.arguments(&field.node.arguments)?;
                    self.of(&field.node.selection_set.node)?;
                }
                Selection::InlineFragment(fragment) => self.of(&fragment.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => self.spreads.push(&spread.node.fragment_name.node),
            }
        }
        Ok(())
    }

    fn directives(&mut self, directives: &'a [Positioned<Directive>]) -> Result<(), Refusal> {
        directives.iter().try_for_each(|directive| self.arguments(&directive.node.arguments))
    }

    fn arguments(&mut self, arguments: &'a [(Positioned<Name>, Positioned<Value>)]) -> Result<(), Refusal> {
        for (Positioned { node: argument, .. }, Positioned { node: value, pos }) in arguments {
            // An argument that there is not is the library's to tell, as is a constant of another type.
            let Some(place) = place(argument) else { continue };
            let fits = match value {
                Value::Variable(variable) => {
                    self.variables.push(Use { variable, argument, pos: *pos });
                    true
                }
                // The library would take what fits an `i64`, …
                Value::Number(number) => is_int(number),
                // … and does not see variables within.
                Value::List(_) | Value::Object(_) => false,
                _ => true,
            };
            if !fits {
                let message = format!("the argument {argument} of type {} can't be {value}", place.type_name());
                return Err(Refusal::at(*pos, Code::ValidationFailed, message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::{
        parse_schema,
        types::{TypeKind, TypeSystemDefinition},
    };

    use super::*;
    use crate::graphql::sdl;

    #[test]
    fn each_argument_of_the_schema_has_its_place() {
        let schema = parse_schema(sdl()).unwrap();
        let types = schema.definitions.into_iter().filter_map(|definition| match definition {
            TypeSystemDefinition::Type(definition) => Some(definition.node.kind),
            _ => None,
        });
        let fields = types.flat_map(|kind| match kind {
            TypeKind::Object(object) => object.fields,
            _ => Vec::new(),
        });
        let mut met = 0;
        for argument in fields.flat_map(|field| field.node.arguments) {
            let argument = argument.node;
            let place = place(&argument.name.node).expect("each argument has a place");
            assert_eq!(place.type_name(), argument.ty.node.to_string(), "{}", argument.name.node);
            assert_eq!(place.has_default, argument.default_value.is_some(), "{}", argument.name.node);
            met += 1;
        }
        assert!(met >= 4, "{met} arguments");
    }
}
