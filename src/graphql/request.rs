//! A request as it comes in JSON, over any transport.

use std::{fmt, marker::PhantomData, slice};

use async_graphql::{Name, Value, Variables, indexmap::IndexMap};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use super::code::{Code, Fault};

/// The most operations in a batch.
const BATCH: usize = 10;

/// The most variables that a request may give values to: as many as the longest document may define.
const VARIABLES: usize = 1_000;

/// One operation to execute.
#[derive(Debug, Default, PartialEq)]
pub struct Request {
    /// The text of the document; without it the document is one that was registered.
    pub document: Option<String>,
    /// The name of the operation to execute; not needed when there is one.
    pub operation_name: Option<String>,
    /// The values of the operation's variables. A list or an object, which no argument takes, has lost its contents.
    pub variables: Variables,
    /// The name under which the document is or will be registered.
    pub persisted: Option<PersistedQuery>,
}

/// The name of a registered document.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PersistedQuery {
    /// The version of the protocol, which is 1.
    pub version: u32,
    /// The SHA-256 of the document in hexadecimal.
    pub sha256_hash: String,
}

/// The content of one body.
#[derive(Debug, PartialEq)]
pub enum Batch {
    /// A request.
    One(Request),
    /// An array of requests, to be answered by an array.
    Many(Vec<Request>),
}

impl Request {
    /// A request for a document.
    #[must_use]
    pub fn new(document: impl Into<String>) -> Self {
        Self { document: Some(document.into()), ..Self::default() }
    }

    /// A request whose `variables` and `extensions` are texts of JSON, as in the query of a URL.
    ///
    /// # Errors
    /// When one of them is no object.
    pub fn from_parameters(
        document: Option<String>,
        operation_name: Option<String>,
        variables: Option<&str>,
        extensions: Option<&str>,
    ) -> Result<Self, Fault> {
        let members = Members {
            query: document,
            operation_name,
            variables: variables.map(|text| parameter("variables", text)).transpose()?.flatten(),
            extensions: extensions.map(|text| parameter("extensions", text)).transpose()?.flatten(),
        };
        Ok(members.into())
    }
}

impl Batch {
    /// Whether executing it registers a document: then it has an effect beside its answer.
    #[must_use]
    pub fn registers(&self) -> bool {
        let requests = match self {
            Self::One(request) => slice::from_ref(request),
            Self::Many(requests) => requests,
        };
        requests.iter().any(|request| request.document.is_some() && request.persisted.is_some())
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When it is not a request or an array of one to ten requests, in JSON.
    pub fn from_json(body: &[u8]) -> Result<Self, Fault> {
        let wrong = |error| Fault::new(Code::BadRequest, format!("the body is not a GraphQL request in JSON: {error}"));
        // Some editors and libraries begin UTF-8 with a byte order mark, which RFC 8259 allows to ignore.
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        if body.trim_ascii_start().first() != Some(&b'[') {
            let Object::<Members>(members) = read(body).map_err(wrong)?;
            return Ok(Self::One(members.into()));
        }
        let all: Vec<Object<Members>> = read(body).map_err(wrong)?;
        if all.is_empty() || all.len() > BATCH {
            let message = format!("a batch has 1 to {BATCH} requests, but this one has {}", all.len());
            return Err(Fault::new(Code::BadRequest, message));
        }
        Ok(Self::Many(all.into_iter().map(|Object(members)| members.into()).collect()))
    }
}

/// For transports that carry a request within something else.
impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Object::<Members>::deserialize(deserializer).map(|Object(members)| members.into())
    }
}

/// The members of a request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<Given>,
    extensions: Option<Object<Extensions>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extensions {
    persisted_query: Option<Object<PersistedQuery>>,
}

impl From<Members> for Request {
    fn from(members: Members) -> Self {
        let persisted = members.extensions.and_then(|Object(extensions)| extensions.persisted_query);
        Self {
            document: members.query,
            operation_name: members.operation_name.filter(|name| !name.is_empty()),
            variables: members.variables.map(|Given(values)| values).unwrap_or_default(),
            persisted: persisted.map(|Object(persisted)| persisted),
        }
    }
}

fn parameter<T: DeserializeOwned>(name: &str, text: &str) -> Result<Option<T>, Fault> {
    let value = read(if text.is_empty() { b"null" } else { text.as_bytes() });
    let wrong = |error| format!("the parameter {name} is not the JSON object that it should be: {error}");
    value.map_err(|error| Fault::new(Code::BadRequest, wrong(error)))
}

/// Reads JSON. UTF-8 is checked once, which is faster than string by string; if that fails, the library says where.
///
/// # Errors
/// The text says what is wrong, and in which member.
fn read<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, String> {
    let value = str::from_utf8(json).map_or_else(|_| serde_json::from_slice(json), serde_json::from_str);
    value.map_err(|error: serde_json::Error| {
        // Only an error is worth a second reading, which finds the path.
        let again: Result<T, _> = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(json));
        let path = again.err().map(|error| error.path().to_string()).filter(|path| error.is_data() && path != ".");
        path.map_or_else(|| error.to_string(), |path| format!("in {path}: {error}"))
    })
}

/// A struct in the form of an object alone: serde takes it in the form of an array too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// Values of variables. A million values that no operation can use are read, and not kept.
struct Given(Variables);

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(GivenVisitor)
    }
}

struct GivenVisitor;

impl<'de> Visitor<'de> for GivenVisitor {
    type Value = Given;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "an object with the values of {VARIABLES} variables at most")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given, A::Error> {
        let mut values = Variables::default();
        while let Some((name, Scalar(value))) = map.next_entry::<Name, _>()? {
            values.insert(name, value);
            if values.len() > VARIABLES {
                return Err(de::Error::invalid_length(values.len(), &self));
            }
        }
        Ok(Given(values))
    }
}

/// The value of a variable, without the contents of a list or an object.
struct Scalar(Value);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor).map(Self)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::List(Vec::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object(IndexMap::new()))
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::Name;

    use super::*;

    #[test]
    fn a_request_is_an_object_whose_members_have_their_types() {
        let body = br#" {"query": "{x}", "operationName": "A", "variables": {"n": 5}, "other": [1],
            "extensions": {"nonce": 7, "persistedQuery": {"version": 1, "sha256Hash": "ab"}}}"#;
        let Ok(Batch::One(request)) = Batch::from_json(body) else { panic!("this is a request") };
        assert_eq!((request.document.as_deref(), request.operation_name.as_deref()), (Some("{x}"), Some("A")));
        assert_eq!(request.variables.get(&Name::new("n")), Some(&5.into()));
        assert_eq!(request.persisted, Some(PersistedQuery { version: 1, sha256_hash: "ab".into() }));
        let nulls = br#"{"query": "{x}", "operationName": null, "variables": null, "extensions": null}"#;
        assert_eq!(Batch::from_json(nulls), Ok(Batch::One(Request::new("{x}"))));
        assert_eq!(Batch::from_json(&[b"\xEF\xBB\xBF", &nulls[..]].concat()), Batch::from_json(nulls));

        for body in [
            "",
            "5",
            "null",
            r#""{x}""#,
            r#"["{x}"]"#,
            r#"[["{x}", null, null, null]]"#,
            "[]",
            r#"{"query": 5}"#,
            r#"{"query": ["{x}"]}"#,
            r#"{"query": "{x}", "query": "{y}"}"#,
            r#"{"query": "{x}", "operationName": 5}"#,
            r#"{"query": "{x}", "variables": []}"#,
            r#"{"query": "{x}", "extensions": [null]}"#,
            r#"{"query": "{x}", "extensions": {"persistedQuery": [1, "ab"]}}"#,
            r#"{"query": "\ud800"}"#,
            r#"{"query": "{x}"} {}"#,
            " \u{feff}{}",
        ] {
            let refusal = Batch::from_json(body.as_bytes()).expect_err(body);
            assert_eq!(refusal.code, Code::BadRequest, "{body}");
        }
    }

    #[test]
    fn an_error_names_the_member_that_is_wrong() {
        for (body, words) in [
            (r#"{"query": 1}"#, "in query: invalid type: integer `1`, expected a string at line 1 column 11"),
            (r#"[{}, {"operationName": 1}]"#, "in [1].operationName: invalid type"),
            (
                r#"{"extensions": {"persistedQuery": {"version": "1"}}}"#,
                "in extensions.persistedQuery.version: invalid",
            ),
            (r#"{"extensions": {"persistedQuery": {"version": 1}}}"#, "in extensions.persistedQuery: missing field"),
            (r#"{"query": "{x}""#, "in JSON: EOF while parsing"),
            ("5", "in JSON: invalid type: integer `5`, expected an object"),
        ] {
            let refusal = Batch::from_json(body.as_bytes()).expect_err(body);
            assert!(refusal.message.contains(words), "{body}: {}", refusal.message);
        }
        let refusal = Request::from_parameters(None, None, None, Some(r#"{"persistedQuery": {"version": 1}}"#));
        let expected =
            "the parameter extensions is not the JSON object that it should be: in persistedQuery: missing field";
        assert!(refusal.as_ref().unwrap_err().message.starts_with(expected), "{refusal:?}");
    }

    #[test]
    fn of_values_that_fit_no_argument_nothing_is_kept() {
        let body =
            br#"{"variables": {"list": [[1], {"a": "b"}], "object": {"a": [null]}, "text": "\u0041", "null": null,
            "many": 18446744073709551615, "half": 0.5, "yes": true, "few": -9223372036854775808}}"#;
        let Ok(Batch::One(request)) = Batch::from_json(body) else { panic!("this is a request") };
        let shown =
            request.variables.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
        let expected = "few=-9223372036854775808 half=0.5 list=[] many=18446744073709551615 null=null object={} text=\"A\" yes=true";
        assert_eq!(shown, expected);

        let many = |count: usize| {
            let values: Vec<_> = (0..count).map(|k| format!("\"v{k}\": 1")).collect();
            Batch::from_json(format!("{{\"variables\": {{{}}}}}", values.join(",")).as_bytes())
        };
        assert!(many(VARIABLES).is_ok());
        assert!(many(VARIABLES + 1).unwrap_err().message.contains("the values of 1000 variables at most"));
    }

    #[test]
    fn a_batch_registers_if_one_of_its_requests_does() {
        let named = r#""extensions": {"persistedQuery": {"version": 1, "sha256Hash": "ab"}}"#;
        let (plain, found, registration) =
            (r#"{"query": "{x}"}"#, format!("{{{named}}}"), format!(r#"{{"query": "{{x}}", {named}}}"#));
        for (body, registers) in [
            (plain.to_owned(), false),
            (found.clone(), false),
            (registration.clone(), true),
            (format!("[{plain}, {found}]"), false),
            (format!("[{plain}, {registration}]"), true),
        ] {
            let batch = Batch::from_json(body.as_bytes());
            assert_eq!(batch.map(|batch| batch.registers()), Ok(registers), "{body}");
        }
    }

    #[test]
    fn a_batch_has_ten_requests_at_most() {
        let batch = |requests: usize| Batch::from_json(format!("[{}]", vec!["{}"; requests].join(",")).as_bytes());
        assert!(matches!(batch(10), Ok(Batch::Many(requests)) if requests.len() == 10));
        assert_eq!(batch(11).unwrap_err().message, "a batch has 1 to 10 requests, but this one has 11");
    }
}
