//! `/graphql`: requests and answers of GraphQL over HTTP.

use std::sync::Arc;

use async_graphql::{BatchRequest, Request, ServerError, Variables};
use async_graphql_axum::{GraphQLBatchRequest, rejection::GraphQLRejection};
use axum::{
    Json,
    body::{Body, Bytes},
    extract::{self, FromRequest, Query, State, rejection::QueryRejection},
    http::{
        HeaderMap, Method, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::{Service, pages};
use crate::graphql::{Code, Fault};

/// A request in the query of a URL. `variables` is JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parameters {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
}

/// `GET /graphql`: GraphiQL for a browser, else the request in the query of the URL.
pub(super) async fn get(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Response, BadRequest> {
    if accepts(&headers, "text/html") {
        return Ok(pages::graphiql().into_response());
    }
    let Query(parameters) =
        parameters.map_err(|rejection| BadRequest::new(rejection.status(), rejection.body_text()))?;
    let Some(query) = parameters.query else {
        return Err(BadRequest::new(
            StatusCode::BAD_REQUEST,
            "the parameter query is missing: send /graphql?query={…}",
        ));
    };
    let mut request = Request::new(query);
    request.operation_name = parameters.operation_name;
    if let Some(variables) = parameters.variables.filter(|text| !text.is_empty()) {
        request.variables = serde_json::from_str::<Variables>(&variables).map_err(|error| {
            BadRequest::new(StatusCode::BAD_REQUEST, format!("the parameter variables is not a JSON object: {error}"))
        })?;
    }
    Ok(answer(&service, BatchRequest::Single(request)).await)
}

/// `POST /graphql`: a request or an array of requests in JSON.
pub(super) async fn post(
    State(service): State<Arc<Service>>,
    request: extract::Request,
) -> Result<Response, BadRequest> {
    if !is_json(request.headers()) {
        let message = "send the request as JSON, with the header Content-Type: application/json";
        return Err(BadRequest::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let (head, body) = request.into_parts();
    // The library reads without a limit: it is given what was read within ours.
    let body = Bytes::from_request(extract::Request::from_parts(head.clone(), body), &()).await;
    let body = body.map_err(|rejection| BadRequest::new(rejection.status(), rejection.body_text()))?;
    let request = extract::Request::from_parts(head, Body::from(body));
    let batch = GraphQLBatchRequest::<GraphQLRejection>::from_request(request, &()).await.map_err(|rejection| {
        BadRequest::new(StatusCode::BAD_REQUEST, format!("the body is not a GraphQL request in JSON: {}", rejection.0))
    })?;
    Ok(answer(&service, batch.into_inner()).await)
}

/// For a method that `/graphql` does not take.
pub(super) async fn method_not_allowed(method: Method) -> BadRequest {
    BadRequest::new(StatusCode::METHOD_NOT_ALLOWED, format!("/graphql takes POST and GET, not {method}"))
}

async fn answer(service: &Service, batch: BatchRequest) -> Response {
    Json(service.api.execute(batch).await).into_response()
}

/// A request that never reached the schema.
pub(super) struct BadRequest {
    status: StatusCode,
    fault: Fault,
}

impl BadRequest {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, fault: Fault::new(Code::BadRequest, message) }
    }
}

impl IntoResponse for BadRequest {
    fn into_response(self) -> Response {
        let error = ServerError::from(self.fault);
        (self.status, Json(json!({ "errors": [error] }))).into_response()
    }
}

fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok()).any(|accept| accept.contains(media_type))
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()?.split(';').next());
    content_type.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}
