//! `pi`: approximations of π.

use async_graphql::OutputType;

use super::{
    declaration::{Argument, Declaration, Field, Leaf, Object},
    library::Declared,
    root::{Root, planned},
};
use crate::{
    evaluator::{self, Question},
    math::pi::{self, Terms},
    telemetry::Kind,
};

pub(super) const PI: Root = Root {
    declaration: Declaration {
        name: "pi",
        description: "π approximated by √(6·(1/1² + 1/2² + … + 1/terms²)), correctly rounded.",
        kind: "PiApproximation",
        arguments: &[TERMS],
    },
    kind: Kind::Pi,
    register: Declared::<PiApproximation>::create_type_info,
    plan: |arguments, evaluator| {
        let terms = evaluator.terms(arguments.int(&TERMS))?;
        Ok(planned(Some(Question::Pi(terms)), move |answers| Ok(PiApproximation { terms, answer: answers.pi(terms)? })))
    },
};

const TERMS: Argument = Argument {
    name: "terms",
    description: "How many terms of the series to sum: 0 to 2,147,483,647. More terms come closer to π.",
    default: None,
};

pub(super) struct PiApproximation {
    pub(super) terms: Terms,
    pub(super) answer: evaluator::Answer<f64>,
}

impl Object for PiApproximation {
    const NAME: &'static str = "PiApproximation";
    const DESCRIPTION: &'static str = "An approximation of π.";
    const FIELDS: &'static [Field<Self>] = &[
        Field::leaf("terms", "Int!", "How many terms of the series were summed.", |pi| {
            Leaf::Integer(pi.terms.get().into())
        }),
        Field::leaf(
            "result",
            "Float!",
            "The correctly rounded value of √(6·(1/1² + 1/2² + … + 1/terms²)).",
            |pi| Leaf::Float(pi.answer.value),
        ),
        Field::leaf(
            "cached",
            "Boolean!",
            "Whether this approximation was known before this request. Each number of terms is known by itself.",
            |pi| Leaf::Boolean(pi.answer.cached),
        ),
        Field::leaf("error", "Float!", "π − result, correctly rounded; always positive.", |pi| {
            Leaf::Float(pi::error(pi.answer.value))
        }),
    ];
}
