//! The routes of the public listener.

use std::{pin::pin, sync::Arc};

use axum::{
    Router,
    extract::Request,
    http::{
        HeaderValue, Method, StatusCode, Uri, Version,
        header::{ALLOW, CONNECTION, ORIGIN},
    },
    response::{IntoResponse, Response},
    routing::{any, get},
};
use tower_service::Service as _;

use super::{
    access::Access,
    answers::Answers,
    cors::{Origins, is_preflight, preflight},
    gate::Client,
    graphql::{self, GRAPHQL_METHODS},
    held::through,
    labels::{OTHER, route_of},
    pages,
    preconditions::Preconditions,
    refusal::{self, Refusal},
    rest,
    service::Service,
    sockets,
};

/// The methods of every path but `/graphql`.
const OTHER_METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,OPTIONS");

/// Answers the requests of the public listener.
pub(super) struct Site {
    service: Arc<Service>,
    router: Router,
    origins: Origins,
}

impl Site {
    pub(super) fn new(service: Arc<Service>, origins: Origins) -> Self {
        let router = Router::new()
            .route("/", get(pages::root))
            .route("/assets/{name}", get(pages::asset))
            .route("/graphql", get(graphql::get).fallback(graphql::method_not_allowed))
            .route("/graphql/", any(pages::without_slash))
            .route("/schema.graphql", get(pages::schema))
            .route("/fib", get(rest::fibs))
            .route("/fib/{n}", get(rest::fib))
            .route("/pi/{terms}", get(rest::pi))
            .route("/pi/digits", get(rest::pi_digits))
            .fallback(refusal::not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .with_state(Arc::clone(&service));
        Self { service, router, origins }
    }
}

impl Answers for Site {
    async fn answer(&self, request: Request, client: &Arc<Client>) -> Response {
        let (access, origin) = (Access::begin(&request), request.headers().get(ORIGIN).cloned());
        let version = request.version();
        let answer = pin!(through(client, request, |request| self.route(request, client)));
        let mut response = access.span.within(answer).await;
        self.origins.allow(origin.as_ref(), response.headers_mut());
        let is_http = version < Version::HTTP_2 && response.status() != StatusCode::SWITCHING_PROTOCOLS;
        if is_http && self.service.leaving.is_cancelled() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        access.end(&mut response);
        response
    }
}

impl Site {
    async fn route(&self, mut request: Request, client: &Arc<Client>) -> Response {
        if request.method() == Method::POST && request.uri().path() == "/graphql" {
            // This path skips the router, which takes microseconds.
            graphql::post(&self.service, client, request).await
        } else if request.uri().path() == "/graphql" && sockets::is_upgrade(&request) {
            Box::pin(sockets::upgrade(&self.service, client, &self.origins, request)).await
        } else if is_preflight(request.method(), request.headers()) {
            preflight()
        } else if request.method() == Method::OPTIONS {
            options(request.uri()).await
        } else {
            let (preconditions, speaks_graphql) =
                (Preconditions::of(request.headers()), request.uri().path() == "/graphql");
            request.extensions_mut().insert(Arc::clone(client));
            let Ok(response) = self.router.clone().call(request).await;
            preconditions.check(response).unwrap_or_else(|refusal| refusal.respond_to(speaks_graphql))
        }
    }
}

/// Responds with the methods of a path, or for `*` of the whole server (RFC 9110, section 9.3.7).
async fn options(uri: &Uri) -> Response {
    let allowed = match route_of(uri.path()) {
        "/graphql" => GRAPHQL_METHODS,
        OTHER if uri.path() == "*" => GRAPHQL_METHODS,
        OTHER => return refusal::not_found(uri.clone()).await.into_response(),
        _ => OTHER_METHODS,
    };
    (StatusCode::NO_CONTENT, [(ALLOW, allowed)]).into_response()
}

/// Refuses a method that a path does not have.
async fn method_not_allowed(method: Method, uri: Uri) -> Refusal {
    refusal::method_not_allowed(method, uri).await.with_header(ALLOW, OTHER_METHODS)
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::header::HOST, routing::MethodRouter};

    use super::*;
    use crate::{http::gate::Gate, telemetry};

    /// The size of a function's result; it is not called.
    fn size_of_return<F>(_: impl FnOnce(&'static Site, Request, &'static Arc<Client>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_answer_takes_little_of_its_connection() {
        let bytes = size_of_return(Site::answer);
        assert!(bytes <= 4 * 1024, "ten thousand connections hold {bytes} bytes each");
    }

    #[tokio::test]
    async fn a_panic_is_answered_as_any_other_failure() {
        let panics: MethodRouter = get(async || -> &'static str { panic!("as the test wants it") });
        let site =
            Site { router: Router::new().route("/fib", panics), ..Site::new(Service::in_memory(), Origins::Any) };
        let request = Request::get("/fib").header(HOST, "phipi").header(ORIGIN, "https://example.org");
        let request = request.body(Body::empty()).unwrap();
        let response = site.answer(request, &Client::new(&Gate::new(1 << 20, 1 << 20))).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        for name in ["access-control-allow-origin", "server-timing", "cache-control"] {
            assert!(response.headers().contains_key(name), "{name}");
        }
        let row = "phipi_http_responses_total{status=\"5xx\"} 1\n";
        assert!(telemetry::exposition().unwrap().contains(row), "it is reported");
    }
}
