//! The requests of a listener are answered by what implements [`Answers`], as a router does.

use std::sync::Arc;

use axum::{Router, extract::Request, response::Response};
use tower_service::Service;

use super::{gate::Client, held::through};

/// Answers the requests of a listener.
pub(super) trait Answers: Send + Sync + 'static {
    /// The answer to a request of a client. A panic is caught.
    fn answer(&self, request: Request, client: &Arc<Client>) -> impl Future<Output = Response> + Send;
}

impl Answers for Router {
    async fn answer(&self, request: Request, client: &Arc<Client>) -> Response {
        through(client, request, async |request| match self.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        })
        .await
    }
}
