//! A node of a cluster, as the client library uses it. A node that hangs fails like one that is dead: commands that are under
//! way to it fail as soon as its silence is noticed, and later ones at once, until it answers again. Left to the library's own
//! recovery, it would hold up what is for the other nodes.

use std::{
    collections::BTreeMap,
    mem,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::FutureExt;
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, IntoConnectionInfo, Pipeline, RedisFuture, RedisResult, Value,
    aio::ConnectionLike, cluster_async::Connect,
};
use tokio::{runtime::Handle, time::timeout};
use tokio_rustls::TlsConnector;

use super::{
    dial::{CONNECT, Link, Target, dial},
    fault::{Fault, is_silence},
    url::{Form, Login, Place},
    watch::{silence_with, watched},
};
use crate::telemetry;

/// The TLS connector for the nodes of the cluster. The library connects to them by itself, and hands nothing through; a
/// process has one store.
static TLS: RwLock<Option<TlsConnector>> = RwLock::new(None);

/// The nodes that are silent, each with whether an attempt to connect to it is under way.
static SILENT: Mutex<BTreeMap<Place, bool>> = Mutex::new(BTreeMap::new());

/// Has connections to servers of a cluster made with this.
pub(super) fn trust_cluster_by(tls: Option<TlsConnector>) {
    *TLS.write().unwrap_or_else(PoisonError::into_inner) = tls;
}

fn silent() -> MutexGuard<'static, BTreeMap<Place, bool>> {
    // Whole between any two of its changes.
    SILENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection to a node, open to any number of users at once.
#[derive(Clone)]
pub(super) struct Node {
    link: Link,
    place: Arc<Place>,
    is_suspected: Arc<AtomicBool>,
    /// Runs the examination, also of a question that is dropped outside of any runtime.
    runtime: Handle,
}

impl Node {
    /// Has the node examined, which did not answer while somebody waited.
    fn suspect(&self) {
        if !self.is_suspected.swap(true, Ordering::Relaxed) {
            self.runtime.spawn(self.clone().examine());
        }
    }

    /// Closes the connection unless the node answers a PING.
    async fn examine(mut self) {
        if is_alive(&mut self.link).await {
            self.is_suspected.store(false, Ordering::Relaxed);
        } else {
            silent().entry(Place::clone(&self.place)).or_default();
            self.link.close();
            telemetry::connection_replaced();
        }
    }
}

/// Whether a server answers a PING, which comes after what it was asked before: it has time as long as bytes come in from it, or
/// may be under way to it.
async fn is_alive(link: &mut Link) -> bool {
    let traffic = link.traffic();
    let mut answer = pin!(link.answers());
    loop {
        let received = traffic.received();
        match timeout(silence_with(traffic.unanswered()), &mut answer).await {
            Ok(is_right) => return is_right,
            Err(_) if traffic.received() == received => return false,
            Err(_) => {}
        }
    }
}

impl ConnectionLike for Node {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let mut connection = self.link.connection.clone();
        watched(async move { connection.req_packed_command(command).await }, || self.suspect()).boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let mut connection = self.link.connection.clone();
        watched(async move { connection.req_packed_commands(commands, offset, count).await }, || self.suspect()).boxed()
    }

    fn get_db(&self) -> i64 {
        self.link.connection.get_db()
    }
}

impl Connect for Node {
    fn connect_with_config<'a, T>(server: T, _: AsyncConnectionConfig) -> RedisFuture<'a, Self>
    where
        T: IntoConnectionInfo + Send + 'a,
    {
        async move {
            let server = server.into_connection_info()?;
            let place = match server.addr() {
                ConnectionAddr::Unix(path) => Place::Socket(path.clone()),
                ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                    Place::Tcp { host: host.clone(), port: *port }
                }
                _ => return Err(Fault::ClusterChanged.into()),
            };
            let settings = server.redis_settings();
            let some = |text: Option<&str>| text.map(str::to_owned);
            let login = Login { user: some(settings.username()), password: some(settings.password()) };
            let link = reach(place.clone(), login).await?;
            Ok(Self { link, place: Arc::new(place), is_suspected: Arc::default(), runtime: Handle::current() })
        }
        .boxed()
    }
}

/// Connects to a node. If it is silent, this fails at once, and an attempt goes on behind it, so that a later one succeeds.
async fn reach(place: Place, login: Login) -> RedisResult<Link> {
    let is_tried = silent().get_mut(&place).map(|is_tried| mem::replace(is_tried, true));
    match is_tried {
        None => attempt(place, login).await,
        Some(is_tried) => {
            if !is_tried {
                tokio::spawn(attempt(place, login));
            }
            Err(Fault::Silent(CONNECT).into())
        }
    }
}

/// Connects to a node, and notes whether it is silent.
async fn attempt(place: Place, login: Login) -> RedisResult<Link> {
    let tls = TLS.read().unwrap_or_else(PoisonError::into_inner).clone();
    let scheme = if tls.is_some() { "rediss" } else { "redis" };
    let target = Target { place: &place, tls: tls.as_ref(), login: &login, db: 0, form: Form::Cluster, scheme };
    let link = dial(&target).await;
    match &link {
        Err(error) if is_silence(error) => silent().insert(place, false),
        _ => silent().remove(&place),
    };
    link
}
