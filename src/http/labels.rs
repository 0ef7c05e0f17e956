//! Labels of methods and routes for logs and metrics. Everything unknown is `other`, so that no input of a client
//! becomes a label.

use axum::http::Method;

/// The label of everything unknown.
pub(super) const OTHER: &str = "other";

/// The label of a method.
pub(super) fn method_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => OTHER,
    }
}

/// The label of a path: its route, without the values in it.
pub(super) fn route_of(path: &str) -> &'static str {
    let is_below = |folder| path.strip_prefix(folder).is_some_and(|rest| !rest.is_empty() && !rest.contains('/'));
    match path {
        "/graphql" | "/graphql/" => "/graphql",
        "/" => "/",
        "/schema.graphql" => "/schema.graphql",
        _ if is_below("/assets/") => "/assets/{name}",
        "/fib" => "/fib",
        "/pi/digits" => "/pi/digits",
        _ if is_below("/fib/") => "/fib/{n}",
        _ if is_below("/pi/") => "/pi/{terms}",
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_input_of_a_client_becomes_a_label() {
        let rows = [
            ("/fib/10", "/fib/{n}"),
            ("/pi/secret", "/pi/{terms}"),
            ("/fib/", OTHER),
            ("/fib", "/fib"),
            ("/pi/digits", "/pi/digits"),
            ("/pi/digits/", OTHER),
            ("/fib/1/secret", OTHER),
            ("/graphql/", "/graphql"),
            ("/graphql/secret", OTHER),
            ("/secret", OTHER),
        ];
        for (path, route) in rows {
            assert_eq!(route_of(path), route, "{path}");
        }
        assert_eq!(method_of(&Method::from_bytes(b"SECRET").unwrap()), OTHER);
    }
}
