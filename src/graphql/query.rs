//! The queries: their root fields, in the order of the schema.

use std::borrow::Cow;

use async_graphql::{
    ContainerType, Context, ContextSelectionSet, ObjectType, OutputType, Positioned, ServerResult, Value,
    parser::types::Field,
    registry::{MetaTypeId, Registry},
};

use super::{fib::FIB, library::object_type, limits::LIMITS, pi::PI, root::Root};

const ROOTS: [&Root; 3] = [&FIB, &PI, &LIMITS];

/// The root field of this name.
pub(super) fn root(name: &str) -> Option<&'static Root> {
    ROOTS.into_iter().find(|root| root.declaration.name == name)
}

/// The type of the root fields, for the schema. A [`plan`](super::plan) answers them; of queries, the library sees the
/// introspection alone.
pub(super) struct Query;

const DESCRIPTION: &str = "Fibonacci numbers, exact to the last digit, and π from the Basel series, correctly rounded. Both \
                           remember what they were asked: `cached` tells.";

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
