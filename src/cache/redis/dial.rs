//! Makes connections to a Redis: the handshake and the login, and a diagnosis of whatever else may be at an address.
//!
//! A server that refuses a connection says why and closes it, at times before it was asked anything, so that the caller
//! sees nothing but a broken connection. So its first bytes are overheard here.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{FutureExt, future::select_ok};
use redis::{
    AsyncConnectionConfig, FromRedisValue, Pipeline, RedisConnectionInfo, RedisError, RedisResult, Value,
    aio::MultiplexedConnection, make_extension_error,
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream, lookup_host},
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::task::AbortOnDropHandle;

use super::{
    fault::{Fault, code_of},
    trust,
    url::{Form, Login, Place},
};

/// The timeout of an attempt to connect, with the resolution of names and the login.
pub(super) const CONNECT: Duration = Duration::from_secs(1);

/// The number of first bytes from a server that are overheard.
const OVERHEARD: usize = 512;

/// A server, and the form that it has to have.
pub(super) struct Target<'a> {
    pub(super) place: &'a Place,
    pub(super) tls: Option<&'a TlsConnector>,
    pub(super) login: &'a Login,
    pub(super) db: u32,
    pub(super) form: Form,
    /// The scheme of a single server, for advice.
    pub(super) scheme: &'static str,
}

/// A connection, open to any number of users at once.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) connection: MultiplexedConnection,
    /// It ends with the last clone, whatever is under way then.
    driver: Arc<AbortOnDropHandle<()>>,
    traffic: Arc<Traffic>,
    pub(super) is_replica: bool,
}

impl Link {
    /// Whether it answers, be it with an error.
    ///
    /// The answer has to be the one to this very question. After a header was damaged in transit, a reply may have been
    /// taken for a part of the one before it, and from then on each question gets the reply to the next one: every answer
    /// is late, and yet the connection seems alive.
    pub(super) async fn answers(&mut self) -> bool {
        let (mut ping, text) = (redis::cmd("PING"), RandomState::new().hash_one(0).to_string());
        let answer = ping.arg(&text).query_async::<String>(&mut self.connection).await;
        answer.map_or_else(|error| code_of(&error).is_some(), |answer| answer == text)
    }

    pub(super) fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }

    /// Ends the connection: what is under way on it fails, and what is asked on it later.
    pub(super) fn close(&self) {
        self.driver.abort();
    }
}

/// Connects and logs in. Later commands have no timeout: they are bounded by the budgets of those who ask.
///
/// # Errors
/// [`Fault`]s, and what the server answers.
pub(super) async fn dial(target: &Target<'_>) -> RedisResult<Link> {
    let deadline = Instant::now() + CONNECT;
    match (target.place, target.tls) {
        (Place::Socket(path), _) => {
            let stream = by(deadline, Fault::Silent(CONNECT), reached(UnixStream::connect(path))).await?;
            by(deadline, Fault::Mute(CONNECT), handshake(stream, target)).await
        }
        (Place::Tcp { host, port }, None) => {
            let stream = by(deadline, Fault::Silent(CONNECT), reached(reach(host, *port))).await?;
            by(deadline, Fault::Mute(CONNECT), handshake(stream, target)).await
        }
        (Place::Tcp { host, port }, Some(tls)) => {
            let stream = by(deadline, Fault::Silent(CONNECT), reached(reach(host, *port))).await?;
            let stream = by(deadline, Fault::SilentTls(CONNECT), secure(tls, host, stream)).await?;
            by(deadline, Fault::Mute(CONNECT), handshake(stream, target)).await
        }
    }
}

/// A step that fails with `late` when it is not done by the deadline.
async fn by<T>(deadline: Instant, late: Fault, step: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timeout_at(deadline, step).await.unwrap_or_else(|_| Err(late.into()))
}

/// A connection of the system, with its error in plain words.
async fn reached<S>(connecting: impl Future<Output = io::Result<S>>) -> RedisResult<S> {
    Ok(connecting.await.map_err(|error| Fault::of_connection(&error))?)
}

/// Connects to the first address of a host that takes it.
async fn reach(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses: Vec<_> =
        lookup_host((host, port)).await?.map(|address| TcpStream::connect(address).boxed()).collect();
    if addresses.is_empty() {
        return Err(io::Error::other("its host has no address"));
    }
    let (stream, _) = select_ok(addresses).await?;
    // Commands are small, and each is waited for.
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn secure(tls: &TlsConnector, host: &str, stream: TcpStream) -> RedisResult<TlsStream<Overheard<TcpStream>>> {
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| Fault::Unreachable("its host can't be one of a certificate".into()))?;
    let (stream, heard) = Overheard::new(stream);
    Ok(tls.connect(name, stream).await.map_err(|error| {
        let mismatch = error.get_ref().and_then(|error| error.downcast_ref()).and_then(trust::mismatch);
        mismatch.map_or_else(|| Fault::of_stranger_to_tls(&lock(&heard).bytes), Fault::Certificate)
    })?)
}

/// Shows the login, and asks the server what it is: HELLO needs no right.
async fn handshake<S>(stream: S, target: &Target<'_>) -> RedisResult<Link>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (stream, heard) = Overheard::new(stream);
    let traffic = Arc::clone(&stream.traffic);
    // The library does no handshake of its own, since it drops what the server answers to that.
    let silent = RedisConnectionInfo::default().set_skip_set_lib_name();
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let (connection, driver) = MultiplexedConnection::new_with_config(&silent, stream, config).await?;
    let driver = Arc::new(AbortOnDropHandle::new(tokio::spawn(driver)));
    let mut link = Link { connection, driver, traffic, is_replica: false };
    let mut commands = Pipeline::new();
    if let Some(password) = &target.login.password {
        commands.cmd("AUTH").arg(target.login.user.as_ref()).arg(password);
    }
    commands.cmd("HELLO").arg(2);
    if target.db != 0 {
        commands.cmd("SELECT").arg(target.db);
    }
    commands.cmd("CLIENT").arg(&["SETINFO", "LIB-NAME", env!("CARGO_PKG_NAME")]);
    commands.cmd("CLIENT").arg(&["SETINFO", "LIB-VER", env!("CARGO_PKG_VERSION")]);
    let answers: RedisResult<Vec<RedisResult<Value>>> =
        commands.ignore_errors().query_async(&mut link.connection).await;
    let mut answers = answers.map_err(|error| lock(&heard).instead_of(error))?.into_iter();
    let mut next = || answers.next().unwrap_or(Ok(Value::Nil));
    if target.login.password.is_some() {
        next()?;
    }
    let hello = Hello::of(next())?;
    if let Some(fault) = Fault::of_form(target.form, &hello.mode, target.scheme, target.place) {
        return Err(fault.into());
    }
    if target.db != 0 {
        next().map_err(|error| match code_of(&error).as_deref() {
            Some("ERR") => Fault::NoDatabase(target.db).into(),
            _ => error,
        })?;
    }
    link.is_replica = hello.is_replica;
    Ok(link)
}

/// A server's description of itself.
#[derive(Default)]
struct Hello {
    /// `standalone`, `cluster`, `sentinel`, or empty if it does not say so.
    mode: String,
    is_replica: bool,
}

impl Hello {
    fn of(answer: RedisResult<Value>) -> RedisResult<Self> {
        match answer {
            Ok(answer) => {
                let mut said = HashMap::<String, Value>::from_redis_value(answer).unwrap_or_default();
                let mut word =
                    |name| String::from_redis_value(said.remove(name).unwrap_or(Value::Nil)).unwrap_or_default();
                Ok(Self { mode: word("mode"), is_replica: matches!(&*word("role"), "replica" | "slave") })
            }
            // A proxy may not know the command, or keep it to itself.
            Err(error) if is_unknown(&error) || code_of(&error).as_deref() == Some("NOPERM") => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }
}

fn is_unknown(error: &RedisError) -> bool {
    code_of(error).as_deref() == Some("ERR") && error.detail().is_some_and(|detail| detail.starts_with("unknown"))
}

/// A stream whose first bytes are kept.
struct Overheard<S> {
    stream: S,
    heard: Arc<Mutex<Heard>>,
    /// The number of bytes that are still to be kept.
    left: usize,
    traffic: Arc<Traffic>,
}

/// The bytes that were exchanged with a server.
#[derive(Default)]
pub(super) struct Traffic {
    received: AtomicUsize,
    /// The bytes that were sent since the last ones were received.
    unanswered: AtomicUsize,
}

impl Traffic {
    pub(super) fn received(&self) -> usize {
        self.received.load(Ordering::Relaxed)
    }

    pub(super) fn unanswered(&self) -> usize {
        self.unanswered.load(Ordering::Relaxed)
    }

    fn add_received(&self, bytes: usize) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
        self.unanswered.store(0, Ordering::Relaxed);
    }

    fn add_sent(&self, bytes: usize) {
        self.unanswered.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The first bytes of a stream.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    /// The fault that ended it.
    failure: Option<Fault>,
}

impl Heard {
    /// The cause that was heard or seen, in place of an error that says only that the connection is gone or makes no sense.
    fn instead_of(&self, error: RedisError) -> RedisError {
        if let Some(failure) = &self.failure {
            return failure.clone().into();
        }
        if let Some(stranger) = Fault::of_stranger(&self.bytes) {
            return stranger.into();
        }
        let line = String::from_utf8_lossy(&self.bytes);
        match line.strip_prefix('-').and_then(|line| line.lines().next()?.split_once(' ')) {
            Some((code, text)) => make_extension_error(code.into(), Some(text.into())),
            None => error,
        }
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    // Whole between any two of its changes.
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: AsyncRead + Unpin> Overheard<S> {
    fn new(stream: S) -> (Self, Arc<Mutex<Heard>>) {
        let heard = Arc::<Mutex<Heard>>::default();
        (Self { stream, heard: Arc::clone(&heard), left: OVERHEARD, traffic: Arc::default() }, heard)
    }

    /// Hears what the server sent before it closed the connection: after a failed write nobody else reads it. It waits for
    /// that or for the end of the stream, which both may be there before the runtime knows.
    fn listen(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut room = [0; OVERHEARD];
        Pin::new(self).poll_read(context, &mut ReadBuf::new(&mut room)).map(drop)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Overheard<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = room.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, room);
        let new = room.filled().get(before..).unwrap_or_default();
        if !new.is_empty() {
            self.traffic.add_received(new.len());
        }
        if self.left > 0 {
            let new = &new[..new.len().min(self.left)];
            let mut heard = lock(&self.heard);
            heard.bytes.extend_from_slice(new);
            if let Poll::Ready(Err(error)) = &read {
                let mismatch = error.get_ref().and_then(|error| error.downcast_ref()).and_then(trust::mismatch);
                heard.failure = mismatch.map(Fault::Certificate);
            }
            drop(heard);
            self.left -= new.len();
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Overheard<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if matches!(written, Poll::Ready(Err(_))) && self.left > 0 {
            ready!(self.listen(context));
        }
        if let Poll::Ready(Ok(bytes)) = written {
            self.traffic.add_sent(bytes);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
