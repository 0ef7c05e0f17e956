//! What clients find: the paths of the public listener.

use std::{pin::pin, sync::Arc};

use axum::{
    Router,
    extract::Request,
    http::{Method, header::ORIGIN},
    response::Response,
    routing::get,
};
use tower_service::Service as _;

use super::{
    Service,
    connections::Answers,
    cors::{Origins, is_preflight, preflight},
    gate::Client,
    graphql,
    held::through,
    pages, refusal, rest, sockets,
    visit::Visit,
};

/// The public listener's answers.
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
            .route("/schema.graphql", get(pages::schema))
            .route("/fib/{n}", get(rest::fib))
            .route("/pi/{terms}", get(rest::pi))
            .fallback(refusal::not_found)
            .method_not_allowed_fallback(refusal::method_not_allowed)
            .with_state(Arc::clone(&service));
        Self { service, router, origins }
    }
}

impl Answers for Site {
    async fn answer(&self, request: Request, client: &Arc<Client>) -> Response {
        let (visit, origin) = (Visit::begin(&request), request.headers().get(ORIGIN).cloned());
        let answer = pin!(through(client, request, |request| self.route(request, client)));
        let mut response = visit.within(answer).await;
        self.origins.allow(origin.as_ref(), response.headers_mut());
        visit.end(&mut response);
        response
    }
}

impl Site {
    async fn route(&self, mut request: Request, client: &Arc<Client>) -> Response {
        if request.method() == Method::POST && request.uri().path() == "/graphql" {
            // The one path where microseconds count does not go through the router.
            graphql::post(&self.service, client, request).await
        } else if request.uri().path() == "/graphql" && sockets::is_upgrade(request.method(), request.headers()) {
            Box::pin(sockets::upgrade(&self.service, client, &self.origins, request)).await
        } else if is_preflight(request.method(), request.headers()) {
            preflight()
        } else {
            request.extensions_mut().insert(Arc::clone(client));
            match self.router.clone().call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what a function returns, which is not called.
    fn size_of_return<F>(_: impl FnOnce(&'static Site, Request, &'static Arc<Client>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_answer_takes_little_of_its_connection() {
        let bytes = size_of_return(|site, request, client| site.answer(request, client));
        assert!(bytes <= 4 * 1024, "ten thousand connections hold {bytes} bytes each");
    }
}
