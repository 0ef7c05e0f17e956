//! Requests of clients are reported here when they are answered: counted, measured by kind of operation, and logged.

use std::sync::LazyLock;

use prometheus::{Histogram, register_histogram_vec};

use super::{
    account::{Kind, Request},
    log, traffic,
};

/// The bounds of the histograms, in seconds: an answer that was sent before takes some microseconds, and none more than
/// thirty seconds.
const BOUNDS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The histogram of each kind at hand, since every request is measured.
static SECONDS: LazyLock<[Histogram; Kind::ALL.len()]> = LazyLock::new(|| {
    let seconds = register_histogram_vec!(
        "phipi_http_request_seconds",
        "From the head of a client's request to the head of its answer, by kind of operation.",
        &["operation"],
        BOUNDS.to_vec()
    )
    .expect("the name is registered once, and well-formed");
    Kind::ALL.map(|kind| seconds.with_label_values(&[kind.label()]))
});

/// Shows all rows from the start, as the other metrics do.
pub(super) fn show() {
    LazyLock::force(&SECONDS);
}

/// A client's request was answered.
pub fn answered(request: &Request) {
    traffic::answered(request.status);
    SECONDS[request.account.kind as usize].observe(request.took.as_secs_f64());
    log::answered(request);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_histogram() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place, "{kind:?}");
        }
    }
}
