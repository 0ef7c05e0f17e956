//! Which operation of a document is executed, with which variables.

use async_graphql::{
    Number, Value, Variables,
    parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition, Type, VariableDefinition},
};

use super::code::{Code, Fault};

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

/// The values of the variables that an operation defines; one that is neither given nor has a default is left out.
///
/// # Errors
/// When a value is not of its variable's type, or one that is required is not given.
pub(super) fn coerce(operation: &OperationDefinition, mut given: Variables) -> Result<Variables, Fault> {
    let mut values = Variables::default();
    for definition in &operation.variable_definitions {
        let VariableDefinition { name, var_type, default_value, .. } = &definition.node;
        let value = given.remove(&name.node).or_else(|| default_value.as_ref().map(|default| default.node.clone()));
        let fits = match &value {
            None => var_type.node.nullable,
            Some(value) => belongs(value, &var_type.node),
        };
        if !fits {
            let wrong = match value {
                None => "is required, but not given".into(),
                Some(Value::List(_)) => "can't be a list".into(),
                Some(Value::Object(_)) => "can't be an object".into(),
                Some(value) => format!("can't be {value}"),
            };
            let message = format!("the variable ${} of type {} {wrong}", name.node, var_type.node);
            return Err(Fault::new(Code::BadUserInput, message));
        }
        values.extend(value.map(|value| (name.node.clone(), value)));
    }
    Ok(values)
}

/// The longest text that is taken. The only texts are names of types, which the introspection may be asked about.
const TEXT_BYTES: usize = 256;

/// Whether a value is of the type of a variable, which is that of an argument. No argument takes null, not even where
/// the variable would.
fn belongs(value: &Value, kind: &Type) -> bool {
    match (&*kind.base.to_string(), value) {
        ("Int", Value::Number(number)) => is_int(number),
        ("Boolean", Value::Boolean(_)) => true,
        ("String", Value::String(text)) => text.len() <= TEXT_BYTES,
        _ => false,
    }
}

/// Whether a number is in the range of GraphQL's Int.
pub(super) fn is_int(number: &Number) -> bool {
    number.as_i64().is_some_and(|int| i32::try_from(int).is_ok())
}
