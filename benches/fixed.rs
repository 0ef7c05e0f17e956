//! A server of fixed bytes: as fast as an answer over HTTP can be, the measure for phipi's.
//!
//! `fixed CONTENT_TYPE` reads two lines: the first is the answer to `POST /graphql`, the second to `GET /large`. It
//! looks at nothing that a client sends, and prints its address as phipi does.

use std::{env, io};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderValue, header::CONTENT_TYPE},
    routing::{get, post},
    serve::ListenerExt,
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    let content_type = env::args().nth(1).expect("a content type");
    let content_type = HeaderValue::try_from(content_type).expect("a content type");
    let mut lines = io::stdin().lines();
    let mut answer = || {
        let body = Bytes::from(lines.next().expect("two lines").expect("a line of text"));
        let content_type = content_type.clone();
        move || async move { ([(CONTENT_TYPE, content_type)], body) }
    };
    let router = Router::new().route("/graphql", post(answer())).route("/large", get(answer()));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("listening on http://{}", listener.local_addr().expect("an address"));
    axum::serve(listener.tap_io(|stream| drop(stream.set_nodelay(true))), router).await.expect("it is served");
}
