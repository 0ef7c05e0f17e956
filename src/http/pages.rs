//! The pages for browsers: the files of `web`, which the build has compressed.

use std::{
    io::Read,
    sync::{Arc, LazyLock, OnceLock},
};

use axum::{
    Extension,
    body::Bytes,
    extract::{Path, State, rejection::PathRejection},
    http::{
        HeaderMap, HeaderName, HeaderValue, Uri,
        header::{
            CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, REFERRER_POLICY, VARY,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Redirect, Response},
};
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use super::{
    caching::{IMMUTABLE, NO_STORE},
    held::Held,
    negotiation::{Coding, Media},
    refusal::{self, Refusal},
    service::Service,
};
use crate::{
    graphql::sdl,
    workers::{Panicked, Workers},
};

/// Every file of the pages.
static FILES: LazyLock<Vec<File>> =
    LazyLock::new(|| Vec::from(include!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/dist/list.rs"))));

static SCHEMA: LazyLock<String> = LazyLock::new(sdl);

/// The content security policy: only this server is called, and only its scripts run. GraphiQL's editor sets inline
/// styles.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; \
     font-src 'self' data:; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// `Cache-Control` of a page, which is revalidated: each version names its assets anew.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// `GET /`: the explorer.
pub(super) async fn root(State(service): State<Arc<Service>>, headers: HeaderMap) -> Result<Response, Refusal> {
    page(&service, "index.html", &headers).await
}

/// `/graphql/`: a redirect to the path without the slash. The location is relative, so that it is right below any path
/// of a proxy, and the status preserves the method and the body.
pub(super) async fn without_slash(uri: Uri) -> impl IntoResponse {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    ([(CACHE_CONTROL, NO_STORE)], Redirect::permanent(&format!("../graphql{query}")))
}

/// `GET /assets/{name}`: the parts of the pages.
pub(super) async fn asset(
    State(service): State<Arc<Service>>,
    name: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    // Its name has the hash of its content. A path that is not UTF-8 names none.
    match name.ok().and_then(|Path(name)| File::find(&format!("assets/{name}"))) {
        Some(file) => respond(file, &service, IMMUTABLE, Coding::choose(&headers)).await,
        None => Err(refusal::not_found(uri).await),
    }
}

/// `GET /schema.graphql`.
pub(super) async fn schema() -> impl IntoResponse {
    ([(CONTENT_TYPE, HeaderValue::from_static(Media::Text.content_type())), (CACHE_CONTROL, NO_STORE)], SCHEMA.as_str())
}

/// A page, whatever its path: `graphiql.html` is `GET /graphql` of a browser.
pub(super) async fn page(service: &Service, name: &str, headers: &HeaderMap) -> Result<Response, Refusal> {
    let file = File::find(name).ok_or_else(Refusal::internal)?;
    let coding = Coding::choose(headers);
    let mut response = respond(file, service, ASK_AGAIN, coding).await?;
    response.headers_mut().extend(HeaderValue::from_str(&file.tag(coding)).ok().map(|tag| (ETAG, tag)));
    Ok(response)
}

async fn respond(
    file: &'static File,
    service: &Service,
    cache: HeaderValue,
    coding: Coding,
) -> Result<Response, Refusal> {
    let head: [(HeaderName, HeaderValue); 6] = [
        (CONTENT_TYPE, HeaderValue::from_static(type_of(file.name))),
        (CACHE_CONTROL, cache),
        // `/graphql` has other responses too.
        (VARY, HeaderValue::from_static("accept, accept-encoding")),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    let bytes = file.bytes(coding, &service.workers).await.map_err(|_| Refusal::internal())?;
    // The bytes are part of the program, or shared by all responses: they need no permit.
    let mut response = (head, Extension(Held::default()), bytes).into_response();
    response.headers_mut().extend(coding.name().map(|name| (CONTENT_ENCODING, HeaderValue::from_static(name))));
    Ok(response)
}

/// The bound on the sum of all files when they are decompressed.
pub(super) const UNPACKED_BYTES: usize = 8 * 1024 * 1024;

/// A file of the pages in every coding that a client may take.
struct File {
    name: &'static str,
    brotli: &'static [u8],
    gzip: &'static [u8],
    /// The file without compression. It is decompressed for the first client that accepts no other coding, and shared
    /// by all responses from then on: all files together take less than [`UNPACKED_BYTES`].
    plain: OnceLock<Bytes>,
}

impl File {
    fn new(name: &'static str, brotli: &'static [u8], gzip: &'static [u8]) -> Self {
        Self { name, brotli, gzip, plain: OnceLock::new() }
    }

    fn find(name: &str) -> Option<&'static Self> {
        FILES.iter().find(|file| file.name == name)
    }

    /// The bytes of the file in this coding. They are not copied.
    ///
    /// # Errors
    /// [`Panicked`] when the decompression did.
    async fn bytes(&'static self, coding: Coding, workers: &Workers) -> Result<Bytes, Panicked> {
        match (coding, self.plain.get()) {
            (Coding::Brotli, _) => Ok(Bytes::from_static(self.brotli)),
            (Coding::Gzip, _) => Ok(Bytes::from_static(self.gzip)),
            (Coding::Identity, Some(plain)) => Ok(plain.clone()),
            // Concurrent clients wait for one decompression, even if the client that started it is gone.
            (Coding::Identity, None) => {
                workers.run(self.gzip.len(), || self.plain.get_or_init(|| self.unpacked()).clone()).await
            }
        }
    }

    /// Decompresses the gzip form: 8 ms for the largest file, where Brotli takes 10.
    fn unpacked(&self) -> Bytes {
        let mut plain = Vec::new();
        GzDecoder::new(self.gzip).read_to_end(&mut plain).expect("the build compressed it, and a test unpacks it");
        plain.into_boxed_slice().into()
    }

    /// The entity tag of the file in this coding.
    fn tag(&self, coding: Coding) -> String {
        let stored = if coding == Coding::Brotli { self.brotli } else { self.gzip };
        let hash: String = Sha256::digest(stored).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("\"{hash}-{}\"", coding.name().unwrap_or("identity"))
    }
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
        for file in FILES.iter() {
            assert_ne!(type_of(file.name), "application/octet-stream", "{}", file.name);
        }
    }

    #[test]
    fn every_file_is_the_same_in_all_codings_and_all_are_small() {
        let mut total = 0;
        for file in FILES.iter() {
            let (plain, mut from_brotli) = (file.unpacked(), Vec::new());
            brotli::Decompressor::new(file.brotli, 4096).read_to_end(&mut from_brotli).unwrap();
            assert!(!plain.is_empty() && plain == from_brotli, "{}", file.name);
            let tags = [Coding::Identity, Coding::Gzip, Coding::Brotli].map(|coding| file.tag(coding));
            assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
            total += plain.len();
        }
        assert!(total < UNPACKED_BYTES, "{total} bytes are held for good once each was asked for in identity");
    }

    #[tokio::test]
    async fn clients_that_ask_at_once_share_one_unpacked_file() {
        let workers = Workers::start([0; 2]).unwrap();
        let largest = FILES.iter().max_by_key(|file| file.gzip.len()).unwrap();
        let crowd = (0..20).map(|_| largest.bytes(Coding::Identity, &workers));
        let answers = futures_util::future::join_all(crowd).await;
        let first = answers[0].as_ref().unwrap();
        assert!(answers.iter().flatten().all(|answer| answer.as_ptr() == first.as_ptr()));
        assert_eq!(answers.iter().flatten().count(), 20);
    }
}
