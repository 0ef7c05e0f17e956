//! The command line and the environment: every setting with its unit, its default and its bounds. Nothing else reads
//! the environment.

use std::{env, ffi::OsString, fs, io, net::SocketAddr, path::PathBuf, time::Duration};

use axum::http::HeaderValue;
use clap::{Args, Parser, Subcommand, ValueEnum};
use thiserror::Error;

use crate::{
    cache::{Access, Location, LocationError},
    http::Origins,
    math::{fib::Index, pi::Terms},
    telemetry::{self, Collector, CollectorError},
};

/// Fibonacci numbers, exact, and π from the Basel series, over GraphQL, remembered in a shared cache.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve (the default)
    Serve(Box<Serve>),
    /// Print F(N)
    Fib {
        /// The index, 0 to 1,000,000,000
        #[arg(allow_negative_numbers = true, value_parser = index)]
        n: Index,
    },
    /// Print the approximation of π by TERMS terms
    Pi {
        /// The number of terms, 0 to 2,147,483,647
        #[arg(allow_negative_numbers = true, value_parser = terms)]
        terms: Terms,
    },
    /// Print the GraphQL schema
    Schema,
    /// Fill the store, before anybody asks: the ladder up to F(N), and F(N) itself beyond it
    Warm {
        /// The index, 0 to 1,000,000,000
        #[arg(long = "fib", value_name = "N", allow_negative_numbers = true, value_parser = index)]
        n: Index,
        /// Which store.
        #[command(flatten)]
        store: Store,
    },
    /// Prove every entry of the store
    ///
    /// Tells how many entries are proven, and lists the keys of those that are bad, and of those that are unknown: they
    /// are of another version of phipi, or of another program. Without --repair it changes nothing. It may run beside
    /// processes that serve.
    #[command(after_help = CHECK_STATUS)]
    Check {
        /// Remove bad entries; unknown ones stay
        #[arg(long)]
        repair: bool,
        /// Report in JSON
        #[arg(long)]
        json: bool,
        /// Which store.
        #[command(flatten)]
        store: Store,
    },
}

/// The statuses that `phipi check` ends with, for scripts.
const CHECK_STATUS: &str = "\
Exit status:
  0  every entry is proven or unknown, or --repair has removed the bad ones
  1  there are bad entries, and they stay
  2  the command line or a setting is wrong
  3  the store can't be inspected: there is none, it is damaged or another program's, or it does not answer;
     the reason is on stderr, and nothing is on stdout";

/// The settings of a server.
#[derive(Args, Clone, Debug)]
pub struct Serve {
    /// Where clients connect; port 0 takes a free one
    #[arg(long, env = "PHIPI_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,

    /// Where operators connect, for /livez and /readyz; port 0 takes a free one
    #[arg(long, env = "PHIPI_ADMIN_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8001")]
    pub admin_listen: SocketAddr,

    /// Where answers are kept.
    #[command(flatten)]
    pub store: Store,

    /// The largest index served, 0 to 1,000,000,000
    #[arg(long, env = "PHIPI_MAX_N", value_name = "N", default_value = "10000000", value_parser = index)]
    pub max_n: Index,

    /// An origin that browsers may call from, such as <https://example.org>; repeatable
    #[arg(long, env = "PHIPI_CORS_ORIGIN", value_name = "ORIGIN", default_value = "*", value_delimiter = ',')]
    #[arg(value_parser = origin)]
    cors_origin: Vec<HeaderValue>,

    /// Time to still take new connections after SIGTERM, while /readyz says no; in seconds, 0 to 3,600
    #[arg(long, env = "PHIPI_DRAIN_DELAY", value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub drain_delay: Duration,

    /// How the log on stderr looks
    #[arg(long, env = "PHIPI_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
}

/// Which store, and how it is reached.
#[derive(Args, Clone, Debug)]
pub struct Store {
    /// Where answers are kept: sqlite:PATH, memory:, redis://…, rediss://…, redis+unix://…, redis-cluster://… or
    /// redis-sentinel://…; without it `REDIS_URL` counts, and without that a file in the user's cache folder
    #[arg(long, env = "PHIPI_CACHE", value_name = "URL", hide_env_values = true)]
    cache: Option<String>,

    /// What every key in the store begins with
    #[arg(long, env = "PHIPI_CACHE_PREFIX", value_name = "TEXT", default_value = "phipi:")]
    pub cache_prefix: String,

    /// A file with the password for Redis, in place of the one in the URL
    #[arg(long, env = "PHIPI_CACHE_PASSWORD_FILE", value_name = "FILE")]
    cache_password_file: Option<PathBuf>,

    /// The certificates that Redis is trusted by, in place of the system's; PEM
    #[arg(long, env = "PHIPI_CACHE_TLS_CA", value_name = "FILE")]
    cache_tls_ca: Option<PathBuf>,

    /// The certificate that is shown to Redis; PEM
    #[arg(long, env = "PHIPI_CACHE_TLS_CERT", value_name = "FILE", requires = "cache_tls_key")]
    cache_tls_cert: Option<PathBuf>,

    /// The key of that certificate; PEM
    #[arg(long, env = "PHIPI_CACHE_TLS_KEY", value_name = "FILE", requires = "cache_tls_cert")]
    cache_tls_key: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl Cli {
    /// What to do; serving is the default.
    #[must_use]
    pub fn command(self) -> Command {
        self.command.unwrap_or_else(|| Command::Serve(Box::new(self.serve)))
    }
}

impl Store {
    /// Where answers are kept.
    ///
    /// # Errors
    /// When the URL that was given can't be right, or a file can't be read.
    pub fn location(&self) -> Result<Location, Wrong> {
        let access = self.access()?;
        let named = [self.cache.clone(), env::var("REDIS_URL").ok()];
        let location = match named.into_iter().flatten().find(|url| !url.is_empty()) {
            Some(url) => Location::new(&url, &access)?,
            None if access.is_given() => return Err(LocationError::Access.into()),
            None => default_file().map_or(Location::Memory, |path| Location::Sqlite { path, is_default: true }),
        };
        Ok(location)
    }

    /// What Redis is shown, and is trusted by.
    fn access(&self) -> Result<Access, Wrong> {
        let text = |(flag, path): (&'static str, &Option<PathBuf>)| {
            let content = path.as_ref().map(|path| fs::read(path).map_err(|error| (path, error)));
            content.transpose().map_err(|(path, error)| Wrong::File { flag, path: path.clone(), error })
        };
        let password = text(("--cache-password-file", &self.cache_password_file))?;
        let certificate = text(("--cache-tls-cert", &self.cache_tls_cert))?;
        let key = text(("--cache-tls-key", &self.cache_tls_key))?;
        Ok(Access {
            // Editors end a file with a line's end.
            password: password.map(|text| String::from_utf8_lossy(&text).trim_end_matches(['\r', '\n']).to_owned()),
            roots: text(("--cache-tls-ca", &self.cache_tls_ca))?,
            identity: certificate.zip(key),
        })
    }
}

impl Serve {
    /// The origins that browsers may call from.
    #[must_use]
    pub fn origins(&self) -> Origins {
        if self.cors_origin.iter().any(|origin| origin == "*") {
            Origins::Any
        } else {
            Origins::These(self.cors_origin.clone())
        }
    }

    /// Where spans are sent, if anywhere, as the variables that OpenTelemetry defines have it.
    ///
    /// # Errors
    /// When `OTEL_EXPORTER_OTLP_ENDPOINT` is set, but not to the URL of a collector.
    pub fn collector(&self) -> Result<Option<Collector>, CollectorError> {
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let Some(url) = variable("OTEL_EXPORTER_OTLP_ENDPOINT") else { return Ok(None) };
        let collector: Collector = url.parse()?;
        Ok(Some(match variable("OTEL_SERVICE_NAME") {
            Some(name) => collector.named(name),
            None => collector,
        }))
    }

    /// How the log looks.
    #[must_use]
    pub fn log_format(&self) -> telemetry::LogFormat {
        match self.log_format {
            LogFormat::Text => telemetry::LogFormat::Text,
            LogFormat::Json => telemetry::LogFormat::Json,
        }
    }
}

/// A setting that can't be right.
#[derive(Debug, Error)]
pub enum Wrong {
    /// Where answers are kept.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// A file that is named can't be read.
    #[error("can't read {}, the file of {flag}: {error}", path.display())]
    File {
        /// The setting.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Reads the command line and the environment of the process.
///
/// # Errors
/// What is wrong and what is right, for the terminal; or the help, when that was asked for.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(arguments)
}

fn default_file() -> Option<PathBuf> {
    Some(dirs::cache_dir()?.join("phipi").join("cache.sqlite"))
}

fn index(text: &str) -> Result<Index, String> {
    let index = text.parse().ok().and_then(Index::new);
    index.ok_or_else(|| format!("not a whole number from 0 to {}", Index::MAX.get()))
}

fn terms(text: &str) -> Result<Terms, String> {
    let terms = text.parse().ok().and_then(Terms::new);
    terms.ok_or_else(|| format!("not a whole number from 0 to {}", Terms::MAX.get()))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds <= 3_600).map(Duration::from_secs);
    seconds.ok_or_else(|| "not a whole number from 0 to 3600".into())
}

/// An origin is a scheme and a host, with a port if it is not the usual one, and nothing after it.
fn origin(text: &str) -> Result<HeaderValue, String> {
    let host = text.split_once("://").map(|(_, host)| host);
    let valid = text == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains(['/', ' ', '*']));
    let value = HeaderValue::from_str(text).ok().filter(|_| valid);
    value.ok_or_else(|| "not an origin: write * or one like https://example.org, without a path".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(arguments: &[&str]) -> Result<Serve, String> {
        let arguments = ["phipi"].iter().chain(arguments).map(OsString::from);
        match parse(arguments).map_err(|error| error.to_string())?.command() {
            Command::Serve(serve) => Ok(*serve),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn serving_is_the_default() {
        assert_eq!(serve(&["--max-n", "7"]).unwrap().max_n, Index::new(7).unwrap());
        assert_eq!(serve(&["serve", "--max-n", "7"]).unwrap().max_n, Index::new(7).unwrap());
    }

    #[test]
    fn refusals_say_what_is_right() {
        let rows = [
            (&["--max-n", "1000000001"][..], "from 0 to 1000000000"),
            (&["fib", "-1"], "from 0 to 1000000000"),
            (&["fib", "ten"], "from 0 to 1000000000"),
            (&["pi", "2147483648"], "from 0 to 2147483647"),
            (&["--cors-origin", "example.org"], "https://example.org"),
            (&["--listen", "8000"], "--listen"),
            (&["--drain-delay", "1.5"], "from 0 to 3600"),
            (&["--drain-delay", "3601"], "from 0 to 3600"),
            (&["--log-format", "xml"], "text, json"),
            (&["fibb"], "fib"),
        ];
        for (arguments, hint) in rows {
            let refusal = serve(arguments).unwrap_err();
            assert!(refusal.contains(hint), "{arguments:?}: {refusal}");
        }
    }

    #[test]
    fn origins_are_all_or_those_named() {
        assert!(matches!(serve(&[]).unwrap().origins(), Origins::Any));
        let two = serve(&["--cors-origin", "https://a.example", "--cors-origin", "http://b.example:81"]).unwrap();
        assert!(
            matches!(two.origins(), Origins::These(origins) if origins == ["https://a.example", "http://b.example:81"])
        );
    }
}
