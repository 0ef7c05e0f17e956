//! Clients of Redis: of one server, of a cluster, or of the server that sentinels name.

use std::{collections::BTreeMap, fmt, pin::pin, sync::Arc, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};
use redis::{
    Pipeline, RedisResult, Value,
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr},
};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

use super::{
    dial::{CONNECT, Link, Target, dial},
    fault::{self, Fault, code_of},
    node::{Node, trust_cluster_by},
    url::{Form, Login, Place, Url, UrlError},
};
use crate::telemetry::Trouble;

/// The timeout for finding the server: nodes or sentinels may be dead, and are tried concurrently.
const FIND: Duration = Duration::from_secs(5);

/// The retries of a command of a cluster whose slot moves, and the longest delay before one, in milliseconds.
const RETRIES: u32 = 2;
const RETRY_MS: u64 = 20;

/// The longest time between answers of which the first came when the patience was over.
const GRACE: Duration = Duration::from_millis(10);

/// The number of names that a server looks at in one step of a scan.
const SCANNED: u32 = 1_000;

/// The address of Redis, and the means to reach it. A clone is the same.
#[derive(Clone)]
pub struct Server {
    url: Arc<Url>,
    tls: Option<TlsConnector>,
    /// The client of a cluster.
    cluster: Option<Box<ClusterClient>>,
}

/// A client, open to any number of users at once.
#[derive(Clone)]
pub(super) enum Client {
    One(Link),
    Cluster(ClusterConnection<Node>),
}

impl Server {
    /// The server of a URL; a secure one is reached by `tls`.
    ///
    /// # Errors
    /// When the URL can't be right. The error never repeats it, since it may hold a password.
    pub(in crate::cache) fn new(url: Url, tls: Option<TlsConnector>) -> Result<Self, UrlError> {
        let cluster = (url.form == Form::Cluster).then(|| cluster_of(&url)).transpose()?.map(Box::new);
        if cluster.is_some() {
            trust_cluster_by(tls.clone());
        }
        Ok(Self { url: Arc::new(url), tls, cluster })
    }

    /// Whether it is a cluster of servers, of which some may be away.
    pub(super) fn is_cluster(&self) -> bool {
        self.cluster.is_some()
    }

    /// Connects. Each attempt looks up the server anew.
    pub(super) async fn connect(&self) -> RedisResult<Client> {
        let client = async {
            match (&self.url.places[..], &self.cluster) {
                (places, Some(cluster)) => {
                    // The library does not hand through why it can't connect.
                    any_of(places.iter().map(|node| self.dial(node, &self.url.login, Form::Cluster))).await?;
                    cluster.get_async_generic_connection().await.map(Client::Cluster)
                }
                (sentinels, None) if self.url.form == Form::Sentinels => {
                    any_of(sentinels.iter().map(|sentinel| self.primary_by(sentinel))).await.map(Client::One)
                }
                ([place, ..], None) => self.dial(place, &self.url.login, Form::Single).await.map(Client::One),
                ([], None) => Err(Fault::Closed.into()),
            }
        };
        timeout(FIND, client).await.unwrap_or_else(|_| Err(Fault::Silent(FIND).into()))
    }

    async fn dial(&self, place: &Place, login: &Login, form: Form) -> RedisResult<Link> {
        let db = if form == Form::Single { self.url.db } else { 0 };
        let scheme = self.url.single_scheme();
        dial(&Target { place, tls: self.tls.as_ref(), login, db, form, scheme }).await
    }

    /// The primary that a sentinel names.
    async fn primary_by(&self, sentinel: &Place) -> RedisResult<Link> {
        let primary = self.address_by(sentinel).await.map_err(|error| fault::of("the sentinel", sentinel, &error))?;
        let link = self.dial(&primary, &self.url.login, Form::Single).await;
        match link.map_err(|error| fault::of("the server that sentinels name,", &primary, &error))? {
            // The sentinel has not heard of a failover, or the server has not.
            link if link.is_replica => Err(Fault::Replica(primary).into()),
            link => Ok(link),
        }
    }

    /// The address of the primary, as a sentinel gives it. One that asks for a password, and has none of its own in the
    /// URL, is shown that of the server.
    async fn address_by(&self, sentinel: &Place) -> RedisResult<Place> {
        let (own, name) = (&self.url.sentinel_login, &self.url.primary);
        let has_own = own.password.is_some();
        let mut link = match self.dial(sentinel, own, Form::Sentinels).await {
            Err(error) if code_of(&error).as_deref() == Some("NOAUTH") && !has_own => {
                match self.dial(sentinel, &self.url.login, Form::Sentinels).await {
                    Err(error) if fault::trouble(&error) == Trouble::Denied => Err(Fault::SentinelPassword.into()),
                    link => link,
                }
            }
            link => link,
        }?;
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        let address: Option<(String, u16)> = ask.query_async(&mut link.connection).await?;
        let (host, port) = address.ok_or_else(|| Fault::NoPrimary(name.clone()))?;
        Ok(Place::Tcp { host, port })
    }
}

/// The first of several attempts that succeeds; when none does, the most helpful error.
async fn any_of<T>(attempts: impl Iterator<Item = impl Future<Output = RedisResult<T>>>) -> RedisResult<T> {
    let mut attempts: FuturesUnordered<_> = attempts.collect();
    let mut worst = None;
    while let Some(outcome) = attempts.next().await {
        match outcome {
            Ok(found) => return Ok(found),
            // One that is away may come back; the error of another may need an operator.
            Err(error) if worst.is_none() || fault::trouble(&error) != Trouble::Broken => worst = Some(error),
            Err(_) => {}
        }
    }
    Err(worst.unwrap_or_else(|| Fault::Closed.into()))
}

/// The client of a cluster. Its connections are made by `dial`, not by the library.
fn cluster_of(url: &Url) -> Result<ClusterClient, UrlError> {
    let address = |place: &Place| match place {
        Place::Tcp { host, port } => Some((host.clone(), *port)),
        Place::Socket(_) => None,
    };
    let nodes: Vec<_> = url.places.iter().filter_map(address).collect();
    let mut cluster = ClusterClient::builder(nodes)
        .retries(RETRIES)
        .min_retry_wait(1)
        .max_retry_wait(RETRY_MS)
        .connection_timeout(CONNECT);
    if let Some(user) = &url.login.user {
        cluster = cluster.username(user.clone());
    }
    if let Some(password) = &url.login.password {
        cluster = cluster.password(password.clone());
    }
    cluster.build().map_err(|_| UrlError::Host)
}

/// The URL without its password.
impl fmt::Display for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(out)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Server({self})")
    }
}

impl Client {
    /// Sends commands in one round trip, to each node that they concern, and gives the answer to each. Once a node has
    /// answered, the others of a cluster have this patience, and fail then: one that is slow holds up none of the rest.
    ///
    /// # Errors
    /// When the connection is broken: that of a cluster is when no node answers.
    pub(super) async fn ask(
        &mut self,
        commands: &Pipeline,
        patience: Duration,
    ) -> RedisResult<Vec<RedisResult<Value>>> {
        match self {
            Self::One(link) => commands.query_async(&mut link.connection).await,
            Self::Cluster(cluster) => {
                let answers = commands.cmd_iter().map(|command| {
                    let mut cluster = cluster.clone();
                    async move { command.query_async(&mut cluster).await }
                });
                let answers = all_in_time(answers, patience).await;
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
    pub(super) async fn scan(&mut self, prefix: &str, mut at: Cursor) -> RedisResult<(Vec<String>, Option<Cursor>)> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(at.position).arg("MATCH").arg(format!("{}*", literally(prefix))).arg("COUNT").arg(SCANNED);
        let (cursor, names): (u64, Vec<Vec<u8>>) = match self {
            Self::One(link) => scan.query_async(&mut link.connection).await?,
            Self::Cluster(cluster) => {
                let route = Route::new(at.slot(primaries(cluster).await?)?, SlotAddr::Master);
                let node = RoutingInfo::SingleNode(SingleNodeRoutingInfo::SpecificNode(route));
                redis::from_redis_value(cluster.route_command(scan, node).await?.extract_error()?)?
            }
        };
        at.position = cursor;
        if cursor == 0 {
            at.node += 1;
        }
        let names = names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let has_ended = at.node == at.primaries.len().max(1);
        Ok((names, (!has_ended).then_some(at)))
    }

    /// Whether it answers within a time, be it with an error. Of a cluster, one node has to: each is examined by itself.
    pub(super) async fn answers(&mut self, patience: Duration) -> bool {
        match self {
            Self::One(link) => timeout(patience, link.answers()).await.unwrap_or(false),
            Self::Cluster(cluster) => {
                let any = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
                let answer = timeout(FIND.max(patience), cluster.route_command(redis::cmd("PING"), any)).await;
                answer.is_ok_and(|answer| answer.map_or_else(|error| code_of(&error).is_some(), |_| true))
            }
        }
    }
}

/// The answers to questions, in order. Once there is one, the others have until the patience is over; if all are as slow as the
/// first, until no more come.
async fn all_in_time<T>(
    questions: impl Iterator<Item = impl Future<Output = RedisResult<T>>>,
    patience: Duration,
) -> Vec<RedisResult<T>> {
    let numbered = questions.enumerate().map(|(number, question)| async move { (number, question.await) });
    let mut open: FuturesUnordered<_> = numbered.collect();
    let mut answers: Vec<_> = (0..open.len()).map(|_| None).collect();
    let (mut end, mut is_grace, mut has_answer) = (pin!(sleep(patience)), false, false);
    loop {
        tokio::select! {
            next = open.next() => {
                let Some((number, answer)) = next else { break };
                has_answer |= answer.is_ok();
                answers[number] = Some(answer);
                if is_grace {
                    end.as_mut().reset(Instant::now() + GRACE);
                }
            }
            () = &mut end, if has_answer || !is_grace => {
                if has_answer {
                    break;
                }
                is_grace = true;
            }
        }
    }
    answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(Fault::Late(patience).into()))).collect()
}

/// The position of a scan.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// The ids of the primaries of a cluster, as the first step found them.
    primaries: Vec<String>,
    /// The number of the node among them.
    node: usize,
    /// The cursor that this node gave.
    position: u64,
}

impl Cursor {
    /// A slot of the node that is next, of the ids and slots of all primaries now.
    ///
    /// # Errors
    /// When they are not those of the first step: the rest of one that is gone would be left out.
    fn slot(&mut self, primaries: BTreeMap<String, u16>) -> Result<u16, Fault> {
        let (ids, slots): (Vec<String>, Vec<u16>) = primaries.into_iter().unzip();
        if self.primaries.is_empty() {
            self.primaries = ids;
        } else if self.primaries != ids {
            return Err(Fault::ClusterChanged);
        }
        slots.get(self.node).copied().ok_or(Fault::ClusterChanged)
    }
}

/// The ids of all primaries, in order, each with one of its slots. A node may not announce an address that all can use.
async fn primaries(cluster: &mut ClusterConnection<Node>) -> RedisResult<BTreeMap<String, u16>> {
    // Each range of slots with its bounds, its primary, and its replicas; a node with its address, its port, its id, and
    // more.
    let ranges: Vec<Vec<Value>> = redis::cmd("CLUSTER").arg("SLOTS").query_async(cluster).await?;
    let primary = |range: Vec<Value>| {
        let mut range = range.into_iter();
        let (slot, node) = (range.next().unwrap_or(Value::Nil), range.nth(1).unwrap_or(Value::Nil));
        let node: Vec<Value> = redis::from_redis_value(node)?;
        let id = node.into_iter().nth(2).unwrap_or(Value::Nil);
        Ok((redis::from_redis_value(id)?, redis::from_redis_value(slot)?))
    };
    ranges.into_iter().map(primary).collect()
}

/// A pattern for a text itself.
fn literally(text: &str) -> String {
    let escaped = text.chars().flat_map(|c| ['\\'].into_iter().filter(move |_| "*?[]^-\\".contains(c)).chain([c]));
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the questions that are answered, and the milliseconds that it took: each is answered after its own.
    async fn answered(delays: &[u64], patience: u64) -> (Vec<usize>, u128) {
        let began = Instant::now();
        let questions = delays.iter().map(|&delay| async move {
            sleep(Duration::from_millis(delay)).await;
            Ok(())
        });
        let answers = all_in_time(questions, Duration::from_millis(patience)).await;
        let answered = answers.iter().enumerate().filter(|(_, answer)| answer.is_ok()).map(|(number, _)| number);
        (answered.collect(), began.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn slow_nodes_hold_up_no_quick_one_and_alike_ones_are_waited_for() {
        assert_eq!(answered(&[], 40).await, (vec![], 0));
        assert_eq!(answered(&[1, 39, 2], 40).await, (vec![0, 1, 2], 39));
        assert_eq!(answered(&[1, 300, 2], 40).await, (vec![0, 2], 40));
        assert_eq!(answered(&[60, 65, 60], 40).await, (vec![0, 1, 2], 65));
        assert_eq!(answered(&[300, 60, 65], 40).await, (vec![1, 2], 75));
    }

    #[test]
    fn a_scan_leaves_out_no_primary_when_another_takes_its_place() {
        let primaries = |ids: &[&str]| (0..).zip(ids).map(|(slot, id)| ((*id).to_owned(), slot)).collect();
        let mut cursor = Cursor::default();
        assert_eq!(cursor.slot(primaries(&["a", "b", "c"])).unwrap(), 0);
        cursor.node += 1;
        assert_eq!(cursor.slot(primaries(&["a", "b", "c"])).unwrap(), 1);
        assert!(
            matches!(cursor.slot(primaries(&["b", "c", "z"])), Err(Fault::ClusterChanged)),
            "the rest of b is not seen"
        );
    }
}
