//! What a person with a browser sees.

use std::sync::LazyLock;

use async_graphql::http::GraphiQLSource;
use axum::{
    http::header::{CONTENT_TYPE, VARY},
    response::{Html, IntoResponse, Redirect},
};

use crate::graphql::sdl;

static GRAPHIQL: LazyLock<String> =
    LazyLock::new(|| GraphiQLSource::build().endpoint("/graphql").title("phipi").finish());

static SCHEMA: LazyLock<String> = LazyLock::new(sdl);

/// `GET /`.
pub(super) async fn root() -> Redirect {
    Redirect::temporary("/graphql")
}

/// `GET /schema.graphql`.
pub(super) async fn schema() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], SCHEMA.as_str())
}

/// GraphiQL, for exploring the API.
pub(super) fn graphiql() -> impl IntoResponse {
    ([(VARY, "accept")], Html(GRAPHIQL.as_str()))
}
