//! The queries: their root fields, in the order of the schema.

use std::borrow::Cow;

use async_graphql::{
    ContainerType, Context, ContextSelectionSet, ObjectType, OutputType, Positioned, ServerResult, Value,
    parser::types::Field,
    registry::{MetaTypeId, Registry},
};

use super::{
    fib::{FIB, FIBS},
    library::object_type,
    limits::LIMITS,
    pi::{PI, PI_CONVERGENCE},
    pi_digits::PI_DIGITS,
    root::Root,
};

const ROOTS: [&Root; 6] = [&FIB, &FIBS, &PI, &PI_CONVERGENCE, &PI_DIGITS, &LIMITS];

/// The root field of this name.
pub(super) fn root(name: &str) -> Option<&'static Root> {
    ROOTS.into_iter().find(|root| root.declaration.name == name)
}

/// The type of the root fields, for the schema. A [`plan`](super::plan) answers them; of queries, the library sees the
/// introspection alone.
pub(super) struct Query;

const DESCRIPTION: &str = "Fibonacci numbers, exact to the last digit; π from the Basel series, correctly rounded; and the digits \
                           of π. All of them remember what they were asked: `cached` tells.";

impl OutputType for Query {
    fn type_name() -> Cow<'static, str> {
        "Query".into()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        registry.create_output_type::<Self, _>(MetaTypeId::Object, |registry| {
            for root in ROOTS {
                (root.register)(registry);
            }
            object_type::<Self>("Query", DESCRIPTION, ROOTS.iter().map(|root| &root.declaration))
        })
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        Ok(Value::Null)
    }
}

impl ContainerType for Query {
    async fn resolve_field(&self, _: &Context<'_>) -> ServerResult<Option<Value>> {
        Ok(None)
    }
}

impl ObjectType for Query {}
