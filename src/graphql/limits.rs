//! `limits`: what a server admits.

use super::{
    cost::digits_per_request,
    declaration::{Declaration, Field, Leaf, Object},
    root::{Objects, Root},
};
use crate::{evaluator, telemetry::Kind};

pub(super) const LIMITS: Root = Root {
    declaration: Declaration {
        name: "limits",
        description: "What this server admits, so that a client can say so before it asks.",
        kind: "Limits!",
        arguments: &[],
    },
    kind: Kind::Introspection,
    register: Objects::<Limits>::register,
    plan: |_, limits| Ok(Objects::<Limits>::constant(Limits(*limits))),
};

#[derive(Clone)]
pub(super) struct Limits(evaluator::Limits);

impl Object for Limits {
    const NAME: &'static str = "Limits";
    const DESCRIPTION: &'static str =
        "What this server admits. Operators set the limits, so that they may differ from server to server.";
    const FIELDS: &'static [Field<Self>] = &[
        Field::leaf("maxN", "Int!", "The largest n of `fib`.", |limits| Leaf::Integer(limits.0.max_n.get().into())),
        Field::leaf("maxTerms", "Int!", "The largest number of terms of `pi`.", |_| {
            Leaf::Integer(evaluator::Limits::MAX_TERMS.into())
        }),
        Field::leaf(
            "maxPiDigits",
            "Int!",
            "How many digits of π there are: `from` and `count` of `piDigits` together.",
            |limits| Leaf::Integer(limits.0.max_pi_digits.get() as u64),
        ),
        Field::leaf("maxCount", "Int!", "The most values of `fibs` and of `piConvergence`.", |_| {
            Leaf::Integer(evaluator::Limits::MAX_COUNT.into())
        }),
        Field::leaf(
            "digitsPerRequest",
            "Int!",
            "How many digits a request may evaluate, and how many it may render. Of π it may evaluate all digits that there are.",
            |limits| Leaf::Integer(digits_per_request(&limits.0) as u64),
        ),
    ];
}
