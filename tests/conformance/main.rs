//! phipi judged by suites and implementations that others wrote.

#[expect(dead_code, reason = "the attacks are launched by the tests of the service")]
#[path = "../service/attackers.rs"]
mod attackers;
#[path = "../service/browser.rs"]
mod browser;
mod clients;
#[path = "../service/frames.rs"]
mod frames;
mod http;
mod http2;
mod language;
mod nginx;
#[expect(dead_code, reason = "the tests of the service use all of it")]
#[path = "../service/service.rs"]
mod service;
mod websocket;
