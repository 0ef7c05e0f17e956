//! What a person with a browser sees: the files of `web`, which were built and compressed before.

use std::sync::{Arc, LazyLock};

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Uri,
        header::{
            CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, REFERRER_POLICY, VARY,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

use super::{
    Service,
    compression::decompressed,
    negotiation::{Coding, Media},
    refusal::{self, Refusal},
    reply::{IMMUTABLE, NO_STORE, has, not_modified},
};
use crate::graphql::sdl;

/// Each file by its name, compressed by Brotli.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/dist/list.rs"));

static SCHEMA: LazyLock<String> = LazyLock::new(sdl);

/// Nothing but what comes from here may run or be asked. GraphiQL's editor sets styles in place.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; \
     font-src 'self' data:; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// What is said of a page, which names its assets anew with each version.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// `GET /`: the explorer.
pub(super) async fn root(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    page(&service, "index.html", &headers).await
}

/// `GET /graphql` of a browser: GraphiQL.
pub(super) async fn graphiql(service: &Service, headers: &HeaderMap) -> Response {
    page(service, "graphiql.html", headers).await
}

/// `GET /assets/{name}`: what the pages are made of.
pub(super) async fn asset(
    State(service): State<Arc<Service>>,
    name: Option<Path<String>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let name = name.map(|Path(name)| format!("assets/{name}")).unwrap_or_default();
    // Its name has the hash of what is in it.
    match file(&service, &name, IMMUTABLE, Coding::choose(&headers)).await {
        Some(response) => response,
        None => refusal::not_found(uri).await,
    }
}

/// `GET /schema.graphql`.
pub(super) async fn schema() -> impl IntoResponse {
    ([(CONTENT_TYPE, HeaderValue::from_static(Media::Text.content_type())), (CACHE_CONTROL, NO_STORE)], SCHEMA.as_str())
}

async fn page(service: &Service, name: &str, headers: &HeaderMap) -> Response {
    let coding = Coding::choose(headers);
    let Some(mut response) = file(service, name, ASK_AGAIN, coding).await else {
        return Refusal::internal().into_problem();
    };
    let tag = tag(name, coding);
    response.headers_mut().extend(HeaderValue::from_str(&tag).ok().map(|tag| (ETAG, tag)));
    if has(headers, &tag) { not_modified(response.headers().clone()) } else { response }
}

/// A file as it is kept for a client that takes it so, and else as it was.
async fn file(service: &Service, name: &str, cache: HeaderValue, coding: Coding) -> Option<Response> {
    let compressed = compressed(name)?;
    let head: [(HeaderName, HeaderValue); 6] = [
        (CONTENT_TYPE, HeaderValue::from_static(type_of(name))),
        (CACHE_CONTROL, cache),
        // GraphiQL is one of the answers of its address.
        (VARY, HeaderValue::from_static("accept, accept-encoding")),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    if coding == Coding::Brotli {
        let coding = [(CONTENT_ENCODING, HeaderValue::from_static("br"))];
        return Some((head, coding, Bytes::from_static(compressed)).into_response());
    }
    Some(match decompressed(compressed, &service.workers).await {
        Ok(bytes) => (head, bytes).into_response(),
        Err(_) => Refusal::internal().into_problem(),
    })
}

fn compressed(name: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(own, _)| *own == name).map(|(_, bytes)| *bytes)
}

/// Names the bytes of a page.
fn tag(name: &str, coding: Coding) -> String {
    let hash = Sha256::digest(compressed(name).unwrap_or_default());
    let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let coding = if coding == Coding::Brotli { "br" } else { "identity" };
    format!("\"{hash}-{coding}\"")
}

fn type_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => Media::Html.content_type(),
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_type() {
        assert!(FILES.len() > 2);
        for (name, bytes) in FILES {
            assert_ne!(type_of(name), "application/octet-stream", "{name}");
            assert!(!bytes.is_empty(), "{name}");
        }
    }
}
