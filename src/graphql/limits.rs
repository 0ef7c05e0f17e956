//! `limits`: what a server admits.

use async_graphql::OutputType;

use super::{
    cost::digits_per_request,
    declaration::{Declaration, Field, Leaf, Object},
    library::Declared,
    root::{Root, planned},
};
use crate::{
    math::{fib::Index, pi::Terms},
    telemetry::Kind,
};

pub(super) const LIMITS: Root = Root {
    declaration: Declaration {
        name: "limits",
        description: "What this server admits, so that a client can say so before it asks.",
        kind: "Limits!",
        arguments: &[],
    },
    kind: Kind::Introspection,
    register: Declared::<Limits>::create_type_info,
    plan: |_, evaluator| {
        let max_n = evaluator.max_n();
        Ok(planned(None, move |_| Ok(Limits { max_n })))
    },
};

pub(super) struct Limits {
    max_n: Index,
}

impl Object for Limits {
    const NAME: &'static str = "Limits";
    const DESCRIPTION: &'static str =
        "What this server admits. Operators set the limits, so that they may differ from server to server.";
    const FIELDS: &'static [Field<Self>] = &[
        Field::leaf("maxN", "Int!", "The largest n of `fib`.", |limits| Leaf::Integer(limits.max_n.get().into())),
        Field::leaf("maxTerms", "Int!", "The largest number of terms of `pi`.", |_| {
            Leaf::Integer(Terms::MAX.get().into())
        }),
        Field::leaf(
            "digitsPerRequest",
            "Int!",
            "How many digits of Fibonacci numbers a request may evaluate, and how many it may render.",
            |limits| Leaf::Integer(digits_per_request(limits.max_n) as u64),
        ),
    ];
}
