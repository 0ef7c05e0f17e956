//! Chooses the operation of a document, and coerces its variables.

use std::mem;

use async_graphql::{
    Number, Positioned, Value, Variables,
    parser::types::{BaseType, DocumentOperations, ExecutableDocument, OperationDefinition, Type, VariableDefinition},
};

use super::code::{Code, Fault, Refusal};

/// The operation of this name, or the only one.
///
/// # Errors
/// When there is none of the name, or several and no name.
pub(super) fn choose<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a OperationDefinition, Fault> {
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

/// The values of the variables that an operation defines; one that is neither given nor has a default is left out. Values
/// of others are there too, and nothing uses them.
///
/// # Errors
/// When a value is not of its variable's type, or one that is required is not given.
pub(super) fn coerce(operation: &OperationDefinition, mut given: Variables) -> Result<Variables, Refusal> {
    for Positioned { node: VariableDefinition { name, var_type, default_value, .. }, pos } in
        &operation.variable_definitions
    {
        let refused = |wrong: String| {
            let message = format!("the variable ${} of type {} {wrong}", name.node, var_type.node);
            Refusal::at(*pos, Code::BadUserInput, message)
        };
        match (given.get_mut(&name.node), default_value) {
            (Some(value), _) => *value = belonging(mem::take(value), &var_type.node).map_err(refused)?,
            (None, Some(default)) => _ = given.insert(name.node.clone(), default.node.clone()),
            (None, None) if var_type.node.nullable => {}
            (None, None) => return Err(refused("is required, but not given".into())),
        }
    }
    Ok(given)
}

/// The longest text that is taken. The only texts are names of types, which the introspection may be asked about.
const TEXT_BYTES: usize = 256;

/// Coerces a value to a type. Lists and objects are refused, since no argument takes them.
///
/// # Errors
/// A description of the mismatch, when the value is not of the type.
fn belonging(value: Value, kind: &Type) -> Result<Value, String> {
    let name = match &kind.base {
        BaseType::Named(name) => name.as_str(),
        BaseType::List(_) => "",
    };
    match (name, &value) {
        ("Int", Value::Number(number)) if is_int(number) => Ok(value),
        ("Int", Value::Number(number)) if let Some(int) = whole(number) => Ok(int.into()),
        ("Boolean", Value::Boolean(_)) => Ok(value),
        ("String", Value::String(text)) if text.len() <= TEXT_BYTES => Ok(value),
        (_, Value::Null) if kind.nullable => Ok(value),
        (_, Value::List(_)) => Err("can't be a list".into()),
        (_, Value::Object(_)) => Err("can't be an object".into()),
        ("Int", _) => Err(format!("can't be {value}: {INTS}")),
        _ => Err(format!("can't be {value}")),
    }
}

/// The Int of a number whose fractional part is empty, such as 5.0 and 5e0: JSON has one type of numbers.
fn whole(number: &Number) -> Option<i32> {
    let ints = f64::from(i32::MIN)..=f64::from(i32::MAX);
    let float = number.as_f64().filter(|float| float.fract() == 0.0 && ints.contains(float))?;
    #[expect(clippy::cast_possible_truncation, reason = "it is an Int")]
    Some(float as i32)
}

/// The range of Int, for messages.
pub(super) const INTS: &str = "an Int is a whole number from -2147483648 to 2147483647";

/// Whether a number is in the range of GraphQL's Int.
pub(super) fn is_int(number: &Number) -> bool {
    number.as_i64().is_some_and(|int| i32::try_from(int).is_ok())
}
