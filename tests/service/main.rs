//! The real program against real servers, which each test starts for itself and stops again.

mod audits;
mod cached;
mod cluster;
mod collector;
mod command_line;
mod faults;
mod graphql;
mod hostile;
mod hostile_client;
mod http;
mod interleavings;
mod lifecycle;
mod load;
mod metrics;
mod oracle;
mod proxy;
mod readme;
mod redis_cluster;
mod redis_server;
mod refusals;
mod sentinel;
mod service;
mod storm;
mod telemetry;
mod tls;
mod upkeep;
