//! `fib`: Fibonacci numbers.

use std::sync::Arc;

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

use super::{
    declaration::{Answer, Argument, Declaration, Field, Leaf, Object, Printing, digits},
    root::{Asked, Root},
};
use crate::{
    evaluator::{self, Decimal, Question},
    math::fib::Index,
    telemetry::Kind,
};

pub(super) const FIB: Root<Fibonacci> = Root {
    declaration: Declaration {
        name: "fib",
        description: "The Fibonacci number F(n), exact to its last digit: F(0) = 0, F(1) = 1, F(n) = F(n−1) + F(n−2).",
        kind: "Fibonacci",
        arguments: &[N],
    },
    kind: Kind::Fib,
    ask: |arguments, evaluator| {
        let index = evaluator.index(arguments.int(&N))?;
        let object = move |answers: &evaluator::Answers| Ok(Fibonacci { index, answer: answers.fib(index)? });
        Ok(Asked { question: Some(Question::Fib(index)), object: Box::new(object) })
    },
};

const N: Argument = Argument {
    name: "n",
    description: "Which one: 0 or more, at most 10,000,000 unless the operator set another limit.",
    default: None,
};

const DIGITS: Argument = Argument { name: "digits", description: "How many digits: 0 or more.", default: Some(20) };

pub(super) struct Fibonacci {
    index: Index,
    answer: evaluator::Answer<Arc<Decimal>>,
}

impl Object for Fibonacci {
    const NAME: &'static str = "Fibonacci";
    const DESCRIPTION: &'static str = "A Fibonacci number.";
    const FIELDS: &'static [Field<Self>] = &[
        Field::plain("n", "Int!", "The index n of F(n).", |fibonacci, _| {
            Answer::Ready(Leaf::Integer(fibonacci.index.get().into()))
        }),
        Field {
            declaration: Declaration {
                name: "result",
                description: "All digits of F(n). For large n ask for `leading` and `trailing` instead: F(10,000,000) has two \
                              million digits.",
                kind: "BigInt!",
                arguments: &[],
            },
            digits: |_| Ok(usize::MAX),
            answer: |fibonacci, digits| fibonacci.printed(digits, |value, _| value.digits()),
        },
        Field::plain(
            "cached",
            "Boolean!",
            "Whether F(n) was known before this request. Once F(n) was answered, every F(m) with m up to n and 100,000 is.",
            |fibonacci, _| Answer::Ready(Leaf::Boolean(fibonacci.answer.cached)),
        ),
        Field::plain("digitCount", "Int!", "How many digits F(n) has.", |fibonacci, _| {
            Answer::Ready(Leaf::Integer(fibonacci.answer.value.digit_count() as u64))
        }),
        Field {
            declaration: Declaration {
                name: "leading",
                description: "The first digits of F(n), at most all of them.",
                kind: "String!",
                arguments: &[DIGITS],
            },
            digits: |arguments| digits(&DIGITS, arguments),
            answer: |fibonacci, digits| fibonacci.printed(digits, Decimal::leading),
        },
        Field {
            declaration: Declaration {
                name: "trailing",
                description: "The last digits of F(n), at most all of them; leading zeros are kept.",
                kind: "String!",
                arguments: &[DIGITS],
            },
            digits: |arguments| digits(&DIGITS, arguments),
            answer: |fibonacci, digits| fibonacci.printed(digits, Decimal::trailing),
        },
    ];
}

impl Fibonacci {
    fn printed(&self, digits: usize, print: fn(&Decimal, usize) -> String) -> Answer {
        Answer::Printed(Printing { value: Arc::clone(&self.answer.value), digits, print })
    }
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
