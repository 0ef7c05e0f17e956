//! The exposition is the text of all metrics, which Prometheus scrapes.

use prometheus::TextEncoder;

use super::{metrics, requests, traffic};

/// The content type of [`exposition`].
pub const EXPOSITION_TYPE: &str = prometheus::TEXT_FORMAT;

/// All metrics in the text format of Prometheus, with those of the process that Prometheus gives all programs.
///
/// # Errors
/// When a name or a label is not well-formed, which none is.
pub fn exposition() -> Result<String, prometheus::Error> {
    metrics::show();
    traffic::show();
    requests::show();
    TextEncoder::new().encode_to_string(&prometheus::gather())
}
