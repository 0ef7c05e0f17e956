//! What a person with a browser sees.

use std::sync::LazyLock;

use async_graphql::http::GraphiQLSource;
use axum::{
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, CONTENT_TYPE, VARY},
    },
    response::{Html, IntoResponse, Redirect},
};

use super::{negotiation::Media, reply::NO_STORE};
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
    ([(CONTENT_TYPE, HeaderValue::from_static(Media::Text.content_type())), (CACHE_CONTROL, NO_STORE)], SCHEMA.as_str())
}

/// GraphiQL, for exploring the API.
pub(super) fn graphiql() -> impl IntoResponse {
    ([(VARY, HeaderValue::from_static("accept")), (CACHE_CONTROL, NO_STORE)], Html(GRAPHIQL.as_str()))
}
