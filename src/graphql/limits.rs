//! `limits`: what a server admits.

use super::{
    cost::digits_per_request,
    declaration::{Answer, Declaration, Field, Leaf, Object},
    root::{Asked, Root},
};
use crate::{
    math::{fib::Index, pi::Terms},
    telemetry::Kind,
};

pub(super) const LIMITS: Root<Limits> = Root {
    declaration: Declaration {
        name: "limits",
        description: "What this server admits, so that a client can say so before it asks.",
        kind: "Limits!",
        arguments: &[],
    },
    kind: Kind::Introspection,
    ask: |_, evaluator| {
        let max_n = evaluator.max_n();
        Ok(Asked { question: None, object: Box::new(move |_| Ok(Limits { max_n })) })
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
        Field::plain("maxN", "Int!", "The largest n of `fib`.", |limits, _| integer(limits.max_n.get() as usize)),
        Field::plain("maxTerms", "Int!", "The largest number of terms of `pi`.", |_, _| {
            integer(Terms::MAX.get() as usize)
        }),
        Field::plain(
            "digitsPerRequest",
            "Int!",
            "How many digits of Fibonacci numbers a request may evaluate, and how many it may render.",
            |limits, _| integer(digits_per_request(limits.max_n)),
        ),
    ];
}

fn integer(value: usize) -> Answer {
    Answer::Ready(Leaf::Integer(value as u64))
}
