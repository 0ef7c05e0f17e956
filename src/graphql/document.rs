//! What is checked of a request before the library validates and executes it, so that each refusal has its code.

use async_graphql::{
    Number, Request, Value, Variables,
    parser::{
        Error, parse_query,
        types::{
            BaseType, DocumentOperations, ExecutableDocument, OperationDefinition, Selection, SelectionSet,
            VariableDefinition,
        },
    },
};

use super::{
    code::{Code, Fault},
    types::DEFAULT_DIGITS,
};

/// Parses the document, finds its operation, and checks numbers and variables, which the library would find out field
/// by field and too late.
pub(super) fn prepare(mut request: Request) -> Result<Request, Fault> {
    let document = parse_query(&request.query).map_err(|error| parse_failed(&error))?;
    let operation = operation(&document, request.operation_name.as_deref())?;
    for variable in &operation.variable_definitions {
        coerce(&variable.node, &mut request.variables)?;
    }
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set);
    for selections in fragments.chain([&operation.selection_set]) {
        all_ints(&selections.node)?;
    }
    request.set_parsed_query(document);
    Ok(request)
}

/// The library's message quotes the source line, however long; the position tells as much.
fn parse_failed(error: &Error) -> Fault {
    let message = match error {
        Error::Syntax { start, .. } => {
            format!("the document is not GraphQL: syntax error at line {}, column {}", start.line, start.column)
        }
        other => format!("the document is not GraphQL: {other}"),
    };
    Fault::new(Code::ParseFailed, message)
}

fn operation<'a>(document: &'a ExecutableDocument, name: Option<&str>) -> Result<&'a OperationDefinition, Fault> {
    let unresolved = |message: String| Fault::new(Code::OperationResolutionFailure, message);
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Ok(&operation.node),
        (DocumentOperations::Single(_), Some(name)) => {
            Err(unresolved(format!("the document has no operation named {name:?}; leave operationName out")))
        }
        (DocumentOperations::Multiple(operations), Some(name)) => {
            let found = operations.get(name).map(|operation| &operation.node);
            found.ok_or_else(|| unresolved(format!("the document has no operation named {name:?}")))
        }
        (DocumentOperations::Multiple(operations), None) => {
            let mut all = operations.values();
            match (all.next(), all.next()) {
                (Some(only), None) => Ok(&only.node),
                _ => Err(unresolved("the document has several operations: name one in operationName".into())),
            }
        }
    }
}

/// Refuses a variable whose value is not of its type. The arguments of the schema are Int and Boolean; a variable of
/// another type is refused by validation.
fn coerce(definition: &VariableDefinition, variables: &mut Variables) -> Result<(), Fault> {
    let (name, kind) = (&definition.name.node, &definition.var_type.node);
    let is = |base: &str| matches!(&kind.base, BaseType::Named(name) if name == base);
    let default = definition.default_value.as_ref().map(|value| &value.node);
    let fits = match variables.get(name).or(default) {
        // The one argument that takes a nullable Int is that of digits: its default stands in. (The library takes a
        // variable without a value for one that is not defined.)
        None if kind.nullable && is("Int") => {
            variables.insert(name.clone(), DEFAULT_DIGITS.into());
            true
        }
        Some(Value::Number(number)) if is("Int") => is_int(number),
        // No argument of the schema takes null for a number.
        Some(_) if is("Int") => false,
        Some(Value::Boolean(_)) if is("Boolean") => true,
        None | Some(Value::Null) => kind.nullable,
        Some(_) => !is("Boolean"),
    };
    if fits {
        return Ok(());
    }
    let wrong = match variables.get(name).or(default) {
        None => "is required, but not given".into(),
        Some(value) => format!("can't be {value}"),
    };
    Err(Fault::new(Code::BadUserInput, format!("the variable ${name} of type {kind} {wrong}")))
}

/// Refuses a number that is no Int: there is no argument of any other numeric type. The parser bounds the depth.
fn all_ints(selections: &SelectionSet) -> Result<(), Fault> {
    for selection in &selections.items {
        match &selection.node {
            Selection::Field(field) => {
                for (name, value) in &field.node.arguments {
                    // A variable is no constant, and was checked as what it is.
                    if let Some(Value::Number(number)) = value.node.clone().into_const()
                        && !is_int(&number)
                    {
                        let message = format!("the argument {name} of type Int can't be {number}");
                        return Err(Fault::new(Code::ValidationFailed, message));
                    }
                }
                all_ints(&field.node.selection_set.node)?;
            }
            Selection::InlineFragment(fragment) => all_ints(&fragment.node.selection_set.node)?,
            // Its definition is visited by itself.
            Selection::FragmentSpread(_) => {}
        }
    }
    Ok(())
}

/// The range of GraphQL's Int.
fn is_int(number: &Number) -> bool {
    number.as_i64().is_some_and(|int| i32::try_from(int).is_ok())
}
