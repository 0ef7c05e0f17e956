//! The subscription: the convergence of the approximations of π.

use std::sync::Arc;

use async_graphql::{Context, Result, Subscription};
use futures_util::{Stream, StreamExt, stream};

use super::{code::Fault, library::Declared, pi::PiApproximation};
use crate::{
    evaluator::{Evaluator, Given, Question},
    math::pi::Terms,
};

/// The number of approximations by default.
const DEFAULT_POINTS: i64 = 50;

pub(super) struct Convergence;

/// Values as they come.
#[Subscription(name = "Subscription")]
impl Convergence {
    /// Approximations at up to `points` (1 to 1,000) different term counts, evenly spaced on a logarithmic scale from 1
    /// to `terms`.
    #[expect(clippy::unused_async, reason = "the library wants it so")]
    async fn pi_convergence(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The largest number of terms: 1 to 2,147,483,647.")] terms: i64,
        #[graphql(default_with = "DEFAULT_POINTS", desc = "How many approximations at most: 1 to 1,000.")] points: i64,
    ) -> Result<impl Stream<Item = Result<Declared<PiApproximation>>>> {
        let evaluator = Arc::clone(context.data_unchecked::<Arc<Evaluator>>());
        let counts = evaluator.limits().spaced(Given::Number(terms), Given::Number(points));
        let counts = counts.map_err(|out_of_range| Fault::from(out_of_range).into_error())?;
        // Lazily, one after the other: a client that takes none costs nothing.
        Ok(stream::iter(counts).then(move |terms| approximation(Arc::clone(&evaluator), terms)))
    }
}

async fn approximation(evaluator: Arc<Evaluator>, terms: Terms) -> Result<Declared<PiApproximation>> {
    let answers = evaluator.answer(vec![Question::Pi(terms)]).await;
    let answer = answers.of(terms).map_err(|failure| Fault::from(failure).into_error())?;
    Ok(Declared(PiApproximation { terms, answer }))
}
