//! The operations of a socket.

use std::{future::poll_fn, task::Poll};

use futures_util::{StreamExt, stream::BoxStream};

use crate::graphql::Execution;

/// Operations by their ids, few enough to be looked through. None is asked for a response before it can be sent.
#[derive(Default)]
pub(super) struct Operations(Vec<(String, BoxStream<'static, Execution>)>);

impl Operations {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|(own, _)| own == id)
    }

    pub(super) fn add(&mut self, id: String, responses: BoxStream<'static, Execution>) {
        self.0.push((id, responses));
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.0.retain(|(own, _)| own != id);
    }

    /// Waits for the next response of any operation; `None` when that one has ended. Operations take turns.
    pub(super) async fn next(&mut self) -> (String, Option<Execution>) {
        poll_fn(|context| {
            for at in 0..self.0.len() {
                if let Poll::Ready(response) = self.0[at].1.poll_next_unpin(context) {
                    let (id, responses) = self.0.remove(at);
                    if response.is_some() {
                        self.0.push((id.clone(), responses));
                    }
                    return Poll::Ready((id, response));
                }
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, stream};

    use super::*;
    use crate::telemetry::Account;

    fn responses(count: usize) -> BoxStream<'static, Execution> {
        let execution = || Execution { responses: Vec::new(), account: Account::default() };
        stream::iter((0..count).map(move |_| execution())).boxed()
    }

    #[test]
    fn each_has_its_turn_and_an_end() {
        let mut operations = Operations::default();
        assert!(operations.next().now_or_never().is_none(), "nobody has anything to say");
        operations.add("a".into(), responses(2));
        operations.add("b".into(), responses(1));
        operations.add("c".into(), stream::pending().boxed());
        let mut said = Vec::new();
        while let Some((id, response)) = operations.next().now_or_never() {
            said.push(format!("{id}{}", if response.is_some() { "" } else { " ends" }));
        }
        assert_eq!(said, ["a", "b", "a", "b ends", "a ends"]);
        assert!(operations.has("c") && operations.len() == 1);
    }
}
