//! How Redis is reached: one server, a cluster, or the server that sentinels name.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use futures_util::future::join_all;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, Pipeline, RedisError,
    RedisResult, TlsCertificates, TlsMode, Value,
    aio::MultiplexedConnection,
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    cluster_routing::{RoutingInfo, SingleNodeRoutingInfo},
    io::tcp::TcpSettings,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use tokio::{sync::Mutex, time::timeout};

use super::store::code_of;

/// How long an attempt to connect may take, names and passwords included.
const CONNECT: Duration = Duration::from_secs(1);

/// The same for all that it takes to find the server: nodes or sentinels may be dead, and are tried one after another.
const FIND: Duration = Duration::from_secs(5);

/// A command of a cluster whose slot moves is sent again so often, after a while of at most so many milliseconds.
const RETRIES: u32 = 2;
const RETRY_MS: u64 = 20;

/// How many names a server looks at in one step of a scan.
const SCANNED: u32 = 1_000;

/// What a client shows, and how it is sure of the server.
#[derive(Clone, Default)]
pub struct Access {
    /// In place of the one in the URL.
    pub password: Option<String>,
    /// The certificates to trust in place of the system's, in PEM.
    pub roots: Option<Vec<u8>>,
    /// The client's own certificate and its key, in PEM.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Access {
    /// Whether there is anything to show or to be sure by.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.password.is_some() || self.names_certificates()
    }

    fn names_certificates(&self) -> bool {
        self.roots.is_some() || self.identity.is_some()
    }

    fn certificates(&self) -> TlsCertificates {
        let client_tls =
            self.identity.clone().map(|(client_cert, client_key)| redis::ClientTlsConfig { client_cert, client_key });
        TlsCertificates { client_tls, root_cert: self.roots.clone() }
    }
}

/// Where Redis is. A clone is the same.
#[derive(Clone)]
pub struct Server {
    kind: Kind,
    /// The URL without the password.
    shown: Arc<str>,
}

#[derive(Clone)]
enum Kind {
    One(Box<Client>),
    Cluster(Box<ClusterClient>),
    /// It remembers its connections to the sentinels.
    Sentinels(Arc<Mutex<SentinelClient>>),
}

/// A way to send commands, open to any number of users at once.
#[derive(Clone)]
pub(super) enum Way {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Server {
    /// The server of a URL: `redis://`, `redis+unix://`, `redis-cluster://` with the addresses of some nodes, or
    /// `redis-sentinel://` with those of sentinels and the name of the primary; with TLS where it begins with `rediss`.
    ///
    /// # Errors
    /// What to write instead. It never repeats the URL, which may hold a password.
    pub(super) fn new(url: &str, access: &Access) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
        let is_secure = scheme.starts_with("rediss");
        if access.names_certificates() && !is_secure {
            return Err("certificates are for TLS: write rediss://, rediss-cluster:// or rediss-sentinel://".into());
        }
        let server = match scheme {
            "redis" | "rediss" | "redis+unix" => Self::one(url, access),
            "redis-cluster" | "rediss-cluster" => Self::cluster(&Many::of(scheme, rest), access),
            _ => Self::sentinels(&Many::of(scheme, rest), access),
        };
        server.map_err(|wrong| wrong.to_string())
    }

    fn one(url: &str, access: &Access) -> RedisResult<Self> {
        let server = with_access(url.into_connection_info()?, access);
        let db = server.redis_settings().db();
        let (shown, client) = match server.addr() {
            ConnectionAddr::Unix(path) => (format!("redis+unix://{}?db={db}", path.display()), Client::open(server)?),
            address if is_secure(address) => {
                (format!("rediss://{address}/{db}"), Client::build_with_tls(server, access.certificates())?)
            }
            address => (format!("redis://{address}/{db}"), Client::open(server)?),
        };
        Ok(Self { kind: Kind::One(Box::new(client)), shown: shown.into() })
    }

    fn cluster(url: &Many<'_>, access: &Access) -> RedisResult<Self> {
        if !matches!(url.path, "" | "0") {
            return Err(wrong("a cluster has no numbered databases: write redis-cluster://HOST:PORT,HOST:PORT"));
        }
        let nodes = url.nodes(access)?;
        let mut cluster = ClusterClient::builder(nodes)
            .retries(RETRIES)
            .min_retry_wait(1)
            .max_retry_wait(RETRY_MS)
            .connection_timeout(CONNECT)
            .tcp_settings(prompt());
        if url.is_secure() {
            cluster = cluster.tls(TlsMode::Secure).certs(access.certificates());
        }
        Ok(Self { kind: Kind::Cluster(Box::new(cluster.build()?)), shown: url.shown(url.hosts).into() })
    }

    fn sentinels(url: &Many<'_>, access: &Access) -> RedisResult<Self> {
        let (name, db) = url.path.split_once('/').unwrap_or((url.path, "0"));
        let (false, Ok(db)) = (name.is_empty(), db.parse::<u32>()) else {
            return Err(wrong("name the primary: write redis-sentinel://HOST:PORT,HOST:PORT/NAME/DB"));
        };
        let sentinels = url.nodes(access)?;
        let settings = sentinels[0].redis_settings().clone();
        let addresses: Vec<_> = sentinels.into_iter().map(|sentinel| sentinel.addr().clone()).collect();
        let mut builder = SentinelClientBuilder::new(addresses, name, SentinelServerType::Master)?
            .set_client_to_redis_db(db.into())
            .set_client_to_redis_tcp_settings(prompt());
        if let Some(user) = settings.username() {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = settings.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if url.is_secure() {
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_redis_certificates(access.certificates())
                .set_client_to_sentinel_certificates(access.certificates());
        }
        let shown = url.shown(&format!("{}/{name}/{db}", url.hosts));
        Ok(Self { kind: Kind::Sentinels(Arc::new(Mutex::new(builder.build()?))), shown: shown.into() })
    }

    /// Connects. Where the server is, is asked at each attempt.
    pub(super) async fn connect(&self) -> RedisResult<Way> {
        // Commands are bounded by the budgets of those who ask.
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(Some(CONNECT));
        let way = async {
            match &self.kind {
                Kind::One(client) => client.get_multiplexed_async_connection_with_config(&config).await.map(Way::One),
                Kind::Cluster(cluster) => cluster.get_async_connection().await.map(Way::Cluster),
                Kind::Sentinels(client) => {
                    client.lock().await.get_async_connection_with_config(&config).await.map(Way::One)
                }
            }
        };
        timeout(FIND, way).await.unwrap_or_else(|_| Err((ErrorKind::Io, "no connection in time").into()))
    }
}

/// The URL without its password.
impl fmt::Display for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.shown)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Server({self})")
    }
}

impl Way {
    /// Sends commands in one round trip, to each node that they concern, and gives the answer to each.
    ///
    /// # Errors
    /// When the way is broken: a cluster's is when no node answers.
    pub(super) async fn ask(&mut self, commands: &Pipeline) -> RedisResult<Vec<RedisResult<Value>>> {
        match self {
            Self::One(server) => commands.query_async(server).await,
            Self::Cluster(cluster) => {
                let answers = commands.cmd_iter().map(|command| {
                    let mut cluster = cluster.clone();
                    async move { command.query_async(&mut cluster).await }
                });
                let answers = join_all(answers).await;
                let is_broken =
                    |answer: &RedisResult<Value>| answer.as_ref().is_err_and(|error| code_of(error).is_none());
                let is_broken = !answers.is_empty() && answers.iter().all(is_broken);
                if is_broken {
                    answers.into_iter().collect::<RedisResult<Vec<_>>>().map(|_| Vec::new())
                } else {
                    Ok(answers)
                }
            }
        }
    }

    /// Some names that begin with `prefix`, and where to go on; a name may come twice. In a name that is not UTF-8, U+FFFD
    /// stands for what can't be read.
    ///
    /// # Errors
    /// When a node does not answer.
    pub(super) async fn scan(&mut self, prefix: &str, at: Cursor) -> RedisResult<(Vec<String>, Option<Cursor>)> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(at.cursor).arg("MATCH").arg(format!("{}*", literally(prefix))).arg("COUNT").arg(SCANNED);
        let (cursor, names, nodes): (u64, Vec<Vec<u8>>, _) = match self {
            Self::One(server) => {
                let (cursor, names) = scan.query_async(server).await?;
                (cursor, names, 1)
            }
            Self::Cluster(cluster) => {
                let primaries = primaries(cluster).await?;
                let gone = || wrong("the cluster has changed meanwhile: try again");
                let (host, port) = primaries.iter().nth(at.node).cloned().ok_or_else(gone)?;
                let node = RoutingInfo::SingleNode(SingleNodeRoutingInfo::ByAddress { host, port });
                let (cursor, names) = redis::from_redis_value(cluster.route_command(scan, node).await?)?;
                (cursor, names, primaries.len())
            }
        };
        let next = match cursor {
            0 => Cursor { node: at.node + 1, cursor: 0 },
            cursor => Cursor { cursor, ..at },
        };
        let names = names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        Ok((names, Some(next).filter(|next| next.node < nodes)))
    }

    /// Whether it answers, be it with an error: in a cluster, whether all primaries do.
    pub(super) async fn answers(&mut self) -> bool {
        let ping = redis::cmd("PING");
        let answer = match self {
            Self::One(server) => ping.query_async::<Value>(server).await,
            Self::Cluster(cluster) => ping.query_async(cluster).await,
        };
        answer.map_or_else(|error| code_of(&error).is_some(), |_| true)
    }
}

/// Where a scan has come to: the number of the node among the primaries, and its own cursor.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    node: usize,
    cursor: u64,
}

/// The addresses of all primaries, in order.
async fn primaries(cluster: &mut ClusterConnection) -> RedisResult<BTreeSet<(String, u16)>> {
    // Each range of slots with its bounds, its primary, and its replicas; a node with its address, its port, and more.
    let ranges: Vec<Vec<Value>> = redis::cmd("CLUSTER").arg("SLOTS").query_async(cluster).await?;
    let primary = |range: Vec<Value>| {
        let node: Vec<Value> = redis::from_redis_value(range.into_iter().nth(2).unwrap_or(Value::Nil))?;
        let mut node = node.into_iter();
        let mut next = || node.next().unwrap_or(Value::Nil);
        Ok((redis::from_redis_value(next())?, redis::from_redis_value(next())?))
    };
    ranges.into_iter().map(primary).collect()
}

/// A pattern for a text itself.
fn literally(text: &str) -> String {
    let escaped = text.chars().flat_map(|c| ['\\'].into_iter().filter(move |_| "*?[]^-\\".contains(c)).chain([c]));
    escaped.collect()
}

/// A URL with several addresses.
struct Many<'a> {
    scheme: &'a str,
    /// The user and the password, up to and with the @.
    user: &'a str,
    hosts: &'a str,
    path: &'a str,
}

impl<'a> Many<'a> {
    fn of(scheme: &'a str, rest: &'a str) -> Self {
        let (user, rest) = rest.split_at(rest.rfind('@').map_or(0, |at| at + 1));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        Self { scheme, user, hosts, path }
    }

    fn is_secure(&self) -> bool {
        self.scheme.starts_with("rediss")
    }

    fn shown(&self, rest: &str) -> String {
        format!("{}://{rest}", self.scheme)
    }

    /// Each address with the user and the password.
    fn nodes(&self, access: &Access) -> RedisResult<Vec<ConnectionInfo>> {
        let scheme = if self.is_secure() { "rediss" } else { "redis" };
        let node = |host: &str| format!("{scheme}://{}{host}", self.user).into_connection_info();
        self.hosts.split(',').map(|host| Ok(with_access(node(host)?, access))).collect()
    }
}

/// A connection with the password of the file, if there is one.
fn with_access(server: ConnectionInfo, access: &Access) -> ConnectionInfo {
    let settings = server.redis_settings().clone();
    let settings = match &access.password {
        Some(password) => settings.set_password(password),
        None => settings,
    };
    server.set_redis_settings(settings).set_tcp_settings(prompt())
}

/// What is asked is small and waited for.
fn prompt() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn is_secure(address: &ConnectionAddr) -> bool {
    matches!(address, ConnectionAddr::TcpTls { .. })
}

fn wrong(message: &'static str) -> RedisError {
    (ErrorKind::InvalidClientConfig, message).into()
}
