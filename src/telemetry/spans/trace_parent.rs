//! The form in which spans are named between services: W3C Trace Context, version 00.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The span that `traceparent` names; `None` when it is not exactly of the form. Of a later version the known fields
/// count, as the specification asks. The vendors' additions in `tracestate` are of no use here, where the trace ends.
pub(super) fn read(parent: &str) -> Option<SpanContext> {
    let mut parts = parent.split('-');
    let [version, trace, span, flags] = [2, 32, 16, 2].map(|length| parts.next().filter(|part| is_hex(part, length)));
    let (version, flags) = (byte(version?)?, byte(flags?)?);
    if version == u8::MAX || (version == 0 && parts.next().is_some()) {
        return None;
    }
    let (trace, span) = (TraceId::from_hex(trace?).ok()?, SpanId::from_hex(span?).ok()?);
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    Some(SpanContext::new(trace, span, flags, true, TraceState::NONE)).filter(SpanContext::is_valid)
}

/// A span in the form of `traceparent`, which is that of `traceresponse` too.
pub(super) fn write(span: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags())
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn byte(hex: &str) -> Option<u8> {
    u8::from_str_radix(hex, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_as_it_is_written() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(write(&read(text).unwrap()), text);
        let later = read("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-more").unwrap();
        assert_eq!(write(&later), text, "of a later version, with flags of its own");
    }

    #[test]
    fn what_is_not_of_the_form_names_nothing() {
        let rows = [
            "",
            "00",
            // No trace, no span.
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            // Capitals, too short, a sign.
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-1-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            // More than version 00 has, and the version that there never is.
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ];
        for text in rows {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
