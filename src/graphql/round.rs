//! The one round of questions of a request.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::SetOnce;

use crate::evaluator::{Answers, Question};

/// Collects what the root fields of a request ask, and brings them the answers when all are there.
#[derive(Debug, Default)]
pub(super) struct Round {
    asked: Mutex<Asked>,
    answers: SetOnce<Answers>,
}

#[derive(Debug, Default)]
struct Asked {
    times: usize,
    questions: BTreeSet<Question>,
}

impl Round {
    /// Asks, and waits for the round to be answered. Without a question it only waits: a field that has its error
    /// already comes with the others, so that fields stay in their order.
    pub(super) async fn ask(&self, question: Option<Question>) -> &Answers {
        {
            let mut asked = self.lock();
            asked.times += 1;
            asked.questions.extend(question);
        }
        self.answers.wait().await
    }

    /// How often it was asked so far.
    pub(super) fn asked(&self) -> usize {
        self.lock().times
    }

    /// All questions so far.
    pub(super) fn questions(&self) -> BTreeSet<Question> {
        self.lock().questions.clone()
    }

    /// Answers everyone who waits, or will.
    pub(super) fn answer(&self, answers: Answers) {
        let first = self.answers.set(answers);
        debug_assert!(first.is_ok(), "a request has one round");
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
