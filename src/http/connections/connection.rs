//! The task of one connection: it serves requests, and enforces timeouts and the drain.

use std::{convert::Infallible, pin::pin, sync::Arc};

use axum::http::{HeaderValue, Request, StatusCode, header::CONNECTION};
use hyper::service::service_fn;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until},
};

use super::{
    activity::{Activity, Check},
    answer::followed,
    in_place::InPlace,
    progress::Watch,
    slot::Slot,
    stream::Stream,
};
use crate::{
    http::{answers::Answers, body::RequestBody, gate::Client},
    telemetry,
};

/// Serves a connection until its client closes it, a timeout passes, or a drain closes it.
pub(super) async fn run(socket: TcpStream, site: Arc<impl Answers>, slot: Slot) {
    // A response is written at once, so that nothing is gained by delaying it (Nagle). A socket that fails here is
    // gone.
    let _ = socket.set_nodelay(true);
    let (shared, activity) = (Arc::clone(&slot.shared), Arc::new(Activity::new()));
    let client = Client::new(&shared.gate);
    let stall = shared.limits.stall;
    let answer = service_fn(|request: Request<hyper::body::Incoming>| {
        let (open, site) = (activity.begin(), Arc::clone(&site));
        let (activity, client, version) = (Arc::clone(&activity), Arc::clone(&client), request.version());
        async move {
            let of_stream = Watch::of_stream();
            let request = RequestBody::of(request, &client, of_stream.as_deref().and_then(Watch::permit));
            let mut response = site.answer(request, &client).await;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                activity.upgrade();
            } else if client.is_ending() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            let watch = of_stream.as_deref().unwrap_or(&activity.answer);
            Ok::<_, Infallible>(followed(response, version, open, watch, stall))
        }
    });
    let stream = Stream::new(socket, Arc::clone(&activity), Arc::clone(&client), slot);
    let connection = pin!(shared.protocols.serve_connection_with_upgrades(stream, answer));
    let mut connection = InPlace::new(connection);
    let mut look = pin!(sleep_until(Instant::now() + shared.limits.head.min(shared.limits.idle)));
    // A child token, since a shared one would be contended whenever a connection is woken.
    let draining = shared.draining.child_token();
    let mut is_leaving = false;
    loop {
        tokio::select! {
            biased;
            // Errors of a connection are those of its client or the network.
            _ = &mut connection => return,
            () = look.as_mut() => if is_leaving {
                connection.get_mut().as_mut().graceful_shutdown();
                if activity.is_quiet(shared.limits.grace) {
                    return;
                }
                look.as_mut().reset(Instant::now() + shared.limits.grace);
            } else {
                match activity.check(&shared.limits) {
                    Check::Next(next) => look.as_mut().reset(next.into()),
                    Check::TimedOut(cause) => {
                        telemetry::connection_timed_out(shared.listener, cause);
                        return;
                    }
                }
            },
            () = draining.cancelled(), if !is_leaving => {
                is_leaving = true;
                // A request may be in flight to an idle HTTP/1.1 connection, and would be lost if it was closed now.
                if activity.is_open() || activity.speaks_http2() {
                    connection.get_mut().as_mut().graceful_shutdown();
                }
                look.as_mut().reset(Instant::now() + shared.limits.grace);
            }
        }
    }
}
