//! Reads the selections of an operation, given the values of its variables: fragments are spread, directives applied, and
//! arguments have their values.

use async_graphql::{
    Name, PathSegment, Pos, Positioned, ServerError, Variables,
    parser::types::{Directive, ExecutableDocument, Field, SelectionSet},
};
use async_graphql_value::{ConstValue, Value};

use super::{
    code::{self, Code},
    cost::{self, Size},
    selections::{ByKey, by_key},
};

/// A reader, at a place within an operation.
pub(super) struct Reader<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    /// The way down to the place.
    path: Vec<Way<'a>>,
    /// The memory of the fields so far.
    pub(super) size: Size,
    /// The bytes of the errors of an operation each of whose fields so far fails.
    pub(super) error_bytes: usize,
}

/// A step on the way to a place.
#[derive(Clone, Copy)]
enum Way<'a> {
    Key(&'a Name),
    /// The first item of a list. If it can't be answered no other one is.
    Item,
}

/// A variable has neither a value nor a default.
struct NoValue;

impl<'a> Reader<'a> {
    /// A reader at the root of an operation of a document.
    pub(super) fn new(document: &'a ExecutableDocument, variables: &'a Variables) -> Self {
        Self { document, variables, path: Vec::new(), size: Size::default(), error_bytes: 0 }
    }

    /// Reads what is at the field of this key below.
    pub(super) fn at<T>(&mut self, key: &'a Name, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(Way::Key(key));
        self.size = self.size + cost::of_field(key);
        let length = |way: &Way| match way {
            Way::Key(key) => key.len(),
            Way::Item => 1,
        };
        self.error_bytes += cost::bytes_of_error(self.path.iter().map(length));
        let result = read(self);
        self.path.pop();
        result
    }

    /// Reads what is within an item, if the place is a list.
    pub(super) fn within<T>(&mut self, is_list: bool, read: impl FnOnce(&mut Self) -> T) -> T {
        let depth = self.path.len();
        self.path.extend(is_list.then_some(Way::Item));
        let result = read(self);
        self.path.truncate(depth);
        result
    }

    /// The fields that these sets select for one object, without those that directives exclude. The guard bounds them,
    /// and validation has made sure that fields of one key are the same.
    ///
    /// # Errors
    /// When the condition of a directive is neither true nor false.
    pub(super) fn fields(&self, sets: &[&'a SelectionSet]) -> Result<ByKey<'a>, ServerError> {
        by_key(self.document, sets, &|directives| self.is_included(directives))
    }

    /// The arguments of a field, without those whose variable has no value.
    ///
    /// # Errors
    /// When one is null.
    pub(super) fn arguments(&self, field: &'a Field) -> impl Iterator<Item = Result<Argument<'a>, ServerError>> {
        field.arguments.iter().filter_map(|(name, value)| match self.constant(&value.node) {
            // No argument takes null, which a variable may have although it has a default or its place has one.
            Ok(ConstValue::Null) => {
                Some(Err(self.error(value.pos, format!("the argument {} can't be null", name.node))))
            }
            Ok(constant) => Some(Ok((name, Positioned::new(constant, value.pos)))),
            Err(NoValue) => None,
        })
    }

    /// An error at the place, with the code `BAD_USER_INPUT`.
    pub(super) fn error(&self, pos: Pos, message: String) -> ServerError {
        let mut error = ServerError::new(message, Some(pos));
        let segment = |way: &Way| match way {
            Way::Key(key) => PathSegment::Field(key.to_string()),
            Way::Item => PathSegment::Index(0),
        };
        error.path = self.path.iter().map(segment).collect();
        code::complete(&mut error, Code::BadUserInput);
        error
    }

    fn is_included(&self, directives: &[Positioned<Directive>]) -> Result<bool, ServerError> {
        Ok(directives.is_empty()
            || self.condition(directives, "skip")? != Some(true)
                && self.condition(directives, "include")? != Some(false))
    }

    /// The condition of a directive, if it is there.
    fn condition(&self, directives: &[Positioned<Directive>], name: &str) -> Result<Option<bool>, ServerError> {
        let directive = directives.iter().find(|directive| directive.node.name.node == name);
        let Some(value) = directive.and_then(|directive| directive.node.get_argument("if")) else { return Ok(None) };
        match self.constant(&value.node) {
            Ok(ConstValue::Boolean(condition)) => Ok(Some(condition)),
            _ => Err(self.error(value.pos, format!("the condition of @{name} must be true or false"))),
        }
    }

    fn constant(&self, value: &Value) -> Result<ConstValue, NoValue> {
        value.clone().into_const_with(|name| self.variables.get(&name).cloned().ok_or(NoValue))
    }
}

/// An argument with its value.
pub(super) type Argument<'a> = (&'a Positioned<Name>, Positioned<ConstValue>);
