//! The subscription: the convergence of the approximations of π.

use std::sync::Arc;

use async_graphql::{Context, Result, Subscription};
use futures_util::{Stream, StreamExt, stream};

use super::{
    code::{Code, Fault},
    library::Declared,
    pi::PiApproximation,
};
use crate::{
    evaluator::{Evaluator, Question},
    math::pi::Terms,
};

/// The most approximations of an operation.
const MOST_POINTS: u32 = 1_000;

/// The number of them by default.
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
        let largest = in_range("terms", terms, Terms::MAX.get())?;
        let counts = spaced(largest, in_range("points", points, MOST_POINTS)?).filter_map(Terms::new);
        // Lazily, one after the other: a client that takes none costs nothing.
        Ok(stream::iter(counts).then(move |terms| approximation(Arc::clone(&evaluator), terms)))
    }
}

async fn approximation(evaluator: Arc<Evaluator>, terms: Terms) -> Result<Declared<PiApproximation>> {
    let answers = evaluator.answer([Question::Pi(terms)].into()).await;
    let answer = answers.pi(terms).map_err(|failure| Fault::from(failure).into_error())?;
    Ok(Declared(PiApproximation { terms, answer }))
}

fn in_range(argument: &str, value: i64, largest: u32) -> Result<u32> {
    u32::try_from(value).ok().filter(|value| (1..=largest).contains(value)).ok_or_else(|| {
        let message = format!("{argument} must be a whole number from 1 to {largest}, but it is {value}");
        Fault::new(Code::BadUserInput, message).into_error()
    })
}

/// Up to `points` numbers from 1 to `largest` at about equal ratios, each different; the last is `largest`.
fn spaced(largest: u32, points: u32) -> impl Iterator<Item = u32> {
    let steps = f64::from(points.saturating_sub(1).max(1));
    let number = move |point: u32| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 1 and largest")]
        let rounded = f64::from(largest).powf(f64::from(point) / steps).round() as u32;
        if point + 1 == points { largest } else { rounded.clamp(1, largest) }
    };
    let mut before = 0;
    (0..points).map(number).filter(move |&number| {
        let is_new = number > before;
        before = before.max(number);
        is_new
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_different_and_evenly_spaced() {
        let points = |largest, points| spaced(largest, points).collect::<Vec<_>>();
        assert_eq!(points(1, 50), [1]);
        assert_eq!(points(1_000, 1), [1_000], "one alone is the largest");
        assert_eq!(points(1_000, 2), [1, 1_000]);
        assert_eq!(points(1_000, 4), [1, 10, 100, 1_000]);
        assert_eq!(points(4, 1_000), [1, 2, 3, 4], "as many as there are");
        for (largest, count) in [(1_000, 50), (u32::MAX / 2, 1_000), (7, 3)] {
            let points = points(largest, count);
            assert!(points.is_sorted_by(|a, b| a < b) && points.len() <= count as usize, "{largest}, {count}");
            assert_eq!((points[0], points[points.len() - 1]), (1, largest));
        }
    }
}
