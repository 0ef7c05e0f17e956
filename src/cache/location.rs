//! The location of the shared tier: the value of `--cache`.

use std::{fmt, path::PathBuf};

use thiserror::Error;

use super::redis::{Access, AccessError, Server, Url, UrlError, is_known};

/// The place where answers are kept.
#[derive(Clone, Debug)]
pub enum Location {
    /// In this process alone.
    Memory {
        /// Whether nobody asked for it.
        is_default: bool,
    },
    /// In a file that processes of this machine may share.
    Sqlite {
        /// The path of the file.
        path: PathBuf,
        /// Whether nobody named it. Only then may folders be made for it, and what is there be moved aside.
        is_default: bool,
    },
    /// In Redis, which any number of processes share.
    Redis(Server),
}

/// A location that can't be right, with what to write instead. It never repeats the text, which may hold a password.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LocationError {
    /// The scheme is not known.
    #[error(
        "unknown cache URL: write sqlite:PATH, memory:, redis://HOST:PORT/DB (rediss:// with TLS), \
         redis+unix:///PATH, redis-cluster://HOST:PORT,HOST:PORT or redis-sentinel://HOST:PORT,HOST:PORT/NAME, or the \
         same with valkey"
    )]
    Scheme,
    /// A file has to have a name.
    #[error("sqlite: needs the path of a file, as in sqlite:/var/cache/phipi.sqlite")]
    Path,
    /// Other programs write a URL.
    #[error(
        "sqlite: is followed by a path without a host: write sqlite:/var/cache/phipi.sqlite, or sqlite:phipi.sqlite for a \
         file in the working folder"
    )]
    Host,
    /// Shells know what ~ is, but only at the start of a word.
    #[error("~ would be the name of a folder: write sqlite:$HOME/phipi.sqlite, or the whole path")]
    Home,
    /// The URL of a Redis.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A file with a password or certificates.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Certificates for a connection without TLS.
    #[error("certificates are for TLS: write rediss://, rediss-cluster:// or rediss-sentinel://")]
    Plain,
    /// A password or certificates for a store that needs none.
    #[error(
        "a password and certificates are for Redis: leave out --cache-password-file, --cache-tls-ca, --cache-tls-cert and \
         --cache-tls-key (PHIPI_CACHE_PASSWORD_FILE, PHIPI_CACHE_TLS_…), or name a Redis, as in rediss://HOST:PORT"
    )]
    Needless,
}

impl Location {
    /// Reads the value of `--cache`; `access` is for Redis alone.
    ///
    /// # Errors
    /// When it can't be right.
    pub fn new(text: &str, access: &Access) -> Result<Self, LocationError> {
        if is_known(text) {
            return server(text, access).map(Self::Redis);
        }
        let (scheme, path) = text.split_once(':').ok_or(LocationError::Scheme)?;
        let local = match (&*scheme.to_ascii_lowercase(), path) {
            ("memory", "") => Self::Memory { is_default: false },
            ("sqlite", path) if path.is_empty() || path.ends_with('/') || path.starts_with(":memory:") => {
                return Err(LocationError::Path);
            }
            ("sqlite", path) if path.starts_with('~') => return Err(LocationError::Home),
            ("sqlite", path) if path.starts_with("//") => return Err(LocationError::Host),
            ("sqlite", path) => Self::Sqlite { path: path.into(), is_default: false },
            _ => return Err(LocationError::Scheme),
        };
        if access.is_given() { Err(LocationError::Needless) } else { Ok(local) }
    }

    /// Advice for an operator at the start, if there is any.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Memory { is_default: false } => Some("a restart forgets what is there"),
            Self::Sqlite { is_default: true, .. } => Some("set --cache or REDIS_URL to share it with other machines"),
            Self::Memory { is_default: true } | Self::Sqlite { .. } | Self::Redis(_) => None,
        }
    }
}

/// The server of a URL, reached with `access`.
fn server(url: &str, access: &Access) -> Result<Server, LocationError> {
    let url = Url::new(url)?;
    if access.names_certificates() && !url.is_secure {
        return Err(LocationError::Plain);
    }
    let url = url.with_password(access.password.clone())?;
    let tls = url.is_secure.then(|| access.connector()).transpose()?;
    Ok(Server::new(url, tls)?)
}

/// The location without its password, as the log shows it.
impl fmt::Display for Location {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { .. } => out.write_str("memory:"),
            Self::Sqlite { path, .. } => write!(out, "sqlite:{}", path.display()),
            Self::Redis(server) => write!(out, "{server}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(url: &str) -> Result<Location, LocationError> {
        Location::new(url, &Access::default())
    }

    #[test]
    fn is_shown_without_its_password() {
        let rows = [
            ("memory:", "memory:"),
            ("MEMORY:", "memory:"),
            ("SQLite:/tmp/a.sqlite", "sqlite:/tmp/a.sqlite"),
            ("Rediss-Cluster://A:7000", "rediss-cluster://A:7000"),
            ("sqlite:/tmp/a b.sqlite", "sqlite:/tmp/a b.sqlite"),
            ("redis://localhost", "redis://localhost:6379/0"),
            ("redis://user:secret@cache.example:7000/3", "redis://cache.example:7000/3"),
            ("rediss://:secret@cache.example", "rediss://cache.example:6379/0"),
            ("redis+unix:///run/redis.sock?db=2&pass=secret", "redis+unix:///run/redis.sock?db=2"),
            ("redis-cluster://user:secret@a:7000,b:7001", "redis-cluster://a:7000,b:7001"),
            ("rediss-cluster://:se%40cret@a:7000/0", "rediss-cluster://a:7000"),
            ("redis-sentinel://:secret@a:26379,b:26379/main", "redis-sentinel://a:26379,b:26379/main/0"),
            ("rediss-sentinel://a:26379/main/2", "rediss-sentinel://a:26379/main/2"),
            ("redis-sentinel://a/main?sentinel-password=secret", "redis-sentinel://a:26379/main/0"),
            ("redis://[::1]:18900", "redis://[::1]:18900/0"),
            ("redis-cluster://[::1]:1,[fe80::2]", "redis-cluster://[::1]:1,[fe80::2]:6379"),
            ("valkey://user:secret@localhost", "valkey://localhost:6379/0"),
            ("valkeys-cluster://:secret@a,b", "valkeys-cluster://a:6379,b:6379"),
            ("valkey+unix:///run/valkey.sock?pass=secret", "valkey+unix:///run/valkey.sock?db=0"),
        ];
        for (url, shown) in rows {
            let location = location(url).unwrap();
            assert_eq!(location.to_string(), shown);
            assert!(!format!("{location:?}").contains("cret"), "{location:?}");
        }
    }

    #[test]
    fn what_cant_be_right_is_refused_without_repeating_it() {
        for (url, hint) in [
            ("", "redis://HOST:PORT/DB"),
            ("secret", "redis://HOST:PORT/DB"),
            ("secret://host", "redis-cluster://HOST:PORT,HOST:PORT"),
            ("/tmp/secret", "sqlite:PATH"),
            ("sqlite:", "sqlite:/var"),
            ("sqlite::memory:", "sqlite:/var"),
            ("sqlite:~/secret.sqlite", "sqlite:$HOME/"),
            ("sqlite:///tmp/secret.sqlite", "sqlite:/var"),
            ("sqlite://secret", "sqlite:/var"),
            ("sqlite://~/secret.sqlite", "sqlite:/var"),
            ("redis://", "redis://HOST:PORT/DB"),
            ("redis://:secret@host:port", "redis://HOST:PORT/DB"),
            ("redis-cluster://", "name the host"),
            ("redis://secret@host", "redis://:PASSWORD@HOST:PORT"),
            ("sqlite:/tmp/secret/", "sqlite:/var"),
            ("redis://:secret/@host", "percent-encoded"),
            ("redis://:#secret@host", "percent-encoded"),
            ("redis://:secret#word", "is written %23"),
            ("redis://user:secret/word", "redis://HOST:PORT/DB"),
            ("rediss://:secret@host#insecure", "--cache-tls-ca FILE"),
            ("redis-cluster://:secret@a,b/3", "no numbered databases"),
            ("redis-sentinel://:secret@a:1,b:2", "name the primary"),
            ("redis-sentinel://:secret@a:1/main/x", "name the primary"),
        ] {
            let refusal = location(url).unwrap_err().to_string();
            assert!(!refusal.contains("secret") && refusal.contains(hint), "{url}: {refusal}");
        }
    }

    #[test]
    fn access_is_for_those_who_ask_for_it() {
        let password = Access { password: Some("secret".into()), ..Access::default() };
        let roots = Access { roots: Some(b"no certificate".into()), ..Access::default() };
        assert!(matches!(Location::new("redis://a", &password), Ok(Location::Redis(_))));
        assert_eq!(Location::new("memory:", &password).unwrap_err(), LocationError::Needless);
        assert_eq!(Location::new("sqlite:/tmp/a", &roots).unwrap_err(), LocationError::Needless);
        let refusal = Location::new("rediss://a", &roots).unwrap_err().to_string();
        assert!(refusal.contains("--cache-tls-ca (PHIPI_CACHE_TLS_CA) holds no certificate"), "{refusal}");
        let refusal = Location::new("redis://a", &roots).unwrap_err().to_string();
        assert!(refusal.contains("rediss://"), "{refusal}");
    }
}
