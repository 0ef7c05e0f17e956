//! `piDigits`: digits of π in a row.

use std::sync::Arc;

use super::{
    declaration::{Answer, Argument, Declaration, Field, Leaf, Object},
    root::{Objects, Root, Subject},
};
use crate::{
    evaluator::{self, Row},
    math::pi_digits::Span,
    telemetry::Kind,
};

pub(super) const PI_DIGITS: Root = Root {
    declaration: Declaration {
        name: "piDigits",
        description: "Digits of π itself, exact and cut, not rounded: `count` of them from digit `from` on. Digit 0 is the 3 \
                      before the point, digit k the k-th behind it.",
        kind: "PiDigits",
        arguments: &[FROM, COUNT],
    },
    kind: Kind::PiDigits,
    register: Objects::<PiDigits>::register,
    plan: |arguments, limits| {
        Ok(Objects::<PiDigits>::one(limits.span(arguments.given(&FROM), arguments.given(&COUNT))?))
    },
};

const FROM: Argument = Argument { name: "from", description: "The first digit: 0 is the 3.", default: Some(0) };

const COUNT: Argument = Argument {
    name: "count",
    description: "How many digits: 1 or more. `from` and `count` together are at most 1,000,000 unless the operator set \
                  another limit.",
    default: Some(100),
};

pub(super) struct PiDigits {
    answer: evaluator::Answer<Arc<Row>>,
}

impl PiDigits {
    fn span(&self) -> Span {
        self.answer.value.span()
    }
}

impl Subject for PiDigits {
    type Question = Span;

    fn of(_: Span, answer: evaluator::Answer<Arc<Row>>) -> Self {
        Self { answer }
    }

    fn digits(span: Span) -> usize {
        span.count()
    }
}

impl Object for PiDigits {
    const NAME: &'static str = "PiDigits";
    const DESCRIPTION: &'static str =
        "Digits of π in a row. Digit 0 is the 3 before the point, digit k the k-th behind it.";
    const FIELDS: &'static [Field<Self>] = &[
        Field::leaf("from", "Int!", "The first digit.", |digits| Leaf::Integer(digits.span().from() as u64)),
        Field::leaf("count", "Int!", "How many digits.", |digits| Leaf::Integer(digits.span().count() as u64)),
        Field {
            declaration: Declaration {
                name: "result",
                description: "The digits, without the point.",
                kind: "String!",
                arguments: &[],
            },
            answer: Answer::Digits {
                count: |_| Ok(usize::MAX),
                print: |digits, _| {
                    let row = Arc::clone(&digits.answer.value);
                    Box::new(move || row.digits())
                },
            },
        },
        Field::leaf(
            "cached",
            "Boolean!",
            "Whether all of the digits were known before this request. Once a digit was answered, every digit before it is.",
            |digits| Leaf::Boolean(digits.answer.cached),
        ),
    ];
}
