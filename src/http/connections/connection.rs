//! One connection, from being accepted to its end.

use std::{convert::Infallible, pin::pin, sync::Arc};

use axum::{body::Body, http::Response};
use hyper::service::service_fn;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until},
};

use super::{
    Answers, Slot,
    answer::Answer,
    in_place::InPlace,
    pulse::{Pulse, Verdict},
    stream::Stream,
};
use crate::{http::panics, telemetry};

/// Serves a connection until its client is done with it, a limit has passed, or a drain has no more use for it.
pub(super) async fn run(socket: TcpStream, site: Arc<impl Answers>, slot: Slot) {
    // Answers are small and whole: nothing is gained by holding them back. A socket that refuses is gone.
    let _ = socket.set_nodelay(true);
    let (door, pulse) = (Arc::clone(&slot.door), Arc::new(Pulse::new()));
    let answer = service_fn(|request: axum::http::Request<hyper::body::Incoming>| {
        let (open, site) = (pulse.begin(), Arc::clone(&site));
        async move {
            let response = panics::caught(&*site, request.map(Body::new)).await;
            Ok::<Response<Answer>, Infallible>(response.map(|body| Answer::new(body, open)))
        }
    });
    let stream = Stream::new(socket, Arc::clone(&pulse), slot);
    let connection = pin!(door.protocols.serve_connection_with_upgrades(stream, answer));
    let mut connection = InPlace::new(connection);
    let mut look = pin!(sleep_until(Instant::now() + door.limits.head.min(door.limits.idle)));
    // One of its own, since what all connections share would be fought for whenever one of them is woken.
    let draining = door.draining.child_token();
    let mut is_leaving = false;
    loop {
        tokio::select! {
            biased;
            // An error is between the client and its network.
            _ = &mut connection => return,
            () = look.as_mut() => if is_leaving {
                connection.get_mut().as_mut().graceful_shutdown();
                if pulse.is_quiet(door.limits.grace) {
                    return;
                }
                look.as_mut().reset(Instant::now() + door.limits.grace);
            } else {
                match pulse.verdict(&door.limits) {
                    Verdict::Fine(next) => look.as_mut().reset(next.into()),
                    Verdict::Over(cause) => {
                        telemetry::connection_cut(door.listener, cause);
                        return;
                    }
                }
            },
            () = draining.cancelled(), if !is_leaving => {
                is_leaving = true;
                // A first head may be on its way.
                if !pulse.is_fresh() {
                    connection.get_mut().as_mut().graceful_shutdown();
                }
                look.as_mut().reset(Instant::now() + door.limits.grace);
            }
        }
    }
}
