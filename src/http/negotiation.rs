//! Content negotiation (RFC 9110, section 12).

use axum::http::{
    HeaderMap, HeaderName,
    header::{ACCEPT, ACCEPT_ENCODING},
};

/// The media type of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Media {
    /// `application/json`
    Json,
    /// `application/graphql-response+json`
    GraphqlResponse,
    /// `text/html`
    Html,
    /// `text/plain`
    Text,
    /// `text/event-stream`
    EventStream,
}

impl Media {
    /// The type and subtype.
    fn essence(self) -> (&'static str, &'static str) {
        match self {
            Self::Json => ("application", "json"),
            Self::GraphqlResponse => ("application", "graphql-response+json"),
            Self::Html => ("text", "html"),
            Self::Text => ("text", "plain"),
            Self::EventStream => ("text", "event-stream"),
        }
    }

    /// The header `Content-Type` of a response of this type.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Text => "text/plain; charset=utf-8",
            // Always in UTF-8.
            Self::EventStream => "text/event-stream",
        }
    }

    /// The best of `offered`, or `None` when none is acceptable. Without a preference it is the first; an exact type
    /// beats a wildcard, and among equal exact types the later offer wins.
    pub(super) fn choose(headers: &HeaderMap, offered: &[Self]) -> Option<Self> {
        let ranges = || ranges(headers, &ACCEPT);
        if ranges().next().is_none() {
            return offered.first().copied();
        }
        let preference = |media: Self| {
            let (kind, subtype) = media.essence();
            let matching = ranges().filter_map(|(range, quality)| {
                let (range_kind, range_subtype) = range.split_once('/')?;
                let precision = match (range_kind, range_subtype) {
                    ("*", "*") => 0,
                    (range, "*") if range.eq_ignore_ascii_case(kind) => 1,
                    (range, exact) if range.eq_ignore_ascii_case(kind) && exact.eq_ignore_ascii_case(subtype) => 2,
                    _ => return None,
                };
                Some((precision, quality))
            });
            // The most precise range that matches has its quality.
            matching.max().filter(|(_, quality)| *quality > 0).map(|(precision, quality)| (quality, precision))
        };
        let mut best = None;
        for &media in offered {
            let Some((quality, precision)) = preference(media) else { continue };
            // Among types that match by a wildcard, the first offered wins.
            let rank = (quality, precision == 2);
            // A client that accepts events as well as another type wants them for subscriptions.
            let goes_before = media != Self::EventStream && rank.1;
            if best.is_none_or(|(_, before)| rank > before || rank == before && goes_before) {
                best = Some((media, rank));
            }
        }
        best.map(|(media, _)| media)
    }
}

/// The content coding of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Coding {
    /// No compression.
    Identity,
    /// DEFLATE in the format of gzip.
    Gzip,
    /// Brotli.
    Brotli,
}

impl Coding {
    /// The header `Content-Encoding`; an uncompressed response has none.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }

    /// The best coding that the client accepts. Identity is always acceptable: it is better than no response.
    pub(super) fn choose(headers: &HeaderMap) -> Self {
        if !headers.contains_key(ACCEPT_ENCODING) {
            return Self::Identity;
        }
        let quality = |name: &str| {
            let named = ranges(headers, &ACCEPT_ENCODING).find(|(coding, _)| coding.eq_ignore_ascii_case(name));
            let any = || ranges(headers, &ACCEPT_ENCODING).find(|(coding, _)| *coding == "*");
            named.or_else(any).map_or(0, |(_, quality)| quality)
        };
        let (brotli, gzip) = (quality("br"), quality("gzip"));
        // Identity may be preferred where it is named; else any accepted coding beats it.
        let identity = ranges(headers, &ACCEPT_ENCODING).find(|(coding, _)| coding.eq_ignore_ascii_case("identity"));
        let identity = identity.map_or(0, |(_, quality)| quality);
        if brotli > 0 && brotli >= gzip && brotli >= identity {
            Self::Brotli
        } else if gzip > 0 && gzip >= identity {
            Self::Gzip
        } else {
            Self::Identity
        }
    }
}

/// The members of a list header, each with its quality in thousandths.
fn ranges<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = (&'a str, u32)> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).filter_map(|member| {
        let mut parts = member.split(';').map(str::trim);
        let range = parts.next().filter(|range| !range.is_empty())?;
        let quality =
            parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        Some((range, quality.map_or(1_000, |(_, quality)| thousandths(quality.trim()))))
    })
}

/// A quality between 0 and 1, of which three decimals count; a malformed one counts as 1.
fn thousandths(quality: &str) -> u32 {
    let (whole, decimals) = quality.split_once('.').unwrap_or((quality, ""));
    let is_number = decimals.bytes().all(|byte| byte.is_ascii_digit());
    match whole {
        "0" if is_number => format!("{decimals:0<3.3}").parse().unwrap_or(1_000),
        _ => 1_000,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn the_best_form_is_chosen() {
        use Media::{GraphqlResponse, Html, Json};
        let chosen = |accept: &str| Media::choose(&headers(ACCEPT, accept), &[Json, Html, GraphqlResponse]);
        assert_eq!(Media::choose(&HeaderMap::new(), &[Json, Html]), Some(Json));
        for (accept, expected) in [
            ("", Some(Json)),
            ("*/*", Some(Json)),
            ("application/*", Some(Json)),
            ("application/json", Some(Json)),
            ("APPLICATION/JSON; charset=utf-8", Some(Json)),
            ("application/graphql-response+json", Some(GraphqlResponse)),
            // As Apollo's client, urql and Relay ask.
            ("application/graphql-response+json,application/json;q=0.9", Some(GraphqlResponse)),
            ("application/graphql-response+json, application/json", Some(GraphqlResponse)),
            ("application/json, application/graphql-response+json", Some(GraphqlResponse)),
            ("application/json, application/graphql-response+json; q=0.5", Some(Json)),
            ("application/graphql-response+json;q=0.2, */*;q=0.1", Some(GraphqlResponse)),
            ("application/graphql-response+json;q=0, */*", Some(Json)),
            // As browsers ask for a page.
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some(Html)),
            ("text/*", Some(Html)),
            ("*/*;q=0.5, text/html;q=0.4", Some(Json)),
            ("text/plain", None),
            ("*/*;q=0", None),
            ("application/json;q=0.000", None),
        ] {
            assert_eq!(chosen(accept), expected, "{accept}");
        }
    }

    #[test]
    fn events_are_for_those_who_want_nothing_else() {
        use Media::{EventStream, GraphqlResponse, Json};
        for (accept, expected) in [
            ("*/*", Json),
            ("text/event-stream", EventStream),
            ("text/event-stream, */*;q=0.5", EventStream),
            // As urql asks.
            (
                "application/graphql-response+json, application/json, text/event-stream, multipart/mixed",
                GraphqlResponse,
            ),
        ] {
            let chosen = Media::choose(&headers(ACCEPT, accept), &[Json, GraphqlResponse, EventStream]);
            assert_eq!(chosen, Some(expected), "{accept}");
        }
    }

    #[test]
    fn the_best_coding_is_chosen() {
        use Coding::{Brotli, Gzip, Identity};
        assert_eq!(Coding::choose(&HeaderMap::new()), Identity);
        for (accept, expected) in [
            ("gzip, deflate, br, zstd", Brotli),
            ("gzip, deflate", Gzip),
            ("br;q=0.5, gzip", Gzip),
            ("br;q=0, gzip;q=0.001", Gzip),
            ("deflate", Identity),
            ("*", Brotli),
            ("*, br;q=0", Gzip),
            ("br ; q = 0, gzip;q=0.0001", Identity),
            ("identity, br;q=0.5", Identity),
            ("identity;q=0", Identity),
            ("", Identity),
        ] {
            assert_eq!(Coding::choose(&headers(ACCEPT_ENCODING, accept)), expected, "{accept}");
        }
    }
}
