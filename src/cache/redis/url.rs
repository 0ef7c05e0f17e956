//! The URL of a Redis or a Valkey.
//!
//! It is read strictly. A character of a password that means something else in a URL would make one part of the password
//! look like the host and another like the database, and so get into the log. No message repeats any part of a URL.

use std::{fmt, path::PathBuf};

use percent_encoding::percent_decode_str;
use thiserror::Error;

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// A URL that can't be right, with the form that would be.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum UrlError {
    /// A character in the user or the password means something else.
    #[error(
        "a special character in the user or the password has to be percent-encoded: / is %2F, ? is %3F, # is %23, @ is \
         %40, : is %3A and % is %25, as in redis://USER:p%23ss@HOST:PORT"
    )]
    Encoding,
    /// Another client would not prove who the server is.
    #[error(
        "#insecure asks for a connection to a server that proves nothing, which phipi does not make: give the certificate \
         of the server, or of its CA, with --cache-tls-ca FILE"
    )]
    Insecure,
    /// There is a fragment.
    #[error(
        "nothing may follow a # in the URL of Redis; in a password # is written %23, as in redis://:p%23ss@HOST:PORT"
    )]
    Fragment,
    /// A user without a password.
    #[error(
        "a user needs a password, here or by --cache-password-file: write redis://USER:PASSWORD@HOST:PORT, or \
         redis://:PASSWORD@HOST:PORT for a password alone"
    )]
    Password,
    /// There is no host, or it can't be one.
    #[error("name the host; the port is 1 to 65535, and 6379 when it is left out: write redis://HOST:PORT/DB")]
    Host,
    /// An IPv6 address without brackets.
    #[error("an IPv6 address is written in brackets, as in redis://[::1]:6379/0")]
    Brackets,
    /// An address that servers listen on, and nobody connects to.
    #[error(
        "0.0.0.0 and [::] are no addresses to connect to: write that of the server, as in redis://127.0.0.1:6379/0"
    )]
    Wildcard,
    /// A database that is no number.
    #[error("the database is a number from 0 to 4294967295: write redis://HOST:PORT/0")]
    Database,
    /// A database of a cluster.
    #[error("a cluster has no numbered databases: write redis-cluster://HOST:PORT,HOST:PORT")]
    ClusterDatabase,
    /// Sentinels without the name of a primary.
    #[error("name the primary that the sentinels watch: write redis-sentinel://HOST:PORT,HOST:PORT/NAME/DB")]
    Primary,
    /// Several addresses of one server.
    #[error("one server has one address: for the nodes of a cluster write redis-cluster://HOST:PORT,HOST:PORT")]
    Several,
    /// A socket without a path.
    #[error("name the socket by its whole path, as in redis+unix:///run/redis.sock")]
    Socket,
    /// A parameter of a socket that is not known.
    #[error(
        "the parameters of a socket are db, user and pass, as in redis+unix:///run/redis.sock?db=1&user=USER&pass=p%26ss"
    )]
    SocketParameter,
    /// A parameter of sentinels that is not known.
    #[error(
        "the parameters of sentinels are sentinel-user and sentinel-password, as in \
         redis-sentinel://HOST:PORT/NAME?sentinel-password=p%26ss"
    )]
    SentinelParameter,
    /// A parameter where none is known.
    #[error("nothing may follow a ? in this URL: write redis://USER:PASSWORD@HOST:PORT/DB")]
    Parameter,
}

/// The form of the store that a URL leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One server, by its address or its socket.
    Single,
    /// The cluster of some nodes.
    Cluster,
    /// The primary that sentinels name.
    Sentinels,
}

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Tcp { host: String, port: u16 },
    Socket(PathBuf),
}

/// The user and the password that a server is shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

/// A URL, taken apart.
#[derive(Clone)]
pub(in crate::cache) struct Url {
    scheme: String,
    pub(super) form: Form,
    pub(in crate::cache) is_secure: bool,
    /// At least one.
    pub(super) places: Vec<Place>,
    pub(super) login: Login,
    /// For sentinels that have one of their own.
    pub(super) sentinel_login: Login,
    /// The name of the primary, for sentinels.
    pub(super) primary: String,
    pub(super) db: u32,
}

/// Whether a text has one of the schemes that are known here.
pub(in crate::cache) fn is_known(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| form_of(&scheme.to_ascii_lowercase()).is_some())
}

/// The form that a scheme stands for, and whether it is with TLS. Valkey's are those of Redis with another name.
fn form_of(scheme: &str) -> Option<(Form, bool)> {
    let rest = scheme.strip_prefix("redis").or_else(|| scheme.strip_prefix("valkey"))?;
    let (is_secure, rest) = rest.strip_prefix('s').map_or((false, rest), |rest| (true, rest));
    match rest {
        "" => Some((Form::Single, is_secure)),
        "+unix" if !is_secure => Some((Form::Single, false)),
        "-cluster" => Some((Form::Cluster, is_secure)),
        "-sentinel" => Some((Form::Sentinels, is_secure)),
        _ => None,
    }
}

impl Url {
    /// The scheme of a single server, by the same name and with TLS if this one is.
    pub(super) fn single_scheme(&self) -> &'static str {
        match (self.scheme.starts_with("valkey"), self.is_secure) {
            (false, false) => "redis",
            (false, true) => "rediss",
            (true, false) => "valkey",
            (true, true) => "valkeys",
        }
    }

    /// Reads a URL of a known scheme.
    pub(in crate::cache) fn new(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").unwrap_or((text, ""));
        let scheme = scheme.to_ascii_lowercase();
        let (form, is_secure) = form_of(&scheme).ok_or(UrlError::Host)?;
        let mut url = Self {
            scheme: scheme.clone(),
            form,
            is_secure,
            places: Vec::new(),
            login: Login::default(),
            sentinel_login: Login::default(),
            primary: String::new(),
            db: 0,
        };
        if scheme.ends_with("+unix") {
            url.read_socket(rest)?;
        } else {
            url.read_hosts(rest)?;
        }
        Ok(url)
    }

    /// Takes a password, if there is one, in place of its own.
    ///
    /// # Errors
    /// When there is a user, and no password.
    pub(in crate::cache) fn with_password(mut self, password: Option<String>) -> Result<Self, UrlError> {
        self.login.password = password.or(self.login.password);
        if self.login.user.is_some() && self.login.password.is_none() {
            return Err(UrlError::Password);
        }
        Ok(self)
    }

    /// Reads the rest of the URL of a socket: `/PATH?db=…&user=…&pass=…`.
    fn read_socket(&mut self, rest: &str) -> Result<(), UrlError> {
        let (path, query) = split_end(rest)?;
        let path = decoded(path).ok().filter(|path| path.starts_with('/')).ok_or(UrlError::Socket)?;
        self.places.push(Place::Socket(path.into()));
        for (name, value) in parameters(query) {
            match name {
                "db" => self.db = value?.parse().map_err(|_| UrlError::Database)?,
                "user" => self.login.user = Some(value?),
                "pass" => self.login.password = Some(value?),
                _ => return Err(UrlError::SocketParameter),
            }
        }
        Ok(())
    }

    /// Reads the rest of any other URL: `USER:PASSWORD@HOST:PORT,HOST:PORT/PATH?…`. An @ can't be in a host or a database:
    /// the last one ends the password.
    fn read_hosts(&mut self, rest: &str) -> Result<(), UrlError> {
        let (login, rest) = rest.rsplit_once('@').map_or(("", rest), |(login, rest)| (login, rest));
        self.login = login_in(login)?;
        let (rest, query) = split_end(rest)?;
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let port = if self.form == Form::Sentinels { SENTINEL_PORT } else { PORT };
        self.places = hosts.split(',').map(|host| place_of(host, port)).collect::<Result<_, _>>()?;
        let db = |text: &str| if text.is_empty() { Ok(0) } else { text.parse().map_err(|_| UrlError::Database) };
        match self.form {
            Form::Single if self.places.len() > 1 => return Err(UrlError::Several),
            Form::Single => self.db = db(path.trim_end_matches('/'))?,
            Form::Cluster if matches!(path, "" | "0") => {}
            Form::Cluster => return Err(UrlError::ClusterDatabase),
            Form::Sentinels => {
                let (name, number) = path.split_once('/').unwrap_or((path, ""));
                self.primary = decoded(name).ok().filter(|name| !name.is_empty()).ok_or(UrlError::Primary)?;
                self.db = db(number).map_err(|_| UrlError::Primary)?;
            }
        }
        for (name, value) in parameters(query) {
            match name {
                "sentinel-user" if self.form == Form::Sentinels => self.sentinel_login.user = Some(value?),
                "sentinel-password" if self.form == Form::Sentinels => self.sentinel_login.password = Some(value?),
                _ if self.form == Form::Sentinels => return Err(UrlError::SentinelParameter),
                _ => return Err(UrlError::Parameter),
            }
        }
        Ok(())
    }
}

/// The URL without its passwords.
impl fmt::Display for Url {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<String> = self.places.iter().map(Place::to_string).collect();
        let (scheme, places, db) = (&self.scheme, places.join(","), self.db);
        match self.form {
            Form::Single if matches!(self.places[..], [Place::Socket(_)]) => {
                write!(out, "{scheme}://{places}?db={db}")
            }
            Form::Single => write!(out, "{scheme}://{places}/{db}"),
            Form::Cluster => write!(out, "{scheme}://{places}"),
            Form::Sentinels => write!(out, "{scheme}://{places}/{}/{db}", self.primary),
        }
    }
}

/// An IPv6 address in brackets.
impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(out, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(out, "{host}:{port}"),
            Self::Socket(path) => write!(out, "{}", path.display()),
        }
    }
}

/// Splits off what follows a ?, and refuses what follows a #.
fn split_end(rest: &str) -> Result<(&str, &str), UrlError> {
    match rest.split_once('#') {
        Some((_, "insecure")) => Err(UrlError::Insecure),
        Some(_) => Err(UrlError::Fragment),
        None => Ok(rest.split_once('?').unwrap_or((rest, ""))),
    }
}

fn parameters(query: &str) -> impl Iterator<Item = (&str, Result<String, UrlError>)> {
    query.split('&').filter(|parameter| !parameter.is_empty()).map(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        (name, decoded(value))
    })
}

/// `USER:PASSWORD`, of which either may be missing. A password may hold colons.
fn login_in(text: &str) -> Result<Login, UrlError> {
    if text.contains(['/', '?', '#']) {
        return Err(UrlError::Encoding);
    }
    let (user, password) = text.split_once(':').map_or((text, None), |(user, password)| (user, Some(password)));
    let some = |text: &str| decoded(text).map(|text| Some(text).filter(|text| !text.is_empty()));
    Ok(Login { user: some(user)?, password: password.map(some).transpose()?.flatten() })
}

fn decoded(text: &str) -> Result<String, UrlError> {
    let is_hex = |rest: &str| rest.get(..2).is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    if text.contains(char::is_control) || !text.split('%').skip(1).all(is_hex) {
        return Err(UrlError::Encoding);
    }
    Ok(percent_decode_str(text).decode_utf8().map_err(|_| UrlError::Encoding)?.into_owned())
}

/// `HOST:PORT`, `HOST`, or the same with an IPv6 address in brackets.
fn place_of(text: &str, usual_port: u16) -> Result<Place, UrlError> {
    let is_of_an_address = |c: char| c.is_ascii_hexdigit() || ":.".contains(c);
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(UrlError::Brackets)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| UrlError::Brackets)?;
            (host, port)
        }
        None if text.matches(':').count() > 1 && text.chars().all(is_of_an_address) => return Err(UrlError::Brackets),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_of_a_host = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    if host.is_empty() || !host.chars().all(is_of_a_host) {
        return Err(UrlError::Host);
    }
    if matches!(host, "0.0.0.0" | "::") {
        return Err(UrlError::Wildcard);
    }
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|&port| port > 0).ok_or(UrlError::Host)?,
        None if port.is_empty() => usual_port,
        None => return Err(UrlError::Host),
    };
    Ok(Place::Tcp { host: host.into(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_else_in_a_url_is_refused_wherever_it_stands() {
        use UrlError::*;
        let rows = [
            ("redis://:p/ss@host", Encoding),
            ("redis://:p#ss@host", Encoding),
            ("redis://p#ss@host", Encoding),
            ("redis://:p?ss@host", Encoding),
            ("redis://:100%@host", Encoding),
            ("redis://:100%zz@host", Encoding),
            ("redis://:%ff@host", Encoding),
            ("redis-cluster://:p/ss@a:1,b:2", Encoding),
            ("redis-sentinel://u:p#ss@a:1/main", Encoding),
            ("rediss://host#insecure", Insecure),
            ("rediss://host/0#insecure", Insecure),
            ("redis://host/#p", Fragment),
            ("redis+unix:///run/redis.sock?pass=p#ss", Fragment),
            ("redis+unix:///run/redis.sock?pass=a&b", SocketParameter),
            ("redis+unix:///run/redis.sock?pass=100%", Encoding),
            ("redis+unix://run/redis.sock", Socket),
            ("redis+unix://", Socket),
            ("redis://", Host),
            ("redis://:p@", Host),
            ("redis://:secret:6379", Host),
            ("redis://host:", Host),
            ("redis://host:0", Host),
            ("redis://host:65536", Host),
            ("redis://ho st", Host),
            ("redis://::1:6379", Brackets),
            ("redis://[::1", Brackets),
            ("redis://[host]", Brackets),
            ("redis://0.0.0.0", Wildcard),
            ("redis://[::]:6379", Wildcard),
            ("redis://host/-1", Database),
            ("redis://host/main", Database),
            ("redis://a,b", Several),
            ("redis://host?timeout=5", Parameter),
            ("redis-sentinel://a/main?password=x", SentinelParameter),
        ];
        for (url, wrong) in rows {
            assert!(is_known(url), "{url}");
            assert_eq!(Url::new(url).err(), Some(wrong), "{url}");
        }
    }

    #[test]
    fn a_url_is_what_it_says() {
        let tcp = |host: &str, port| Place::Tcp { host: host.into(), port };
        let login = |user: &str, password: &str| {
            let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            Login { user: some(user), password: some(password) }
        };
        let rows = [
            ("redis://host", Form::Single, false, vec![tcp("host", 6379)], login("", "")),
            ("valkeys://u:p%23%2f%40@[::1]:1/2", Form::Single, true, vec![tcp("::1", 1)], login("u", "p#/@")),
            ("redis://:a:b@c@host", Form::Single, false, vec![tcp("host", 6379)], login("", "a:b@c")),
            ("redis://u@host", Form::Single, false, vec![tcp("host", 6379)], login("u", "")),
            (
                "valkey+unix:///a%20b?user=u&pass=p%26",
                Form::Single,
                false,
                vec![Place::Socket("/a b".into())],
                login("u", "p&"),
            ),
            ("rediss-cluster://:p@a:1,b", Form::Cluster, true, vec![tcp("a", 1), tcp("b", 6379)], login("", "p")),
            ("valkey-sentinel://:p@a/main", Form::Sentinels, false, vec![tcp("a", 26379)], login("", "p")),
        ];
        for (text, form, is_secure, places, login) in rows {
            let url = Url::new(text).unwrap();
            assert_eq!((url.form, url.is_secure), (form, is_secure), "{text}");
            assert!(url.places == places && url.login == login, "{text}");
        }
        let url = Url::new("redis-sentinel://:p@a/main/3?sentinel-user=u&sentinel-password=q%25").unwrap();
        assert!(url.sentinel_login == login("u", "q%") && url.login == login("", "p"));
        assert_eq!((&*url.primary, url.db), ("main", 3));
        for unknown in ["rediss+unix:///a", "redis-clusters://a", "keydb://a", "redis:a", "valkey"] {
            assert!(!is_known(unknown), "{unknown}");
        }
    }
}
