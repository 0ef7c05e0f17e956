//! A walk visits one definition and collects the variables and the fragments that it uses.

use async_graphql::{
    Name, Pos,
    parser::types::{BaseType, ExecutableDocument, Type},
};

use super::errors::Errors;
use crate::graphql::model::Model;

/// A visit to one definition.
pub(super) struct Walk<'a, 'e> {
    pub(super) document: &'a ExecutableDocument,
    pub(super) model: &'a Model,
    pub(super) errors: &'e mut Errors,
    pub(super) uses: Uses<'a>,
}

/// The variables and fragments that a definition uses by itself, without the fragments that it spreads.
#[derive(Default)]
pub(super) struct Uses<'a> {
    pub(super) variables: Vec<Use<'a>>,
    pub(super) spreads: Vec<&'a Name>,
}

/// A variable where a value may stand.
pub(super) struct Use<'a> {
    pub(super) variable: &'a Name,
    pub(super) pos: Pos,
    /// `None` when it is unknown, which is reported elsewhere.
    pub(super) place: Option<Place<'a>>,
}

/// The place of a value: an argument, or an item of its list.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) argument: &'a Name,
    pub(super) kind: &'a Type,
    pub(super) has_default: bool,
}

impl Place<'_> {
    pub(super) fn of_items(self) -> Option<Self> {
        match &self.kind.base {
            BaseType::List(kind) => Some(Self { kind, has_default: false, ..self }),
            BaseType::Named(_) => None,
        }
    }
}
