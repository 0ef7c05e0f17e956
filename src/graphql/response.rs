//! An answer, and its form in JSON.

use async_graphql::{Name, ServerError, Value};
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use super::{
    code::{Code, Refusal},
    cost::Cost,
    declaration::Leaf,
};

/// Text of this length or more is sent without being copied.
const LONG_BYTES: usize = 16 * 1024;

/// The answer to an operation.
pub struct Response {
    pub(super) outcome: Outcome,
    /// Its cost, if the client asked.
    pub(super) cost: Option<Cost>,
}

pub(super) enum Outcome {
    Executed {
        data: Data,
        errors: Vec<ServerError>,
        /// Whether it can never change.
        is_immutable: bool,
    },
    Refused(Refusal),
}

/// The data of an answer, in the order of its document.
pub(super) enum Data {
    Null,
    Leaf(Leaf),
    /// In JSON already.
    Written(Text),
    /// A scalar that the library answered.
    Scalar(Value),
    List(Vec<Data>),
    Object(Vec<(Name, Data)>),
}

impl Response {
    /// The code of the error for which nothing was executed; `None` when there is data, though a field may have failed.
    #[must_use]
    pub fn refusal(&self) -> Option<Code> {
        match &self.outcome {
            Outcome::Executed { .. } => None,
            Outcome::Refused(refusal) => Some(refusal.code),
        }
    }

    /// Whether the same request can never have another answer: everything in it was cached, and nothing failed.
    #[must_use]
    pub fn is_immutable(&self) -> bool {
        matches!(self.outcome, Outcome::Executed { is_immutable: true, .. })
    }
}

impl<R: Into<Refusal>> From<R> for Response {
    fn from(refusal: R) -> Self {
        Self { outcome: Outcome::Refused(refusal.into()), cost: None }
    }
}

/// Text in pieces, of which the long ones are not copied.
#[derive(Debug)]
pub struct Text {
    done: Vec<Bytes>,
    open: Vec<u8>,
}

/// The first room for text: that of a usual answer.
const FIRST_BYTES: usize = 512;

impl Default for Text {
    fn default() -> Self {
        Self { done: Vec::new(), open: Vec::with_capacity(FIRST_BYTES) }
    }
}

impl Text {
    /// One response in JSON.
    #[must_use]
    pub fn of_response(response: &Response) -> Self {
        let mut text = Self::default();
        text.response(response);
        text
    }

    /// The answers to a batch, in JSON.
    #[must_use]
    pub fn of_batch(responses: &[Response]) -> Self {
        let mut text = Self::default();
        text.list(responses, Self::response);
        text
    }

    /// The pieces in order.
    #[must_use]
    pub fn into_pieces(self) -> Vec<Bytes> {
        let Self { mut done, open } = self;
        done.push(open.into());
        done
    }

    fn response(&mut self, response: &Response) {
        let errors = match &response.outcome {
            Outcome::Executed { data, errors, .. } => {
                self.raw(r#"{"data":"#);
                self.data(data);
                if !errors.is_empty() {
                    self.raw(",");
                }
                errors
            }
            Outcome::Refused(refusal) => {
                self.raw("{");
                &refusal.errors
            }
        };
        if !errors.is_empty() {
            self.raw(r#""errors":"#);
            self.json(errors);
        }
        if let Some(Cost { evaluate, render }) = response.cost {
            self.raw(r#","extensions":"#);
            self.json(&json!({"cost": {"evaluate": evaluate, "render": render}}));
        }
        self.raw("}");
    }

    fn data(&mut self, data: &Data) {
        match data {
            Data::Null => self.raw("null"),
            Data::Leaf(leaf) => self.leaf(leaf),
            Data::Written(text) => self.append(text),
            Data::Scalar(scalar) => self.json(scalar),
            Data::List(items) => self.list(items, Self::data),
            Data::Object(fields) => {
                self.raw("{");
                for (number, (key, value)) in fields.iter().enumerate() {
                    self.key(number, key);
                    self.data(value);
                }
                self.raw("}");
            }
        }
    }

    /// The key of a member of an object, of which there are `number` before it.
    pub(super) fn key(&mut self, number: usize, key: &str) {
        self.raw(if number == 0 { "\"" } else { ",\"" });
        self.raw(key);
        self.raw("\":");
    }

    pub(super) fn leaf(&mut self, leaf: &Leaf) {
        match leaf {
            Leaf::Integer(value) => self.json(value),
            Leaf::Float(value) => self.json(value),
            Leaf::Boolean(value) => self.raw(if *value { "true" } else { "false" }),
            Leaf::Text(text) => {
                self.raw("\"");
                self.long(text);
                self.raw("\"");
            }
        }
    }

    fn list<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        self.raw("[");
        for (k, each) in items.iter().enumerate() {
            if k > 0 {
                self.raw(",");
            }
            item(self, each);
        }
        self.raw("]");
    }

    fn json(&mut self, value: &impl Serialize) {
        let written = serde_json::to_writer(&mut self.open, value);
        debug_assert!(written.is_ok(), "everything in an answer has a form in JSON");
    }

    fn long(&mut self, text: &Bytes) {
        if text.len() < LONG_BYTES {
            self.open.extend_from_slice(text);
        } else {
            self.done.push(std::mem::take(&mut self.open).into());
            self.done.push(text.clone());
        }
    }

    fn append(&mut self, text: &Self) {
        if !text.done.is_empty() {
            self.done.push(std::mem::take(&mut self.open).into());
            self.done.extend_from_slice(&text.done);
        }
        self.open.extend_from_slice(&text.open);
    }

    pub(super) fn raw(&mut self, text: &str) {
        self.open.extend_from_slice(text.as_bytes());
    }
}
