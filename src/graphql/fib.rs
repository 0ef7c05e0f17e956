//! `fib` and `fibs`: Fibonacci numbers.

use std::sync::Arc;

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

use super::{
    code::Fault,
    declaration::{Answer, Argument, Arguments, Declaration, Field, Leaf, Object, Print},
    root::{Objects, Root, Subject},
};
use crate::{
    evaluator::{self, Decimal},
    math::fib::{self, Index},
    telemetry::Kind,
};

pub(super) const FIB: Root = Root {
    declaration: Declaration {
        name: "fib",
        description: "The Fibonacci number F(n), exact to its last digit: F(0) = 0, F(1) = 1, F(n) = F(n−1) + F(n−2).",
        kind: "Fibonacci",
        arguments: &[N],
    },
    kind: Kind::Fib,
    register: Objects::<Fibonacci>::register,
    plan: |arguments, limits| Ok(Objects::<Fibonacci>::one(limits.index(N.name, arguments.given(&N))?)),
};

const N: Argument = Argument {
    name: "n",
    description: "Which one: 0 or more, at most 10,000,000 unless the operator set another limit.",
    default: None,
};

pub(super) const FIBS: Root = Root {
    declaration: Declaration {
        name: "fibs",
        description: "Fibonacci numbers in a row: F(from), F(from + 1) and so on, `count` of them.",
        kind: "[Fibonacci!]",
        arguments: &[FROM, COUNT],
    },
    kind: Kind::Fib,
    register: Objects::<Fibonacci>::register,
    plan: |arguments, limits| {
        Ok(Objects::<Fibonacci>::list(limits.indices(arguments.given(&FROM), arguments.given(&COUNT))?))
    },
};

const FROM: Argument = Argument { name: "from", description: "The index of the first one.", default: Some(0) };

const COUNT: Argument = Argument { name: "count", description: "How many: 1 to 1,000.", default: Some(10) };

const DIGITS: Argument = Argument { name: "digits", description: "How many digits: 0 or more.", default: Some(20) };

pub(super) struct Fibonacci {
    index: Index,
    answer: evaluator::Answer<Arc<Decimal>>,
}

impl Subject for Fibonacci {
    type Question = Index;

    fn of(index: Index, answer: evaluator::Answer<Arc<Decimal>>) -> Self {
        Self { index, answer }
    }

    fn digits(index: Index) -> usize {
        fib::digit_count(index)
    }
}

impl Object for Fibonacci {
    const NAME: &'static str = "Fibonacci";
    const DESCRIPTION: &'static str = "A Fibonacci number.";
    const FIELDS: &'static [Field<Self>] = &[
        Field::leaf("n", "Int!", "The index n of F(n).", |fibonacci| Leaf::Integer(fibonacci.index.get().into())),
        Field {
            declaration: Declaration {
                name: "result",
                description: "All digits of F(n). For large n ask for `leading` and `trailing` instead: F(10,000,000) has two \
                              million digits.",
                kind: "BigInt!",
                arguments: &[],
            },
            answer: Answer::Digits {
                count: |_| Ok(usize::MAX),
                print: |fibonacci, _| fibonacci.print(Decimal::digits),
            },
        },
        Field::leaf(
            "cached",
            "Boolean!",
            "Whether F(n) was known before this request. Once F(n) was answered, every F(m) with m up to n and 100,000 is.",
            |fibonacci| Leaf::Boolean(fibonacci.answer.cached),
        ),
        Field::leaf("digitCount", "Int!", "How many digits F(n) has.", |fibonacci| {
            Leaf::Integer(fibonacci.answer.value.digit_count() as u64)
        }),
        Field {
            declaration: Declaration {
                name: "leading",
                description: "The first digits of F(n), at most all of them.",
                kind: "String!",
                arguments: &[DIGITS],
            },
            answer: Answer::Digits {
                count,
                print: |fibonacci, digits| fibonacci.print(move |value| value.leading(digits)),
            },
        },
        Field {
            declaration: Declaration {
                name: "trailing",
                description: "The last digits of F(n), at most all of them; leading zeros are kept.",
                kind: "String!",
                arguments: &[DIGITS],
            },
            answer: Answer::Digits {
                count,
                print: |fibonacci, digits| fibonacci.print(move |value| value.trailing(digits)),
            },
        },
    ];
}

impl Fibonacci {
    fn print(&self, print: impl FnOnce(&Decimal) -> String + Send + 'static) -> Print {
        let value = Arc::clone(&self.answer.value);
        Box::new(move || print(&value))
    }
}

fn count(arguments: &Arguments) -> Result<usize, Fault> {
    arguments.digits(&DIGITS)
}

/// The scalar of `result`, for the schema: no argument has it, and answers are written as they are printed.
pub(super) struct BigInt(String);

/// An integer of any size in decimal. Always a string: a JSON number loses digits beyond 2^53 in JavaScript.
#[Scalar]
impl ScalarType for BigInt {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(digits) => Ok(Self(digits)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}
