//! The client of `phipi health`, which probes the readiness of a running process.

use std::{error, io::ErrorKind, time::Duration};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1::handshake, header::HOST};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::{net::TcpStream, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::telemetry;

/// The timeout of the probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest response that is read. That of `/readyz` has some hundred bytes.
const RESPONSE_BYTES: usize = 64 * 1024;

/// Why a process is not ready.
#[derive(Debug, Error)]
pub enum Unhealthy {
    /// The argument is not an address.
    #[error(
        "this is not the address of a process: write IP:PORT, HOST:PORT or http://HOST:PORT, with a port from 1 to \
         65535, that of its --admin-listen (PHIPI_ADMIN_LISTEN)"
    )]
    Address,
    /// The process does not respond.
    #[error("http://{authority}/readyz does not answer: {cause}; is phipi running, and is this its --admin-listen?")]
    Silent {
        /// The host and the port that were probed.
        authority: String,
        /// The cause.
        cause: String,
    },
    /// The response says that it is not ready, or is not that of phipi.
    #[error("http://{authority} is not ready: it answers {status}: {answer}")]
    NotReady {
        /// The host and the port that were probed.
        authority: String,
        /// The status of the response.
        status: StatusCode,
        /// The body of the response, on one line.
        answer: String,
    },
}

/// Probes the process whose admin listener is at `target`. Returns the response of `/readyz`, one line of JSON.
///
/// # Errors
/// When the process is not ready, or does not respond.
pub async fn health(target: &str) -> Result<String, Unhealthy> {
    let authority = authority(target).ok_or(Unhealthy::Address)?;
    let asked = timeout(PROBE_TIMEOUT, ask(authority)).await;
    let answered = asked.unwrap_or_else(|_| Err(format!("there is no answer within {} s", PROBE_TIMEOUT.as_secs())));
    let (status, answer) = answered.map_err(|cause| Unhealthy::Silent { authority: authority.to_owned(), cause })?;
    let is_readiness = serde_json::from_str(&answer).is_ok_and(|value: serde_json::Value| value["status"] == "ready");
    if status == StatusCode::OK && is_readiness {
        return Ok(answer);
    }
    let answer = answer.chars().take(500).map(|one| if one.is_control() { ' ' } else { one }).collect();
    Err(Unhealthy::NotReady { authority: authority.to_owned(), status, answer })
}

/// The host and port in an address, which may also be the URL of the listener or of `/readyz`.
fn authority(target: &str) -> Option<&str> {
    let target = target.strip_prefix("http://").unwrap_or(target);
    let target = target.strip_suffix("/readyz").unwrap_or(target);
    let target = target.strip_suffix('/').unwrap_or(target);
    let (host, port) = target.rsplit_once(':')?;
    let is_host = !host.is_empty() && !host.contains(['/', '@', ' ']);
    (is_host && port.parse::<u16>().is_ok_and(|port| port != 0)).then_some(target)
}

/// Requests `/readyz`; returns the status and the body, or the cause of the failure.
async fn ask(authority: &str) -> Result<(StatusCode, String), String> {
    let socket = TcpStream::connect(authority).await.map_err(|error| match error.kind() {
        ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
        _ => telemetry::plain(&error),
    })?;
    exchange(authority, socket).await.map_err(|_| "what listens there does not speak HTTP".to_owned())
}

async fn exchange(
    authority: &str,
    socket: TcpStream,
) -> Result<(StatusCode, String), Box<dyn error::Error + Send + Sync>> {
    let (mut sender, connection) = handshake(TokioIo::new(socket)).await?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let request = Request::get("/readyz").header(HOST, authority).body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), RESPONSE_BYTES).collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_written_as_a_url() {
        for target in
            ["127.0.0.1:8001", "http://127.0.0.1:8001", "http://127.0.0.1:8001/", "http://127.0.0.1:8001/readyz"]
        {
            assert_eq!(authority(target), Some("127.0.0.1:8001"), "{target}");
        }
        assert_eq!(authority("[::1]:8001"), Some("[::1]:8001"));
        assert_eq!(authority("phipi.example:80"), Some("phipi.example:80"));
        for wrong in ["", ":8001", "8001", "127.0.0.1", "127.0.0.1:0", "https://127.0.0.1:8001/x", "a@b:1", "a b:1"] {
            assert_eq!(authority(wrong), None, "{wrong}");
        }
    }
}
