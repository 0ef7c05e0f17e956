//! Declarations: the name, the words, the arguments, the cost and the answer of a field stand together, in the file of
//! its type, and no other file knows its name. The schema and the plan of a query are both made from them.

use async_graphql::{Name, Positioned};
use async_graphql_value::ConstValue;
use bytes::Bytes;

use super::code::{Code, Fault};
use crate::evaluator::{Evaluator, Failure, Given};

/// A field as the schema shows it.
pub(super) struct Declaration {
    pub(super) name: &'static str,
    /// Written for a person in GraphiQL who reads nothing else.
    pub(super) description: &'static str,
    /// Its type, as in the schema definition language.
    pub(super) kind: &'static str,
    pub(super) arguments: &'static [Argument],
}

/// An argument, of type `Int!`. It is read as an `i64` and its range is checked by its field, so that the error says what
/// the range is.
pub(super) struct Argument {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) default: Option<i64>,
}

/// The values of the arguments of a field, by their names. (Those that are no integers are left out: validation has refused
/// them.)
pub(super) struct Arguments<'a>(Vec<(&'a str, i64)>);

impl<'a> FromIterator<(&'a Positioned<Name>, Positioned<ConstValue>)> for Arguments<'a> {
    fn from_iter<V: IntoIterator<Item = (&'a Positioned<Name>, Positioned<ConstValue>)>>(values: V) -> Self {
        let int = |(name, value): (&'a Positioned<Name>, Positioned<ConstValue>)| match value.node {
            ConstValue::Number(number) => Some((name.node.as_str(), number.as_i64()?)),
            _ => None,
        };
        Self(values.into_iter().filter_map(int).collect())
    }
}

impl Arguments<'_> {
    /// The value of an argument, or its default. Validation has made sure that one of them is there.
    pub(super) fn int(&self, argument: &Argument) -> i64 {
        let given = self.0.iter().find(|(name, _)| *name == argument.name);
        given.map(|&(_, value)| value).or(argument.default).unwrap_or_default()
    }

    /// The value of an argument, whose range is still to be checked.
    pub(super) fn given(&self, argument: &Argument) -> Given<'static> {
        Given::Number(self.int(argument))
    }

    /// The value of an argument that is a number of digits.
    ///
    /// # Errors
    /// When it is negative.
    pub(super) fn digits(&self, argument: &Argument) -> Result<usize, Fault> {
        let (name, digits) = (argument.name, self.int(argument));
        digits.try_into().map_err(|_| {
            let message = format!("{name} must be a whole number from 0 to {}, but it is {digits}", i32::MAX);
            Fault::new(Code::BadUserInput, message)
        })
    }
}

/// A type of objects in the schema, whose values are these.
pub(super) trait Object: Sized + Send + Sync + 'static {
    const NAME: &'static str;
    const DESCRIPTION: &'static str;
    const FIELDS: &'static [Field<Self>];

    /// The field of this name.
    fn field(name: &str) -> Option<&'static Field<Self>> {
        Self::FIELDS.iter().find(|field| field.declaration.name == name)
    }
}

/// A field of objects of this type. It has no fields below.
pub(super) struct Field<T: 'static> {
    pub(super) declaration: Declaration,
    pub(super) answer: Answer<T>,
}

/// The source of a field's answer.
pub(super) enum Answer<T: 'static> {
    /// By a value that is at hand.
    Leaf(fn(&T) -> Leaf),
    /// By digits, of which there may be many millions.
    Digits {
        /// The digits that it renders with these arguments, at most.
        ///
        /// # Errors
        /// When an argument is out of range.
        count: fn(&Arguments) -> Result<usize, Fault>,
        /// Prints as many digits.
        print: fn(&T, usize) -> Print,
    },
}

/// Prints digits.
pub(super) type Print = Box<dyn FnOnce() -> String + Send>;

impl<T> Field<T> {
    /// A field without arguments whose value is at hand.
    pub(super) const fn leaf(
        name: &'static str,
        kind: &'static str,
        description: &'static str,
        leaf: fn(&T) -> Leaf,
    ) -> Self {
        Self { declaration: Declaration { name, description, kind, arguments: &[] }, answer: Answer::Leaf(leaf) }
    }

    /// The digits that it renders with these arguments, at most; 0 when it is no text.
    ///
    /// # Errors
    /// When an argument is out of range.
    pub(super) fn digits(&self, arguments: &Arguments) -> Result<usize, Fault> {
        match self.answer {
            Answer::Leaf(_) => Ok(0),
            Answer::Digits { count, .. } => count(arguments),
        }
    }

    /// Its value for an object, with this many digits. Text is printed where long work may be done.
    ///
    /// # Errors
    /// When printing fails.
    pub(super) async fn value(&self, object: &T, digits: usize, evaluator: &Evaluator) -> Result<Leaf, Failure> {
        match self.answer {
            Answer::Leaf(leaf) => Ok(leaf(object)),
            Answer::Digits { print, .. } => Ok(Leaf::Text(evaluator.text(digits, print(object, digits)).await?.into())),
        }
    }
}

/// A value without fields.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Leaf {
    Integer(u64),
    Float(f64),
    Boolean(bool),
    /// Text that needs no escapes in JSON.
    Text(Bytes),
}
