//! Reads the body of a request. Each byte has a permit before it is buffered.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    http::StatusCode,
};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body as _;
use tokio::time::timeout;

use super::{
    gate::{Client, Full, Permit},
    refusal::Refusal,
    service::{BODY_BYTES, BODY_TIME},
};

/// The size of the first buffer of a body that comes in several pieces.
const FIRST_BYTES: usize = 2 * 1024;

/// The longest rest of a rejected body that is read and discarded.
const REST_BYTES: usize = 16 * BODY_BYTES;

/// Why a body was not read to its end.
enum Failure {
    TooLong,
    Broken,
    Full(Full),
}

impl From<Full> for Failure {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

/// Reads the whole body into one buffer, and returns the permit for it too. The buffer doubles as bytes arrive: each of many
/// small pieces would otherwise pin the buffer of the connection that it is a slice of.
///
/// # Errors
/// When it is longer than [`BODY_BYTES`], breaks off, takes longer than [`BODY_TIME`], or the budget is full.
pub(super) async fn whole(mut body: Body, client: &Arc<Client>) -> Result<(Bytes, Permit), Refusal> {
    let collected = async {
        if body.size_hint().lower() > BODY_BYTES as u64 {
            return Err(Failure::TooLong);
        }
        let (mut permit, mut text) = (client.receive(0)?, Vec::new());
        while let Some(frame) = body.frame().await {
            // Trailers are ignored.
            let Ok(data) = frame.map_err(|_| Failure::Broken)?.into_data() else { continue };
            let length = text.len() + data.len();
            if length > BODY_BYTES {
                return Err(Failure::TooLong);
            }
            if text.is_empty() && body.is_end_stream() {
                permit.resize(length)?;
                return Ok((data, permit));
            }
            if length > text.capacity() {
                let capacity = length.max(2 * text.capacity()).clamp(FIRST_BYTES, BODY_BYTES);
                permit.resize(capacity)?;
                text.reserve_exact(capacity - text.len());
            }
            text.extend_from_slice(&data);
        }
        Ok((text.into(), permit))
    };
    let refusal = match timeout(BODY_TIME, collected).await {
        Ok(Ok(whole)) => return Ok(whole),
        Ok(Err(Failure::Broken)) => return Err(Refusal::new(StatusCode::BAD_REQUEST, "the body broke off")),
        Err(_) => {
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time: send it at once"));
        }
        Ok(Err(Failure::TooLong)) => {
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is longer than {BODY_BYTES} bytes"))
        }
        Ok(Err(Failure::Full(full))) => full.into(),
    };
    discard(body, client);
    Err(refusal)
}

/// Reads and discards the rest of a rejected body, if it is short: a client that writes before it reads would see a
/// closed connection, and no response.
fn discard(body: Body, client: &Arc<Client>) {
    if body.size_hint().lower() <= REST_BYTES as u64 {
        let discarding = client.discard();
        let rest = async move {
            let mut rest = Limited::new(body, REST_BYTES);
            while let Some(Ok(_)) = rest.frame().await {
                discarding.make_way().await;
            }
        };
        tokio::spawn(timeout(BODY_TIME, rest));
    }
}
