//! The command line and the environment: every setting with its unit, default and bounds. No other module reads the
//! environment.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use axum::http::HeaderValue;
use clap::{
    Arg, ArgGroup, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
    builder::{NonEmptyStringValueParser, Resettable},
    error::{ContextKind, ContextValue, ErrorKind},
};
use thiserror::Error;
use url::Url;

use crate::{
    cache::{Access, AccessError, Location, LocationError},
    http::Origins,
    math::{fib::Index, pi::Terms, pi_digits::Count},
    telemetry::{self, Collector, CollectorError},
};

/// Fibonacci numbers, exact, π from the Basel series, and the digits of π, over GraphQL, remembered in a shared cache.
///
/// Without a command it serves. Each setting has an environment variable, which stands beside it; a flag takes
/// precedence over its variable, and an empty variable counts as not set.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, max_term_width = 100, after_long_help = ENVIRONMENT)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

/// The variables that other programs use too.
const ENVIRONMENT: &str = "\
Environment, beside the variables above:
  REDIS_URL                    the store of the cache when --cache is not given
  OTEL_EXPORTER_OTLP_ENDPOINT  the collector that spans are sent to, such as http://127.0.0.1:4318
  OTEL_SERVICE_NAME            the name of this service in spans [default: phipi]
  NO_COLOR                     no colours on the terminal, whatever it is set to";

/// The command to run.
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
    /// Print the first COUNT digits of π, cut and not rounded
    PiDigits {
        /// The number of digits, the 3 counted: 1 to 100,000,000
        #[arg(allow_negative_numbers = true, value_parser = digits)]
        count: Count,
    },
    /// Print the GraphQL schema
    Schema,
    /// Ask a running phipi whether it is ready, for images without a shell
    ///
    /// Prints the response of /readyz. The exit status is 0 when the process is ready, and 1 when it drains, does not
    /// respond, or is not phipi.
    Health {
        /// The admin listener of that process: IP:PORT, HOST:PORT or http://HOST:PORT
        #[arg(value_name = "URL", env = "PHIPI_ADMIN_LISTEN", default_value = "127.0.0.1:8001")]
        target: String,
    },
    /// Fill the store before the first request
    #[command(group = ArgGroup::new("functions").args(["n", "count"]).required(true).multiple(true))]
    Warm {
        /// The ladder up to F(N), and F(N) itself beyond it: 0 to 1,000,000,000
        #[arg(long = "fib", value_name = "N", allow_negative_numbers = true, value_parser = index)]
        n: Option<Index>,
        /// The first digits of π, the 3 counted: 1 to 100,000,000
        #[arg(long = "pi-digits", value_name = "COUNT", allow_negative_numbers = true, value_parser = digits)]
        count: Option<Count>,
        /// The store.
        #[command(flatten)]
        store: Store,
    },
    /// Prove every entry of the store
    ///
    /// Prints how many entries are proven, and lists the keys of bad entries, and of unknown ones, which belong to
    /// another version of phipi or to another program. Without --repair it changes nothing. It may run beside processes
    /// that serve.
    #[command(after_help = CHECK_STATUS)]
    Check {
        /// Remove bad entries; unknown ones stay
        #[arg(long)]
        repair: bool,
        /// Report in JSON
        #[arg(long)]
        json: bool,
        /// The store.
        #[command(flatten)]
        store: Store,
    },
}

/// The exit statuses of `phipi check`, for scripts.
const CHECK_STATUS: &str = "\
Exit status:
  0  every entry is proven or unknown, or --repair has removed the bad ones
  1  there are bad entries, and they stay
  2  the command line or a setting is wrong
  3  the entries were not inspected: there is no store, it is damaged or another program's, it does not respond,
     or the report can't be printed; the reason is on stderr";

/// The settings of a server.
#[derive(Args, Clone, Debug)]
pub struct Serve {
    /// The address for clients, as IP:PORT
    ///
    /// 127.0.0.1:8000 is reachable from this machine alone, and 0.0.0.0:8000 from the network. Port 0 takes a free
    /// port.
    #[arg(long, env = "PHIPI_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8000", value_parser = address)]
    pub listen: SocketAddr,

    /// The address for operators, with /livez, /readyz and /metrics, as IP:PORT
    ///
    /// Do not expose it to clients: it shows the state of this process. Port 0 takes a free port.
    #[arg(long, env = "PHIPI_ADMIN_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8001", value_parser = address)]
    pub admin_listen: SocketAddr,

    /// The store of the cache.
    #[command(flatten)]
    pub store: Store,

    /// The largest index that is served, 0 to 1,000,000,000
    #[arg(long, env = "PHIPI_MAX_N", value_name = "N", default_value = "10000000", value_parser = index)]
    #[arg(allow_negative_numbers = true)]
    pub max_n: Index,

    /// The number of digits of π that are served, the 3 counted: 1 to 100,000,000
    ///
    /// To evaluate 1,000,000 digits takes some 0.1 seconds and 20 MB, and 100,000,000 some 40 seconds and 1.5 GB.
    #[arg(long, env = "PHIPI_MAX_PI_DIGITS", value_name = "N", default_value = "1000000", value_parser = digits)]
    #[arg(allow_negative_numbers = true)]
    pub max_pi_digits: Count,

    /// An origin whose pages may call, such as `https://example.org`; repeatable
    ///
    /// An origin is a scheme and a host, with a port if it is not the usual one. Several may also be separated by
    /// commas.
    /// * is every origin; credentials are never allowed.
    #[arg(long, env = "PHIPI_CORS_ORIGIN", value_name = "ORIGIN", default_value = "*", value_delimiter = ',')]
    #[arg(value_parser = origin)]
    cors_origin: Vec<HeaderValue>,

    /// The time after SIGTERM in which new connections are still accepted, in seconds, 0 to 3,600
    ///
    /// Meanwhile /readyz is 503, so that load balancers send their requests elsewhere.
    #[arg(long, env = "PHIPI_DRAIN_DELAY", value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    #[arg(allow_negative_numbers = true)]
    pub drain_delay: Duration,

    /// The format of the log on stderr
    #[arg(long, env = "PHIPI_LOG_FORMAT", value_name = "FORMAT", default_value = "text", ignore_case = true)]
    log_format: LogFormat,

    /// The least important level that is logged
    ///
    /// error: phipi needs an operator. warn: something fails, and is retried. info: also each request. debug: also each
    /// connection.
    #[arg(long, env = "PHIPI_LOG_LEVEL", value_name = "LEVEL", default_value = "info", ignore_case = true)]
    log_level: LogLevel,
}

/// The settings of the store.
#[derive(Args, Clone, Debug)]
pub struct Store {
    /// The store of the cache: sqlite:PATH, memory:, or the URL of a Redis or Valkey
    ///
    /// The default is `REDIS_URL`, and without that a file in the user's cache folder. The URLs are
    /// `redis://HOST:PORT`, `redis+unix:///PATH`, `redis-cluster://HOST:PORT,HOST:PORT` and
    /// redis-sentinel://HOST:PORT,HOST:PORT/NAME; rediss://, rediss-cluster:// and rediss-sentinel:// are the same with
    /// TLS, and all of them may begin with valkey. A user and a password go before the host, as in
    /// `redis://user:password@host`.
    #[arg(long, env = "PHIPI_CACHE", value_name = "URL", hide_env_values = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    cache: Option<String>,

    /// The prefix of every key in the store
    #[arg(long, env = "PHIPI_CACHE_PREFIX", value_name = "TEXT", default_value = "phipi:")]
    pub cache_prefix: String,

    /// A file with the password for Redis, in place of the one in the URL
    #[arg(long, env = "PHIPI_CACHE_PASSWORD_FILE", value_name = "FILE")]
    cache_password_file: Option<PathBuf>,

    /// The CA certificates to verify Redis with, in place of the system's; PEM
    #[arg(long, env = "PHIPI_CACHE_TLS_CA", value_name = "FILE")]
    cache_tls_ca: Option<PathBuf>,

    /// The client certificate to present to Redis; PEM
    #[arg(long, env = "PHIPI_CACHE_TLS_CERT", value_name = "FILE")]
    cache_tls_cert: Option<PathBuf>,

    /// The private key of that certificate; PEM
    #[arg(long, env = "PHIPI_CACHE_TLS_KEY", value_name = "FILE")]
    cache_tls_key: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

impl Cli {
    /// The command to run; serving is the default.
    #[must_use]
    pub fn command(self) -> Command {
        self.command.unwrap_or_else(|| Command::Serve(Box::new(self.serve)))
    }
}

impl Store {
    /// The location of the store.
    ///
    /// # Errors
    /// When the URL is invalid, or a file can't be read.
    pub fn location(&self) -> Result<Location, SettingError> {
        let access = self.access()?;
        let variable = |name: &'static str| variable(name).map(|url| (name, url));
        // The parser takes the variable for the flag.
        let cache = self.cache.clone().map(|url| ("--cache", url));
        let cache = variable("PHIPI_CACHE").filter(|(_, url)| Some(url) == self.cache.as_ref()).or(cache);
        let named = [cache, variable("REDIS_URL")];
        let (setting, location) = match named.into_iter().flatten().next() {
            Some((setting, url)) => (setting, Location::new(&url, &access)),
            None if access.is_given() => ("--cache (PHIPI_CACHE)", Err(LocationError::Needless)),
            None => return Ok(default_location(dirs::cache_dir())),
        };
        location.map_err(|error| match error {
            // The error names the setting of the file.
            LocationError::Access(error) => SettingError::Access(error),
            error => SettingError::Location { setting, error },
        })
    }

    /// The credentials for Redis, and the certificates to verify it with.
    fn access(&self) -> Result<Access, SettingError> {
        let text = |(flag, path): (&'static str, &Option<PathBuf>)| {
            // The path is not printed: it may be a password that was given in its place.
            path.as_ref().map(fs::read).transpose().map_err(|error| SettingError::File { flag, error })
        };
        let password = text(("--cache-password-file (PHIPI_CACHE_PASSWORD_FILE)", &self.cache_password_file))?;
        let certificate = text(("--cache-tls-cert (PHIPI_CACHE_TLS_CERT)", &self.cache_tls_cert))?;
        let key = text(("--cache-tls-key (PHIPI_CACHE_TLS_KEY)", &self.cache_tls_key))?;
        if certificate.is_some() != key.is_some() {
            return Err(SettingError::Pair);
        }
        // Editors end a file with a line break.
        let password =
            password.map(|text| String::from_utf8(text).map_err(|_| AccessError::PasswordText)).transpose()?;
        let password = password.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
        match &password {
            Some(password) if password.is_empty() => return Err(AccessError::Password.into()),
            Some(password) if password.contains(['\r', '\n']) => return Err(AccessError::PasswordText.into()),
            _ => {}
        }
        Ok(Access {
            password,
            roots: text(("--cache-tls-ca (PHIPI_CACHE_TLS_CA)", &self.cache_tls_ca))?,
            identity: certificate.zip(key),
        })
    }
}

impl Serve {
    /// The origins whose pages may call.
    #[must_use]
    pub fn origins(&self) -> Origins {
        if self.cors_origin.iter().any(|origin| origin == "*") {
            Origins::Any
        } else {
            Origins::These(self.cors_origin.clone())
        }
    }

    /// The collector of spans in the variables that OpenTelemetry defines, if there is one.
    ///
    /// # Errors
    /// When `OTEL_EXPORTER_OTLP_ENDPOINT` is set, but not to the URL of a collector.
    pub fn collector(&self) -> Result<Option<Collector>, SettingError> {
        let Some(url) = variable("OTEL_EXPORTER_OTLP_ENDPOINT") else { return Ok(None) };
        let collector: Collector = url.parse()?;
        Ok(Some(match variable("OTEL_SERVICE_NAME") {
            Some(name) => collector.named(name),
            None => collector,
        }))
    }

    /// The format and the level of the log.
    #[must_use]
    pub fn log(&self) -> telemetry::LogSettings {
        let format = match self.log_format {
            LogFormat::Text => telemetry::LogFormat::Text,
            LogFormat::Json => telemetry::LogFormat::Json,
        };
        let level = match self.log_level {
            LogLevel::Error => telemetry::Level::ERROR,
            LogLevel::Warn => telemetry::Level::WARN,
            LogLevel::Info => telemetry::Level::INFO,
            LogLevel::Debug => telemetry::Level::DEBUG,
        };
        telemetry::LogSettings { format, level, is_colourful: may_use_colours() }
    }
}

/// The value of a variable, unless it is empty. Bytes that are not UTF-8 become a character that no URL has.
fn variable(name: &str) -> Option<String> {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

/// Whether a terminal may be sent colours, by the conventions of <https://no-color.org> and of `TERM`.
fn may_use_colours() -> bool {
    let is_set = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !is_set && env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// The error of an invalid setting.
#[derive(Debug, Error)]
pub enum SettingError {
    /// The location of the store is invalid.
    #[error("{setting}: {error}")]
    Location {
        /// The flag or the variable.
        setting: &'static str,
        /// The mistake, with the valid form.
        error: LocationError,
    },
    /// A file with a password or certificates is invalid.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The collector of spans is invalid.
    #[error(transparent)]
    Collector(#[from] CollectorError),
    /// A certificate was given without its key, or a key without its certificate.
    #[error(
        "a certificate for Redis needs its key, and a key its certificate: give both --cache-tls-cert \
         (PHIPI_CACHE_TLS_CERT) and --cache-tls-key (PHIPI_CACHE_TLS_KEY)"
    )]
    Pair,
    /// A file of a setting can't be read.
    #[error(
        "can't read the file of {flag}: {}; give the path of a file that this user may read",
        telemetry::plain(error)
    )]
    File {
        /// The setting.
        flag: &'static str,
        /// The cause.
        error: io::Error,
    },
}

/// Reads the command line and the environment of the process.
///
/// # Errors
/// When the command line is invalid, with the valid form; or the text of `--help` and `--version`.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut cli = without_empty_variables(<Cli as CommandFactory>::command());
    if let Some(at) = place_of_command(&cli, &arguments) {
        // Settings may stand before their command.
        arguments[1..=at].rotate_right(1);
        // Another command ignores the variables of serving, even invalid ones.
        cli = cli.mut_args(|setting| setting.env(Resettable::Reset));
    }
    let matches = cli.try_get_matches_from_mut(&arguments);
    let matches = matches.map_err(|error| legible(discreet(blamed(error, &cli, &arguments)), &mut cli, &arguments))?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut cli))
}

/// Makes a command ignore empty variables.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |name: &OsStr| env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|setting| match setting.get_env() {
            Some(variable) if is_empty(variable) => setting.env(Resettable::Reset),
            // The help does not print values, which may be a misplaced password.
            _ => setting.hide_env_values(true),
        })
        .mut_subcommands(without_empty_variables)
}

/// The position of the name of the command, or of an unknown word there: only settings and their values precede it.
fn place_of_command(cli: &clap::Command, arguments: &[OsString]) -> Option<usize> {
    let mut at = 1;
    loop {
        let argument = arguments.get(at)?.to_str()?;
        if !argument.starts_with('-') {
            return Some(at);
        }
        let name = argument.strip_prefix("--")?;
        let (name, has_value) = name.split_once('=').map_or((name, false), |(name, _)| (name, true));
        let setting = settings(cli).find(|setting| setting.get_long() == Some(name))?;
        at += if has_value || !setting.get_action().takes_values() { 1 } else { 2 };
    }
}

/// Names the variable that an invalid value comes from, where the error names a flag that was not given.
fn blamed(mut error: clap::Error, cli: &clap::Command, arguments: &[OsString]) -> clap::Error {
    let Some(ContextValue::String(named)) = error.get(ContextKind::InvalidArg) else { return error };
    // The name of the value follows, as in `--listen <ADDR>`.
    let flag = named.split_once(' ').map_or(&**named, |(flag, _)| flag);
    let setting =
        settings(cli).find(|setting| setting.get_long().is_some_and(|name| flag.strip_prefix("--") == Some(name)));
    let Some(variable) = setting.and_then(Arg::get_env).map(|variable| variable.to_string_lossy().into_owned()) else {
        return error;
    };
    let is_written = arguments.iter().any(|argument| {
        let rest = argument.to_str().and_then(|argument| argument.strip_prefix(flag));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    });
    if !is_written && env::var_os(&variable).is_some() {
        error.insert(ContextKind::InvalidArg, ContextValue::String(variable));
    }
    error
}

/// Removes URLs from an error where none is expected, since they may hold a password.
fn discreet(mut error: clap::Error) -> clap::Error {
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidSubcommand] {
        if let Some(ContextValue::String(text)) = error.get(kind)
            && (text.contains("://") || text.contains('@'))
        {
            let instead = "a URL: that of a store goes behind --cache, and an origin behind --cors-origin";
            error.insert(kind, ContextValue::String(instead.into()));
        }
    }
    let has_login = |value: &ContextValue| matches!(value, ContextValue::String(text) if text.contains('@'));
    if error.get(ContextKind::InvalidValue).is_some_and(has_login) {
        let instead = "a text with an @, before which may be a password";
        error.insert(ContextKind::InvalidValue, ContextValue::String(instead.into()));
    }
    error
}

/// Names the setting or the argument that is not UTF-8, where the error names none.
fn legible(error: clap::Error, cli: &mut clap::Command, arguments: &[OsString]) -> clap::Error {
    if error.kind() != ErrorKind::InvalidUtf8 {
        return error;
    }
    let is_illegible = |text: &OsString| text.to_str().is_none();
    let argument = arguments.iter().position(is_illegible).map(|at| match arguments[at - 1].to_str() {
        Some(flag) if flag.starts_with("--") => format!("the value of {flag}"),
        _ => format!("argument {at}"),
    });
    let variables = settings(cli).filter_map(Arg::get_env).map(OsStr::to_owned).collect::<Vec<_>>();
    let variable = variables.into_iter().find(|name| env::var_os(name).as_ref().is_some_and(is_illegible));
    let culprit = argument.or_else(|| variable.map(|name| name.to_string_lossy().into_owned()));
    let culprit = culprit.unwrap_or_else(|| "an argument".into());
    cli.error(ErrorKind::InvalidUtf8, format!("{culprit} is not UTF-8: write it in the encoding of this system, UTF-8"))
}

/// The settings of all commands.
fn settings(cli: &clap::Command) -> impl Iterator<Item = &Arg> {
    [cli].into_iter().chain(cli.get_subcommands()).flat_map(clap::Command::get_arguments)
}

/// The default location of the store: a file in the user's cache folder, if there is one.
fn default_location(folder: Option<PathBuf>) -> Location {
    let file = folder.map(|folder| folder.join("phipi").join("cache.sqlite"));
    file.map_or(Location::Memory { is_default: true }, |path| Location::Sqlite { path, is_default: true })
}

fn index(text: &str) -> Result<Index, String> {
    let index = text.parse().ok().and_then(Index::new);
    index.ok_or_else(|| format!("not a whole number from 0 to {}", Index::MAX.get()))
}

fn terms(text: &str) -> Result<Terms, String> {
    let terms = text.parse().ok().and_then(Terms::new);
    terms.ok_or_else(|| format!("not a whole number from 0 to {}", Terms::MAX.get()))
}

/// The most digits of π that are served and printed: those whose proof is part of the program.
const MOST_DIGITS: usize = 100_000_000;

fn digits(text: &str) -> Result<Count, String> {
    let count = text.parse().ok().filter(|&count| count <= MOST_DIGITS).and_then(Count::new);
    count.ok_or_else(|| format!("not a whole number from 1 to {MOST_DIGITS}"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds <= 3_600).map(Duration::from_secs);
    seconds.ok_or_else(|| "not a whole number from 0 to 3600".into())
}

/// An address to listen on. `localhost` is the only name: the address of another may change.
fn address(text: &str) -> Result<SocketAddr, String> {
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    let address = local.map(|port| (Ipv4Addr::LOCALHOST, port).into()).or_else(|| text.parse().ok());
    address.ok_or_else(|| {
        "not IP:PORT: write 127.0.0.1:8000 (or localhost:8000) for this machine alone, 0.0.0.0:8000 for everybody who can \
         reach it, or [::]:8000 for IPv6 as well"
            .into()
    })
}

/// An origin in the form in which browsers send it: in lower case, without the usual port, and with the ASCII form of
/// an international name. It is a scheme and a host, and nothing comes after it.
fn origin(text: &str) -> Result<HeaderValue, String> {
    let text = text.trim();
    let serialized = if text == "*" { Some(text.to_owned()) } else { serialized_origin(text) };
    serialized.and_then(|origin| HeaderValue::from_str(&origin).ok()).ok_or_else(|| {
        "not an origin: write * or a scheme and a host, such as https://example.org or http://localhost:3000, without a \
         path; several are separated by commas"
            .into()
    })
}

fn serialized_origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|_| text.contains("://"))?;
    let host = url.host_str().filter(|host| !host.is_empty() && !host.contains('*'))?;
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    let is_anonymous = url.username().is_empty() && url.password().is_none() && !text.contains('@');
    match url.scheme() {
        _ if !is_bare || !is_anonymous => None,
        "http" | "https" => Some(url.origin().ascii_serialization()),
        // No page has an origin of these schemes.
        "ws" | "wss" | "ftp" | "file" | "data" | "blob" => None,
        // These are misspelt forms of http and https.
        scheme if scheme.starts_with("ht") || scheme.ends_with("ttp") || scheme.ends_with("ttps") => None,
        // Browser extensions and apps have schemes of their own.
        scheme => {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            Some(format!("{scheme}://{}{port}", host.to_ascii_lowercase()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

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
            (&["--listen", "8000"], "127.0.0.1:8000"),
            (&["--listen", ":8000"], "0.0.0.0:8000"),
            (&["--listen", "0.0.0.0"], "0.0.0.0:8000"),
            (&["--listen", "phipi.example:8000"], "localhost:8000"),
            (&["--admin-listen", "::1:8001"], "[::]:8000"),
            (&["--log-level", "loud"], "error, warn, info, debug"),
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
    fn no_refusal_repeats_what_may_be_a_password() {
        for arguments in [
            ["--listen", "redis://u:secret@h"],
            ["--max-n", "u:secret@h"],
            ["--cors-origin", "https://u:secret@h"],
            ["fib", "redis://u:secret@h"],
        ] {
            let refusal = serve(&arguments).unwrap_err();
            assert!(!refusal.contains("secret") && refusal.contains("a password"), "{arguments:?}: {refusal}");
        }
    }

    #[test]
    fn an_argument_that_is_no_text_is_named() {
        for (before, named) in [("--max-n", "the value of --max-n is not UTF-8"), ("fib", "argument 2 is not UTF-8")] {
            let arguments = ["phipi".into(), before.into(), OsString::from_vec(vec![0xff])];
            let refusal = parse(arguments).unwrap_err().to_string();
            assert!(refusal.contains(named), "{refusal}");
        }
    }

    #[test]
    fn settings_may_stand_before_their_command() {
        let command = |arguments: &[&str]| {
            let arguments = ["phipi"].iter().chain(arguments).map(OsString::from);
            parse(arguments).map(Cli::command).map_err(|error| error.to_string())
        };
        for arguments in [
            &["--cache", "memory:", "warm", "--fib", "7"][..],
            &["--cache=memory:", "--fib=7", "warm"],
            &["warm", "--fib", "7", "--cache", "memory:"],
        ] {
            let Ok(Command::Warm { n, store, .. }) = command(arguments) else { panic!("{arguments:?}") };
            assert_eq!((n.map(Index::get), store.cache.as_deref()), (Some(7), Some("memory:")), "{arguments:?}");
        }
        assert!(matches!(command(&["--cache", "check", "serve"]), Ok(Command::Serve(_))), "a value is no command");
        let refusal = command(&["--listen", "127.0.0.1:0", "check"]).unwrap_err();
        assert!(refusal.contains("unexpected argument '--listen'"), "{refusal}");
    }

    #[test]
    fn localhost_is_an_address() {
        assert_eq!(address("localhost:8000"), Ok(([127, 0, 0, 1], 8000).into()));
        assert_eq!(address("[::1]:0"), Ok((std::net::Ipv6Addr::LOCALHOST, 0).into()));
    }

    #[test]
    fn origins_are_all_or_those_named() {
        assert!(matches!(serve(&[]).unwrap().origins(), Origins::Any));
        let three = serve(&["--cors-origin", "https://a.example, http://b.example:81", "--cors-origin", "app://c"]);
        let Origins::These(origins) = three.unwrap().origins() else { panic!("all") };
        assert_eq!(origins, ["https://a.example", "http://b.example:81", "app://c"]);
    }

    #[test]
    fn origins_are_in_the_form_that_browsers_send() {
        for (given, sent) in [
            ("HTTPS://A.Example", "https://a.example"),
            ("https://a.example:443", "https://a.example"),
            ("http://a.example:80/", "http://a.example"),
            ("http://a.example:443", "http://a.example:443"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("http://[2001:DB8::1]:8080", "http://[2001:db8::1]:8080"),
            ("http://127.1", "http://127.0.0.1"),
            ("Capacitor://localhost", "capacitor://localhost"),
            ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
        ] {
            assert_eq!(origin(given).as_ref().map(HeaderValue::as_bytes), Ok(sent.as_bytes()), "{given}");
        }
        for wrong in [
            "",
            "null",
            "a.example",
            "a.example:8000",
            "//a.example",
            "https://",
            "https://a.example/path",
            "https://a.example?",
            "https://a.example#",
            "https://user@a.example",
            "https://@a.example",
            "https://*.a.example",
            "https://a b.example",
            "https://a.example:99999",
            "wss://a.example",
            "htps://a.example",
            "htttp://a.example",
            "ttps://a.example",
            "file:///a",
            "https:a.example",
            "https://a.example https://b.example",
        ] {
            assert!(origin(wrong).is_err_and(|refusal| refusal.contains("https://example.org")), "{wrong:?}");
        }
    }
}
