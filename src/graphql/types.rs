//! The types of the schema. Descriptions are written for a person in GraphiQL who reads nothing else.

use std::sync::Arc;

use async_graphql::{Context, InputValueError, InputValueResult, Object, Result, Scalar, ScalarType, Value};
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::{
    budget::digits_per_request,
    code::{Code, Fault},
    cost::DEFAULT_DIGITS,
};
use crate::{
    evaluator::{Answer, Answers, Evaluator},
    math::{
        decimal::Decimal,
        fib::Index,
        pi::{self, Terms},
    },
};

/// Digits on their way out, which may be millions: they are shared, and not copied.
pub(super) struct BigInt(Bytes);

/// An integer of any size in decimal. Always a string: a JSON number loses digits beyond 2^53 in JavaScript.
#[Scalar]
impl ScalarType for BigInt {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(digits) => Ok(Self(digits.into())),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::Binary(self.0.clone())
    }
}

/// The roots, which are answered before they run. A number in an argument is an `i64`, whose range is checked here or
/// before: the library's own check drops the field from the answer.
pub(super) struct Query;

/// Fibonacci numbers, exact to the last digit, and π from the Basel series, correctly rounded. Both remember what
/// they were asked: `cached` tells.
#[Object]
impl Query {
    /// The Fibonacci number F(n), exact to its last digit: F(0) = 0, F(1) = 1, F(n) = F(n−1) + F(n−2).
    async fn fib(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Which one: 0 or more, at most 10,000,000 unless the operator set another limit.")] n: i64,
    ) -> Option<Result<Fibonacci>> {
        let evaluator = context.data_unchecked::<Arc<Evaluator>>();
        let index = evaluator.index(n);
        let answer = index.map_err(Fault::from).and_then(|index| Ok((index, answers(context).fib(index)?)));
        Some(
            answer.map(|(index, answer)| Fibonacci { index, answer, text: OnceCell::new() }).map_err(Fault::into_error),
        )
    }

    /// π approximated by √(6·(1/1² + 1/2² + … + 1/terms²)), correctly rounded.
    async fn pi(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many terms of the series to sum: 0 to 2,147,483,647. More terms come closer to π.")]
        terms: i64,
    ) -> Option<Result<PiApproximation>> {
        let evaluator = context.data_unchecked::<Arc<Evaluator>>();
        let terms = evaluator.terms(terms);
        let answer = terms.map_err(Fault::from).and_then(|terms| Ok((terms, answers(context).pi(terms)?)));
        Some(answer.map(|(terms, answer)| PiApproximation { terms, answer }).map_err(Fault::into_error))
    }

    /// What this server admits, so that a client can say so before it asks.
    async fn limits(&self, context: &Context<'_>) -> Limits {
        Limits { max_n: context.data_unchecked::<Arc<Evaluator>>().max_n() }
    }
}

pub(super) struct Fibonacci {
    index: Index,
    answer: Answer<Arc<Decimal>>,
    /// All digits, once they were asked for.
    text: OnceCell<Bytes>,
}

/// A Fibonacci number.
#[Object]
impl Fibonacci {
    /// The index n of F(n).
    async fn n(&self) -> u32 {
        self.index.get()
    }

    /// All digits of F(n). For large n ask for `leading` and `trailing` instead: F(10,000,000) has two million digits.
    async fn result(&self, context: &Context<'_>) -> Result<BigInt> {
        let print = async || self.text(context, usize::MAX, ToString::to_string).await.map(Bytes::from);
        self.text.get_or_try_init(print).await.cloned().map(BigInt)
    }

    /// Whether F(n) was known before this request. Once F(n) was answered, every F(m) with m up to n and 100,000 is.
    async fn cached(&self) -> bool {
        self.answer.cached
    }

    /// How many digits F(n) has.
    async fn digit_count(&self) -> usize {
        self.answer.value.digit_count()
    }

    /// The first digits of F(n), at most all of them.
    async fn leading(
        &self,
        context: &Context<'_>,
        #[graphql(default_with = "DEFAULT_DIGITS", desc = "How many digits: 0 or more.")] digits: i64,
    ) -> Result<String> {
        let digits = count(digits)?;
        self.text(context, digits, move |value| value.leading(digits)).await
    }

    /// The last digits of F(n), at most all of them; leading zeros are kept.
    async fn trailing(
        &self,
        context: &Context<'_>,
        #[graphql(default_with = "DEFAULT_DIGITS", desc = "How many digits: 0 or more.")] digits: i64,
    ) -> Result<String> {
        let digits = count(digits)?;
        self.text(context, digits, move |value| value.trailing(digits)).await
    }
}

impl Fibonacci {
    /// At most `digits` digits, printed where long work may be done.
    async fn text(
        &self,
        context: &Context<'_>,
        digits: usize,
        print: impl FnOnce(&Decimal) -> String + Send + 'static,
    ) -> Result<String> {
        let text = context.data_unchecked::<Arc<Evaluator>>().text(&self.answer.value, digits, print).await;
        text.map_err(|failure| Fault::from(failure).into_error())
    }
}

pub(super) struct PiApproximation {
    pub(super) terms: Terms,
    pub(super) answer: Answer<f64>,
}

/// An approximation of π.
#[Object]
impl PiApproximation {
    /// How many terms of the series were summed.
    async fn terms(&self) -> u32 {
        self.terms.get()
    }

    /// The correctly rounded value of √(6·(1/1² + 1/2² + … + 1/terms²)).
    async fn result(&self) -> f64 {
        self.answer.value
    }

    /// Whether this approximation was known before this request. Each number of terms is known by itself.
    async fn cached(&self) -> bool {
        self.answer.cached
    }

    /// π − result, correctly rounded; always positive.
    async fn error(&self) -> f64 {
        pi::error(self.answer.value)
    }
}

pub(super) struct Limits {
    max_n: Index,
}

/// What this server admits. Operators set the limits, so that they may differ from server to server.
#[Object]
impl Limits {
    /// The largest n of `fib`.
    async fn max_n(&self) -> u32 {
        self.max_n.get()
    }

    /// The largest number of terms of `pi`.
    async fn max_terms(&self) -> u32 {
        Terms::MAX.get()
    }

    /// How many digits of Fibonacci numbers a request may evaluate, and how many it may render.
    async fn digits_per_request(&self) -> usize {
        digits_per_request(self.max_n)
    }
}

fn answers<'a>(context: &Context<'a>) -> &'a Answers {
    context.data_unchecked::<Arc<Answers>>()
}

/// A number of digits.
fn count(digits: i64) -> Result<usize> {
    digits.try_into().map_err(|_| {
        let message = format!("digits must be a whole number from 0 to {}, but it is {}", i32::MAX, digits);
        Fault::new(Code::BadUserInput, message).into_error()
    })
}
