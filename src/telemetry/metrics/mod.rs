//! The metrics, with their names and HELP texts, and their exposition to Prometheus.
//!
//! Each row is there from the start, at 0: a row that appears with its first event hides that event from `rate()`.

pub(super) mod cache;
pub(super) mod http;

use std::sync::LazyLock;

use prometheus::{IntCounter, TextEncoder, register_int_counter, register_int_gauge_vec};

use super::VERSION;

/// The content type of [`exposition`].
pub const EXPOSITION_TYPE: &str = prometheus::TEXT_FORMAT;

static LOG_LINES_DROPPED: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!(
        "phipi_log_lines_dropped_total",
        "Log lines that were dropped because stderr was not read fast enough."
    )
    .expect("the name is registered once, and well-formed")
});

static BUILD: LazyLock<()> = LazyLock::new(|| {
    let build = register_int_gauge_vec!(
        "phipi_build_info",
        "The build of this program: always 1, with the version as a label.",
        &["version"]
    );
    build.expect("the name is registered once, and well-formed").with_label_values(&[VERSION]).set(1);
});

/// All metrics in the text format of Prometheus, with those of the process that Prometheus gives all programs.
///
/// # Errors
/// When a name or a label is not well-formed, which none is.
pub fn exposition() -> Result<String, prometheus::Error> {
    LazyLock::force(&LOG_LINES_DROPPED);
    LazyLock::force(&BUILD);
    cache::register();
    http::register();
    TextEncoder::new().encode_to_string(&prometheus::gather())
}

/// Counts a log line that was dropped.
pub(super) fn log_line_dropped() {
    LOG_LINES_DROPPED.inc();
}
