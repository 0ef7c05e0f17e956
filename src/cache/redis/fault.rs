//! The errors of a Redis in plain words: its own answers, and the faults that are seen from outside when a server, or
//! another program at its address, does not get to answer.
//!
//! The words of the client library stay here. Each message is one line, names one thing to do where there is one, and
//! holds no secret.

use std::{error::Error as _, io, sync::Arc, time::Duration};

use redis::{ErrorKind, RedisError};
use thiserror::Error;

use super::{
    trust,
    url::{Form, Place},
};
use crate::telemetry::{Trouble, plain};

/// The number of characters of a stranger's words that are repeated.
const REPEATED: usize = 60;

/// A trouble that is seen from outside, without an answer that names it.
#[derive(Clone, Debug, Error)]
pub(super) enum Fault {
    #[error("{0}")]
    Unreachable(String),
    #[error("its socket may not be used by this user; give the user the right to write it")]
    Forbidden,
    #[error("no connection within {0:?}")]
    Silent(Duration),
    #[error("no answer within {0:?}, while others of the cluster answered")]
    Late(Duration),
    #[error(
        "it takes the connection, and says nothing within {0:?}; restart it if it hangs, or write the address of a Redis"
    )]
    Mute(Duration),
    #[error(
        "no TLS handshake within {0:?}; if it speaks no TLS, leave out the s of the scheme, as in redis:// or valkey://"
    )]
    SilentTls(Duration),
    #[error(
        "it closes the connection at once; if it speaks TLS, add an s to the scheme, as in rediss:// or valkeys://"
    )]
    Closed,
    #[error(
        "it closes the connection before the TLS handshake; if it speaks no TLS, leave out the s of the scheme, as in \
         redis:// or valkey://"
    )]
    ClosedTls,
    #[error("it speaks TLS; add an s to the scheme, as in rediss:// or rediss-cluster://")]
    SpeaksTls,
    #[error("it speaks no TLS; leave out the s of the scheme, as in redis:// or redis-cluster://")]
    SpeaksNoTls,
    #[error("it is no Redis: it says {0:?}; write the address of a Redis")]
    Stranger(String),
    #[error("{0}")]
    Certificate(String),
    #[error("it is a server of a cluster; write {0}-cluster://{1}")]
    InCluster(&'static str, String),
    #[error("it is a sentinel; write {0}-sentinel://{1}/NAME, with the name of the primary that it watches")]
    IsSentinel(&'static str, String),
    #[error("it is no server of a cluster; write {0}://{1}")]
    InNoCluster(&'static str, String),
    #[error("it is no sentinel; write {0}://{1}")]
    IsNoSentinel(&'static str, String),
    #[error("it has no database {0}; write the number of one that it has, as in redis://HOST:PORT/0")]
    NoDatabase(u32),
    #[error("it watches no primary of the name {0}; write redis-sentinel://HOST:PORT/NAME with one that it watches")]
    NoPrimary(String),
    #[error(
        "it asks for a password of its own; write redis-sentinel://HOST:PORT/NAME?sentinel-password=PASSWORD, with \
         sentinel-user=USER& before it if it asks for a user"
    )]
    SentinelPassword,
    #[error("the primary is changing: {0} is a replica still")]
    Replica(Place),
    #[error("the cluster has changed meanwhile; try again")]
    ClusterChanged,
    /// The trouble of one of several servers.
    #[error("{whose} {place}: {text}")]
    Of { whose: &'static str, place: Place, text: String, trouble: Trouble },
}

impl Fault {
    fn trouble(&self) -> Trouble {
        match self {
            Self::Unreachable(_)
            | Self::Silent(_)
            | Self::Late(_)
            | Self::Mute(_)
            | Self::SilentTls(_)
            | Self::Closed
            | Self::ClosedTls => Trouble::Broken,
            Self::Replica(_) | Self::ClusterChanged => Trouble::Busy,
            Self::Certificate(_) | Self::Forbidden | Self::SentinelPassword => Trouble::Denied,
            Self::SpeaksTls
            | Self::SpeaksNoTls
            | Self::Stranger(_)
            | Self::InCluster(..)
            | Self::IsSentinel(..)
            | Self::InNoCluster(..)
            | Self::IsNoSentinel(..)
            | Self::NoDatabase(_)
            | Self::NoPrimary(_) => Trouble::Unfit,
            Self::Of { trouble, .. } => *trouble,
        }
    }

    /// The fault of a server that the URL takes for one of this form, and that is of another. `scheme` is that of a
    /// single server.
    pub(super) fn of_form(form: Form, mode: &str, scheme: &'static str, place: &Place) -> Option<Self> {
        let address = match place {
            Place::Tcp { .. } => place.to_string(),
            Place::Socket(_) => "HOST:PORT".into(),
        };
        match (form, mode) {
            (Form::Single, "cluster") => Some(Self::InCluster(scheme, address)),
            (Form::Single | Form::Cluster, "sentinel") => Some(Self::IsSentinel(scheme, address)),
            (Form::Cluster, "standalone") => Some(Self::InNoCluster(scheme, address)),
            (Form::Sentinels, "standalone" | "cluster") => Some(Self::IsNoSentinel(scheme, address)),
            _ => None,
        }
    }

    /// The fault behind a connection that could not be made, or was lost.
    pub(super) fn of_connection(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Unreachable("nothing listens at its address".into()),
            io::ErrorKind::NotFound => Self::Unreachable("there is no such socket".into()),
            io::ErrorKind::PermissionDenied => Self::Forbidden,
            _ => Self::Unreachable(format!("it can't be reached: {}", one_line(&plain(error)))),
        }
    }

    /// The fault of a server that is no Redis, as its first bytes show. `None` when they are Redis's.
    pub(super) fn of_stranger(heard: &[u8]) -> Option<Self> {
        match heard {
            [] => Some(Self::Closed),
            // An alert of TLS.
            [0x15, 3, ..] => Some(Self::SpeaksTls),
            [b'+' | b'-' | b':' | b'$' | b'*', ..] => None,
            _ => Some(Self::Stranger(beginning(heard))),
        }
    }

    /// [`Self::of_stranger`], for a server that was to speak TLS.
    pub(super) fn of_stranger_to_tls(heard: &[u8]) -> Self {
        match heard {
            [] => Self::ClosedTls,
            // Records of TLS.
            [0x14..=0x17, 3, ..] => Self::Unreachable("the TLS handshake fails; allow TLS 1.2 or 1.3 there".into()),
            [b'+' | b'-' | b':' | b'$' | b'*', ..] => Self::SpeaksNoTls,
            _ => Self::Stranger(beginning(heard)),
        }
    }
}

impl From<Fault> for RedisError {
    fn from(fault: Fault) -> Self {
        // The library tries other servers of a cluster by the kind of an error.
        let kind = match fault {
            Fault::Unreachable(_) => io::ErrorKind::ConnectionRefused,
            Fault::Silent(_) | Fault::Mute(_) | Fault::SilentTls(_) => io::ErrorKind::TimedOut,
            Fault::Closed | Fault::ClosedTls => io::ErrorKind::ConnectionReset,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, fault).into()
    }
}

/// Names the server, of several, that an error comes from.
pub(super) fn of(whose: &'static str, place: &Place, error: &RedisError) -> RedisError {
    Fault::Of { whose, place: place.clone(), text: describe(error), trouble: trouble(error) }.into()
}

/// The error of an answer that is none to what was asked.
pub(super) fn nonsense() -> RedisError {
    (ErrorKind::Parse, "not as many answers as questions").into()
}

/// Whether an answer could not be made sense of.
pub(super) fn is_nonsense(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Parse | ErrorKind::UnexpectedReturnType)
}

/// Whether a server said nothing in time.
pub(super) fn is_silence(error: &RedisError) -> bool {
    inner(error).is_some_and(|fault| matches!(fault, Fault::Silent(_) | Fault::Mute(_) | Fault::SilentTls(_)))
}

/// The code of what the server answered, be it to one command or to the first that failed of several.
pub(in crate::cache) fn code_of(error: &RedisError) -> Option<String> {
    answer_in(error).map(|(code, _)| code)
}

/// The server's answer: its code, and its text.
fn answer_in(error: &RedisError) -> Option<(String, String)> {
    let failed = error.clone().into_server_errors()?;
    failed.first().map(|(_, error)| (error.code().to_owned(), one_line(error.details().unwrap_or_default())))
}

/// An error of another kind inside of one of the library.
fn inner<E: std::error::Error + 'static>(error: &RedisError) -> Option<&E> {
    let cause: &Arc<dyn std::error::Error + Send + Sync> = error.source()?.downcast_ref()?;
    cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
}

/// The kind of trouble that an error is.
pub(in crate::cache) fn trouble(error: &RedisError) -> Trouble {
    if let Some(fault) = inner::<Fault>(error) {
        return fault.trouble();
    }
    if inner(error).and_then(trust::mismatch).is_some() {
        return Trouble::Denied;
    }
    let Some((code, text)) = answer_in(error) else { return Trouble::Broken };
    match &*code {
        "OOM" | "READONLY" | "MISCONF" | "NOREPLICAS" => Trouble::RefusesWrites,
        "LOADING" | "BUSY" | "CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN" => Trouble::Busy,
        "NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED" => Trouble::Denied,
        // A command is left with MOVED when its node is away: that is about this command, and not about the others.
        "ERR" if is_needless(&text) => Trouble::Denied,
        "ERR" if is_crowded(&text) => Trouble::Busy,
        _ => Trouble::Other,
    }
}

/// An error in plain words, in one line.
pub(in crate::cache) fn describe(error: &RedisError) -> String {
    if let Some(fault) = inner::<Fault>(error) {
        return fault.to_string();
    }
    if let Some(mismatch) = inner(error).and_then(trust::mismatch) {
        return mismatch;
    }
    let Some((code, text)) = answer_in(error) else {
        let text = match error.kind() {
            _ if is_nonsense(error) => "its answers make no sense",
            ErrorKind::ClusterConnectionNotFound => "a server of the cluster can't be reached",
            _ => "the connection broke",
        };
        return text.into();
    };
    match explanation(&code, &text) {
        // It says how to mend it in many words, of which not all apply.
        Some(explanation) if matches!(&*code, "DENIED" | "NOAUTH") => explanation.into(),
        Some(explanation) => format!("{explanation} ({code} {text})"),
        None => format!("it answers {code} {text}"),
    }
}

/// The meaning of a refusal, for an operator who has never met its code.
fn explanation(code: &str, text: &str) -> Option<&'static str> {
    Some(match code {
        "OOM" => "it is full and evicts nothing; raise its maxmemory or set maxmemory-policy allkeys-lfu",
        "READONLY" => "it is a replica, which can't be written; write the address of its primary",
        "MISCONF" => "it can't save to its own disk, and is not written until it can",
        "NOREPLICAS" => "too few of its replicas are connected",
        "LOADING" => "it is still loading its data",
        "BUSY" => "it is busy with a script",
        "CLUSTERDOWN" => "a part of the cluster has no primary; its CLUSTER INFO says more",
        "MASTERDOWN" | "TRYAGAIN" | "MOVED" | "ASK" => "its primary is changing",
        "NOAUTH" => "it asks for a password; give one with --cache-password-file",
        "WRONGPASS" => "it rejects this user and password",
        "NOPERM" => "the user lacks a permission; docs/operating.md lists those that phipi needs",
        "DENIED" => {
            "it is in protected mode and takes connections from its own machine alone; set a password for it, and give it \
             with --cache-password-file"
        }
        "ERR" if is_needless(text) => "it has no password; leave out the one that is given",
        "ERR" if is_crowded(text) => "it has reached its limit of clients; raise its maxclients",
        _ => return None,
    })
}

fn is_needless(text: &str) -> bool {
    text.contains("without any password configured")
}

fn is_crowded(text: &str) -> bool {
    text.contains("max number of clients")
}

/// The first words of what was heard.
fn beginning(heard: &[u8]) -> String {
    let line = heard.split(|&byte| byte == b'\n').next().unwrap_or_default();
    one_line(&String::from_utf8_lossy(line)).chars().take(REPEATED).collect()
}

fn one_line(text: &str) -> String {
    text.split(char::is_control).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use redis::make_extension_error;

    use super::*;
    use crate::cache::store::StoreError;

    #[test]
    fn what_a_server_says_is_one_line_without_words_of_the_library() {
        let errors = [
            (ErrorKind::Parse, "parsing failed: expected\none of `:`").into(),
            (ErrorKind::InvalidClientConfig, "wrong").into(),
            (ErrorKind::ClusterConnectionNotFound, "no node").into(),
            io::Error::new(io::ErrorKind::BrokenPipe, "driver unexpectedly terminated").into(),
            make_extension_error("ERR".into(), Some("two\r\nlines".into())),
            Fault::of_stranger(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n").unwrap().into(),
        ];
        for error in errors {
            let text = describe(&error);
            for word in ["\n", "\r", "Invalid", "Parse", "Response", "driver", "NotFound"] {
                assert!(!text.contains(word), "{text}");
            }
        }
    }

    #[test]
    fn what_a_server_says_is_kept_behind_what_it_means() {
        let error = make_extension_error("OOM".into(), Some("command not allowed".into()));
        assert!(describe(&error).ends_with("allkeys-lfu (OOM command not allowed)"), "{}", describe(&error));
        assert_eq!(trouble(&error), Trouble::RefusesWrites);
        let error = make_extension_error("WEIRD".into(), Some("thing".into()));
        assert_eq!((describe(&error), trouble(&error)), ("it answers WEIRD thing".into(), Trouble::Other));
    }

    #[test]
    fn a_command_whose_node_is_away_holds_up_no_other() {
        for code in ["MOVED", "ASK"] {
            let error = make_extension_error(code.into(), Some("413 127.0.0.1:7000".into()));
            assert!(StoreError::from(error).may_be_of_one_record(), "{code}");
        }
        let refused = Fault::of_connection(&io::ErrorKind::ConnectionRefused.into());
        let refused = RedisError::from(refused);
        assert!(refused.is_connection_dropped(), "the library asks another node");
        assert!(StoreError::from(refused).may_be_of_one_record());
    }

    #[test]
    fn a_fault_outlives_its_way_through_the_library() {
        let error = RedisError::from(Fault::NoDatabase(99));
        assert!(describe(&error).contains("no database 99"), "{}", describe(&error));
        assert_eq!(trouble(&error), Trouble::Unfit);
        let place = Place::Tcp { host: "::1".into(), port: 1 };
        let error = of("the sentinel", &place, &error);
        assert!(describe(&error).starts_with("the sentinel [::1]:1: it has no database"), "{}", describe(&error));
        assert_eq!(trouble(&error), Trouble::Unfit);
    }
}
