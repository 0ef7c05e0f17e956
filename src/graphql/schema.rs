//! The schema is built here from its roots, and written in its definition language.

use async_graphql::{EmptyMutation, SDLExportOptions, SchemaBuilder};

use super::{convergence::Convergence, fib::BigInt, introspection::Corrections, query::Query};

/// The schema with its resolvers.
pub(super) type Schema = async_graphql::Schema<Query, EmptyMutation, Convergence>;

/// The schema in the schema definition language.
#[must_use]
pub fn sdl() -> String {
    builder()
        .finish()
        .sdl_with_options(SDLExportOptions::new().prefer_single_line_descriptions().use_space_ident().indent_width(2))
}

/// A builder of the schema.
pub(super) fn builder() -> SchemaBuilder<Query, EmptyMutation, Convergence> {
    Schema::build(Query, EmptyMutation, Convergence)
        .register_output_type::<BigInt>()
        .register_output_type::<Corrections>()
}
