//! phipi judged by suites and implementations that others wrote.

#[path = "../service/frames.rs"]
mod frames;
mod http;
mod http2;
mod nginx;
#[expect(dead_code, reason = "the tests of the service use all of it")]
#[path = "../service/service.rs"]
mod service;
