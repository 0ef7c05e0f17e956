//! `pi`: approximations of π.

use super::{
    declaration::{Answer, Argument, Declaration, Field, Leaf, Object},
    root::{Asked, Root},
};
use crate::{
    evaluator::{self, Question},
    math::pi::{self, Terms},
    telemetry::Kind,
};

pub(super) const PI: Root<PiApproximation> = Root {
    declaration: Declaration {
        name: "pi",
        description: "π approximated by √(6·(1/1² + 1/2² + … + 1/terms²)), correctly rounded.",
        kind: "PiApproximation",
        arguments: &[TERMS],
    },
    kind: Kind::Pi,
    ask: |arguments, evaluator| {
        let terms = evaluator.terms(arguments.int(&TERMS))?;
        let object = move |answers: &evaluator::Answers| Ok(PiApproximation { terms, answer: answers.pi(terms)? });
        Ok(Asked { question: Some(Question::Pi(terms)), object: Box::new(object) })
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
        Field::plain("terms", "Int!", "How many terms of the series were summed.", |pi, _| {
            Answer::Ready(Leaf::Integer(pi.terms.get().into()))
        }),
        Field::plain(
            "result",
            "Float!",
            "The correctly rounded value of √(6·(1/1² + 1/2² + … + 1/terms²)).",
            |pi, _| Answer::Ready(Leaf::Float(pi.answer.value)),
        ),
        Field::plain(
            "cached",
            "Boolean!",
            "Whether this approximation was known before this request. Each number of terms is known by itself.",
            |pi, _| Answer::Ready(Leaf::Boolean(pi.answer.cached)),
        ),
        Field::plain("error", "Float!", "π − result, correctly rounded; always positive.", |pi, _| {
            Answer::Ready(Leaf::Float(pi::error(pi.answer.value)))
        }),
    ];
}
