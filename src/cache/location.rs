//! Where the shared tier is: the value of `--cache`.

use std::{fmt, path::PathBuf, str::FromStr};

use redis::{Client, ConnectionAddr, IntoConnectionInfo, io::tcp::TcpSettings};
use thiserror::Error;

/// Where answers are kept.
#[derive(Clone, Debug)]
pub enum Location {
    /// In this process alone.
    Memory,
    /// In a file that processes of this machine may share.
    Sqlite(PathBuf),
    /// In a Redis server that any number of processes share.
    Redis(Client),
}

/// A location that can't be right, with what to write instead. It never repeats the text, which may hold a password.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LocationError {
    /// The scheme is not known.
    #[error("write sqlite:PATH, memory:, redis://HOST:PORT/DB or redis+unix:///PATH")]
    Scheme,
    /// A file has to have a name.
    #[error("sqlite: needs the path of a file, as in sqlite:/var/cache/phipi.sqlite")]
    Path,
    /// The client library can't make sense of it.
    #[error("the URL of the Redis server can't be right ({0}); write redis://USER:PASSWORD@HOST:PORT/DB")]
    Redis(String),
}

impl Location {
    /// Whether other processes can use it too, wherever they run.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Redis(_))
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            return if path.is_empty() || path.starts_with(":memory:") {
                Err(LocationError::Path)
            } else {
                Ok(Self::Sqlite(path.into()))
            };
        }
        if !["redis://", "redis+unix://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(LocationError::Scheme);
        }
        let server = text.into_connection_info().and_then(|server| {
            // What is asked is small and waited for.
            Client::open(server.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
        });
        server.map(Self::Redis).map_err(|error| LocationError::Redis(error.to_string()))
    }
}

/// The location without its password, as the log shows it.
impl fmt::Display for Location {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => out.write_str("memory:"),
            Self::Sqlite(path) => write!(out, "sqlite:{}", path.display()),
            Self::Redis(server) => {
                let server = server.get_connection_info();
                let db = server.redis_settings().db();
                match server.addr() {
                    ConnectionAddr::Unix(path) => write!(out, "redis+unix://{}?db={db}", path.display()),
                    address => write!(out, "redis://{address}/{db}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_shown_without_its_password() {
        let rows = [
            ("memory:", "memory:"),
            ("sqlite:/tmp/a b.sqlite", "sqlite:/tmp/a b.sqlite"),
            ("redis://localhost", "redis://localhost:6379/0"),
            ("redis://user:secret@cache.example:7000/3", "redis://cache.example:7000/3"),
            ("redis+unix:///run/redis.sock?db=2&pass=secret", "redis+unix:///run/redis.sock?db=2"),
        ];
        for (text, shown) in rows {
            assert_eq!(text.parse::<Location>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_cant_be_right_is_refused_without_repeating_it() {
        for text in [
            "",
            "secret",
            "secret://host",
            "sqlite:",
            "sqlite::memory:",
            "redis://",
            "redis://:secret@host:port",
            "/tmp/secret",
        ] {
            let refusal = text.parse::<Location>().unwrap_err().to_string();
            assert!(!refusal.contains("secret"), "{text}: {refusal}");
        }
    }
}
