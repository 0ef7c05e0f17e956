//! Asks a running process whether it is ready, as a load balancer does.

use std::{error, io::ErrorKind, time::Duration};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1::handshake, header::HOST};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::{net::TcpStream, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::telemetry;

/// The timeout of the answer: a later one is no use to the caller.
const PATIENCE: Duration = Duration::from_secs(3);

/// The longest answer that is read. That of `/readyz` has some hundred bytes.
const ANSWER_BYTES: usize = 64 * 1024;

/// Why a process is not ready.
#[derive(Debug, Error)]
pub enum Unhealthy {
    /// The argument is no address.
    #[error(
        "this is not the address of a process: write IP:PORT, HOST:PORT or http://HOST:PORT, that of its --admin-listen \
         (PHIPI_ADMIN_LISTEN)"
    )]
    Address,
    /// Nobody answers.
    #[error("http://{authority}/readyz does not answer: {cause}; is phipi running, and is this its --admin-listen?")]
    Silent {
        /// The host and the port that were asked.
        authority: String,
        /// Why.
        cause: String,
    },
    /// The answer says so, or is not that of phipi.
    #[error("http://{authority} is not ready: it answers {status}: {answer}")]
    NotReady {
        /// The host and the port that were asked.
        authority: String,
        /// The status of the answer.
        status: StatusCode,
        /// The text of the answer, on one line.
        answer: String,
    },
}

/// The answer of `/readyz`, one line of JSON, of the process whose operator's listener is at `target`, when it is ready.
///
/// # Errors
/// When it is not, or nobody can tell.
pub async fn health(target: &str) -> Result<String, Unhealthy> {
    let authority = authority(target).ok_or(Unhealthy::Address)?;
    let asked = timeout(PATIENCE, ask(authority)).await;
    let answered = asked.unwrap_or_else(|_| Err(format!("there is no answer within {} s", PATIENCE.as_secs())));
    let (status, answer) = answered.map_err(|cause| Unhealthy::Silent { authority: authority.to_owned(), cause })?;
    let is_readiness = serde_json::from_str(&answer).is_ok_and(|value: serde_json::Value| value["status"] == "ready");
    if status == StatusCode::OK && is_readiness {
        return Ok(answer);
    }
    let answer = answer.chars().take(500).map(|one| if one.is_control() { ' ' } else { one }).collect();
    Err(Unhealthy::NotReady { authority: authority.to_owned(), status, answer })
}

/// The host and port of an address, which may be written as the URL of the listener or of `/readyz`.
fn authority(target: &str) -> Option<&str> {
    let target = target.strip_prefix("http://").unwrap_or(target);
    let target = target.strip_suffix("/readyz").unwrap_or(target);
    let target = target.strip_suffix('/').unwrap_or(target);
    let (host, port) = target.rsplit_once(':')?;
    let is_host = !host.is_empty() && !host.contains(['/', '@', ' ']);
    (is_host && port.parse::<u16>().is_ok_and(|port| port != 0)).then_some(target)
}

/// The status and the answer, or the cause of failure.
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
    let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await?.to_bytes();
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
