//! The parameters in the query of a URL.

use axum::http::Uri;
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use crate::graphql::{Code, Fault};

/// The values of the parameters of these names, and the name of another one, if there is one.
///
/// # Errors
/// When one of them is given twice, or the query is not UTF-8.
pub(super) fn read<const N: usize>(
    uri: &Uri,
    names: [&str; N],
) -> Result<([Option<String>; N], Option<String>), Fault> {
    let (mut values, mut other) = ([const { None }; N], None);
    let query = uri.query().unwrap_or_default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        // It stands for bytes that are not UTF-8, unless a client has sent it itself.
        let is_replaced = [&name, &value].iter().any(|text| text.contains(char::REPLACEMENT_CHARACTER));
        if is_replaced && percent_decode_str(query).decode_utf8().is_err() {
            return Err(Fault::new(Code::BadRequest, "the query of the URL is not UTF-8"));
        }
        match names.iter().position(|known| *known == name) {
            Some(at) if values[at].is_some() => {
                return Err(Fault::new(Code::BadRequest, format!("the parameter {name} is given twice")));
            }
            Some(at) => values[at] = Some(value.into_owned()),
            None => other = Some(name.into_owned()),
        }
    }
    Ok((values, other))
}
