//! `pi` and `piConvergence`: approximations of π.

use super::{
    declaration::{Argument, Declaration, Field, Leaf, Object},
    root::{Objects, Root, Subject},
};
use crate::{
    evaluator,
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
    register: Objects::<PiApproximation>::register,
    plan: |arguments, limits| Ok(Objects::<PiApproximation>::one(limits.terms(arguments.given(&TERMS))?)),
};

const TERMS: Argument = Argument {
    name: "terms",
    description: "How many terms of the series to sum: 0 to 2,147,483,647. More terms come closer to π.",
    default: None,
};

pub(super) const PI_CONVERGENCE: Root = Root {
    declaration: Declaration {
        name: "piConvergence",
        description: "Approximations at up to `points` (1 to 1,000) different term counts, evenly spaced on a logarithmic \
                      scale from 1 to `terms`.",
        kind: "[PiApproximation!]",
        arguments: &[LARGEST, POINTS],
    },
    kind: Kind::Pi,
    register: Objects::<PiApproximation>::register,
    plan: |arguments, limits| {
        Ok(Objects::<PiApproximation>::list(limits.spaced(arguments.given(&LARGEST), arguments.given(&POINTS))?))
    },
};

const LARGEST: Argument =
    Argument { name: "terms", description: "The largest number of terms: 1 to 2,147,483,647.", default: None };

const POINTS: Argument =
    Argument { name: "points", description: "How many approximations at most: 1 to 1,000.", default: Some(50) };

pub(super) struct PiApproximation {
    pub(super) terms: Terms,
    pub(super) answer: evaluator::Answer<f64>,
}

impl Subject for PiApproximation {
    type Question = Terms;

    fn of(terms: Terms, answer: evaluator::Answer<f64>) -> Self {
        Self { terms, answer }
    }

    /// None: it has 17 of them, which cost nothing.
    fn digits(_: Terms) -> usize {
        0
    }
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
