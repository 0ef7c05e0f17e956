//! The interface between connections and handlers.

use std::sync::Arc;

use axum::{Router, extract::Request, response::Response};
use tower_service::Service;

use super::{gate::Client, held::through};

/// Answers the requests of a listener.
pub(super) trait Answers: Send + Sync + 'static {
    /// Answers a request of a client.
    fn answer(&self, request: Request, client: &Arc<Client>) -> impl Future<Output = Response> + Send;
}

impl Answers for Router {
    async fn answer(&self, request: Request, client: &Arc<Client>) -> Response {
        let answer = async |request| {
            let Ok(response) = self.clone().call(request).await;
            response
        };
        through(client, request, answer).await
    }
}
