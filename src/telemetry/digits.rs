//! Numbers and durations are written here in the digits of reports.

use std::time::Duration;

/// A duration in milliseconds, with three decimals.
pub(super) fn milliseconds(text: &mut Vec<u8>, duration: Duration) {
    text.extend_from_slice(itoa::Buffer::new().format(duration.as_millis()).as_bytes());
    text.push(b'.');
    digits(text, u64::from(duration.subsec_micros() % 1_000), 3);
}

/// The last `count` digits of a number.
pub(super) fn digits(text: &mut Vec<u8>, number: u64, count: u32) {
    for power in (0..count).rev() {
        let digit = u8::try_from(number / 10_u64.pow(power) % 10).unwrap_or(0);
        text.push(b'0' + digit);
    }
}
