//! Checks of the head of a request, before it is routed.

use std::net::Ipv6Addr;

use axum::{
    extract::Request,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version,
        header::{CONNECTION, HOST, TRANSFER_ENCODING},
        uri::Authority,
    },
};

use super::{
    labels::{OTHER, method_of},
    refusal::Refusal,
};

/// Checks the host, the transfer coding and the method of a request.
///
/// # Errors
/// A refusal with 400 or 501.
pub(super) fn check(request: &Request) -> Result<(), Refusal> {
    check_host(request)?;
    check_transfer_coding(request.headers())?;
    check_method(request.method(), request.uri())
}

/// Requires one valid host (RFC 9112, section 3.2). When two recipients read different hosts, requests get past a proxy
/// or poison its cache.
fn check_host(request: &Request) -> Result<(), Refusal> {
    let wrong = |message: &str| Err(Refusal::new(StatusCode::BAD_REQUEST, message));
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    let target = request.uri().authority().map(Authority::as_str);
    if second.is_some() {
        return wrong("the header Host must come once");
    }
    let host = match host.map(|host| host.to_str()) {
        Some(Err(_)) => return wrong(MALFORMED),
        Some(Ok(host)) => Some(host),
        None => None,
    };
    if [host, target].into_iter().flatten().any(|authority| host_of(authority).is_none()) {
        return wrong(MALFORMED);
    }
    match (request.version(), host, target) {
        (Version::HTTP_11, None, _) => wrong("the header Host is missing"),
        (Version::HTTP_2, None, None) => wrong("the pseudo-header :authority is missing"),
        // HTTP/1.1 ignores Host when the target is in absolute form.
        (Version::HTTP_2, Some(host), Some(target)) if !are_same(host, target, request.uri()) => {
            wrong("Host and :authority must not differ")
        }
        _ => Ok(()),
    }
}

const MALFORMED: &str = "the host must be a name or an address, with a port if it is not the usual one";

/// The value of a header that comes once; `None` when it is missing or repeated.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).into_iter();
    values.next().filter(|_| values.next().is_none())
}

/// The host that a request is for, without its port (RFC 9110, section 7.1).
pub(super) fn target_host(request: &Request) -> Option<&str> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    host_of(request.uri().authority().map(Authority::as_str).or(host)?)
}

/// The host in `uri-host [ ":" port ]` (RFC 9110, section 7.2); `None` when it is malformed, or empty (section 4.2.1).
fn host_of(authority: &str) -> Option<&str> {
    // An IPv6 address has colons within its brackets.
    let end = authority.bytes().rposition(|byte| byte == b']').map_or(0, |bracket| bracket + 1);
    let colon = authority.bytes().skip(end).position(|byte| byte == b':').map_or(authority.len(), |colon| end + colon);
    let (host, port) = authority.split_at(colon);
    let is_port = port.bytes().skip(1).all(|byte| byte.is_ascii_digit());
    (is_port && (is_name(host) || address_in_brackets(host).is_some())).then_some(host)
}

/// The address in `[…]`.
pub(super) fn address_in_brackets(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// Whether a text is a `reg-name` (RFC 3986, section 3.2.2), as an IPv4 address is too.
fn is_name(host: &str) -> bool {
    let is_mark = |byte| matches!(byte, b'!' | b'$' | b'%' | b'&'..=b'.' | b';' | b'=' | b'_' | b'~');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || is_mark(byte);
    let is_encoded = |rest: &[u8]| rest.iter().take(2).filter(|byte| byte.is_ascii_hexdigit()).count() == 2;
    let host = host.as_bytes();
    !host.is_empty() && host.iter().copied().all(is_plain) && host.split(|byte| *byte == b'%').skip(1).all(is_encoded)
}

/// Whether two authorities of HTTP/2 name the same server (RFC 9113, section 8.3.1).
fn are_same(host: &str, target: &str, uri: &Uri) -> bool {
    let usual = if uri.scheme_str() == Some("https") { ":443" } else { ":80" };
    let [host, target] = [host, target].map(|authority| authority.strip_suffix(usual).unwrap_or(authority));
    host.eq_ignore_ascii_case(target)
}

/// Rejects every transfer coding but a single `chunked` (RFC 9112, sections 6.1 and 7), the only one that hyper
/// decodes. The connection is closed, since another recipient may see another end of the body (request smuggling).
fn check_transfer_coding(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if codings.next().is_none_or(is_chunked) && codings.next().is_none() {
        return Ok(());
    }
    let refusal = Refusal::new(StatusCode::NOT_IMPLEMENTED, "send the body as it is, or chunked: no other coding");
    Err(refusal.with_header(CONNECTION, HeaderValue::from_static("close")))
}

/// Rejects a method that is not implemented (RFC 9110, section 9.1), and the target `*` with a method other than
/// OPTIONS (RFC 9112, section 3.2.4).
fn check_method(method: &Method, uri: &Uri) -> Result<(), Refusal> {
    if uri.path() == "*" && method != Method::OPTIONS {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "a target begins with /: * is for OPTIONS alone"));
    }
    if method_of(method) == OTHER {
        let message = "this method is not implemented: send GET; /graphql takes POST too";
        return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address() {
        let rows = [
            ("phipi.example", Some("phipi.example")),
            ("phipi.example:8000", Some("phipi.example")),
            ("phipi.example:", Some("phipi.example")),
            ("127.0.0.1:1", Some("127.0.0.1")),
            ("[::1]", Some("[::1]")),
            ("[::1]:8000", Some("[::1]")),
            ("a%2Fb", Some("a%2Fb")),
            ("", None),
            (":8000", None),
            ("a:b", None),
            ("a:1:2", None),
            ("a b", None),
            ("a/b", None),
            ("user@a", None),
            ("a%2", None),
            ("a%zz", None),
            ("é", None),
            ("::1", None),
            ("[::1", None),
            ("[::1]8000", None),
            ("[::1]:8000]", None),
            ("[a]", None),
        ];
        for (authority, host) in rows {
            assert_eq!(host_of(authority), host, "{authority}");
        }
    }

    #[test]
    fn the_usual_port_and_the_case_make_no_difference() {
        let (http, https) = (Uri::from_static("http://a/"), Uri::from_static("https://a/"));
        assert!(are_same("a:80", "A", &http) && are_same("a", "a:443", &https));
        assert!(!are_same("a:80", "a", &https) && !are_same("a", "b", &http));
    }

    #[test]
    fn a_header_that_is_there_twice_says_nothing() {
        let mut headers = HeaderMap::new();
        assert_eq!(only(&headers, &HOST), None);
        headers.append(HOST, HeaderValue::from_static("00-1"));
        assert_eq!(only(&headers, &HOST), Some(&HeaderValue::from_static("00-1")));
        headers.append(HOST, HeaderValue::from_static("00-2"));
        assert_eq!(only(&headers, &HOST), None);
    }
}
