//! The real program against real servers, which each test starts for itself and stops again.

mod cached;
mod command_line;
mod faults;
mod graphql;
mod http;
mod lifecycle;
mod metrics;
mod oracle;
mod readme;
mod redis_server;
mod refusals;
mod service;
