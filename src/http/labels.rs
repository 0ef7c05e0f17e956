//! Labels stand for what clients name: the methods and the routes that there are, and one for all else.

use axum::http::Method;

/// Stands for any unknown name: no input becomes a label.
pub(super) const OTHER: &str = "other";

/// A method as it is reported.
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

/// The route of a path, without what a client asks for.
pub(super) fn route_of(path: &str) -> &'static str {
    let is_below = |folder| path.strip_prefix(folder).is_some_and(|rest| !rest.is_empty() && !rest.contains('/'));
    match path {
        "/graphql" | "/graphql/" => "/graphql",
        "/" => "/",
        "/schema.graphql" => "/schema.graphql",
        _ if is_below("/assets/") => "/assets/{name}",
        _ if is_below("/fib/") => "/fib/{n}",
        _ if is_below("/pi/") => "/pi/{terms}",
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_client_chooses_is_told() {
        let rows = [
            ("/fib/10", "/fib/{n}"),
            ("/pi/secret", "/pi/{terms}"),
            ("/fib/", OTHER),
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
