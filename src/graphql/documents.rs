//! The documents that clients send: parsed, guarded and validated once for each text, and found again by the name that
//! a client registered (automatic persisted queries, Apollo's protocol).

use std::sync::Arc;

use async_graphql::{
    Response, Value, async_trait,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute},
    parser::{Error, parse_query, types::ExecutableDocument},
};
use moka::sync::Cache;
use sha2::{Digest, Sha256};

use super::{
    Schema, arguments, builder,
    code::{Code, Fault, Refusal},
    guard,
    request::{PersistedQuery, Request},
    selections,
};

/// What the documents kept may take, for each of the two ways to find one, in bytes of text; parsed they take some ten
/// times as much.
const KEPT_BYTES: u64 = 2 * 1024 * 1024;

/// About what it takes to keep a document beside its text.
const OVERHEAD_BYTES: usize = 100;

/// At most so many errors are told of a document.
const ERRORS: usize = 10;

/// All documents of late.
pub(super) struct Documents {
    validator: Schema,
    by_text: Cache<Arc<str>, Document>,
    by_hash: Cache<Arc<str>, Document>,
}

/// A valid document of bounded size.
#[derive(Clone)]
pub(super) struct Document {
    parsed: Arc<ExecutableDocument>,
    bytes: usize,
}

impl Document {
    /// The document itself.
    pub(super) fn parsed(&self) -> &ExecutableDocument {
        &self.parsed
    }
}

impl Documents {
    /// None yet.
    pub(super) fn new() -> Self {
        let kept = || {
            let weight = |key: &Arc<str>, document: &Document| {
                u32::try_from(key.len() + document.bytes + OVERHEAD_BYTES).unwrap_or(u32::MAX)
            };
            Cache::builder().max_capacity(KEPT_BYTES).weigher(weight).build()
        };
        Self { validator: builder().extension(ValidateOnly).finish(), by_text: kept(), by_hash: kept() }
    }

    /// The document of a request, which is registered if the request names it.
    ///
    /// # Errors
    /// When the document is none, too large, or not valid; when it is not the one that its name says, or no document is
    /// registered under the name.
    pub(super) async fn of(&self, request: &Request) -> Result<Document, Refusal> {
        let Some(named) = &request.persisted else {
            let missing = || {
                Fault::new(
                    Code::BadRequest,
                    r#"the member query is missing: send {"query": "{ fib(n: 10) { result } }"}"#,
                )
            };
            return self.parsed(request.document.as_deref().ok_or_else(missing)?).await;
        };
        let hash = hash_of(named)?;
        match &request.document {
            None => self.by_hash.get(&*hash).ok_or_else(|| {
                // The words that clients of the protocol look for.
                Fault::new(Code::PersistedQueryNotFound, "PersistedQueryNotFound").into()
            }),
            Some(text) if hex_sha256(text) != *hash => {
                let message = "persistedQuery.sha256Hash is not the SHA-256 of the document in hexadecimal";
                Err(Fault::new(Code::BadRequest, message).into())
            }
            Some(text) => {
                let document = self.parsed(text).await?;
                self.by_hash.insert(hash, document.clone());
                Ok(document)
            }
        }
    }

    async fn parsed(&self, text: &str) -> Result<Document, Refusal> {
        if let Some(known) = self.by_text.get(text) {
            return Ok(known);
        }
        guard::check_text(text)?;
        let parsed = parse_query(text).map_err(|error| parse_failed(&error))?;
        guard::check_document(&parsed)?;
        arguments::check(&parsed)?;
        selections::check(&parsed)?;
        // Without variables, whose values are checked with each operation, it is the same for all of them; the library
        // validates all operations, but wants one to be named.
        let name = parsed.operations.iter().find_map(|(name, _)| name).map(ToString::to_string);
        let mut request = of_document(parsed.clone());
        request.operation_name = name;
        let mut errors = self.validator.execute(request).await.errors;
        if !errors.is_empty() {
            // Some are told twice.
            errors.dedup();
            errors.truncate(ERRORS);
            return Err(Refusal::new(Code::ValidationFailed, errors));
        }
        let document = Document { parsed: Arc::new(parsed), bytes: text.len() };
        self.by_text.insert(text.into(), document.clone());
        Ok(document)
    }
}

/// A request of the library for a document that is parsed already.
pub(super) fn of_document(document: ExecutableDocument) -> async_graphql::Request {
    let mut request = async_graphql::Request::new(String::new());
    request.set_parsed_query(document);
    request
}

/// Lets the library validate, and execute nothing.
struct ValidateOnly;

impl ExtensionFactory for ValidateOnly {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for ValidateOnly {
    async fn execute(&self, _: &ExtensionContext<'_>, _: Option<&str>, _: NextExecute<'_>) -> Response {
        Response::new(Value::Null)
    }
}

/// The name, if it can be one: the version is 1, the hash has 64 digits.
fn hash_of(named: &PersistedQuery) -> Result<Arc<str>, Fault> {
    let is_hash = named.sha256_hash.len() == 64 && named.sha256_hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if named.version == 1 && is_hash {
        return Ok(named.sha256_hash.to_ascii_lowercase().into());
    }
    let message = "persistedQuery must have the version 1, and as sha256Hash the 64 hexadecimal digits of a SHA-256";
    Err(Fault::new(Code::BadRequest, message))
}

fn hex_sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The library's message quotes the source line, however long; the position tells as much.
fn parse_failed(error: &Error) -> Refusal {
    let (message, position) = match error {
        Error::Syntax { start, .. } => {
            (format!("syntax error at line {}, column {}", start.line, start.column), *start)
        }
        other => (other.to_string(), other.positions().next().unwrap_or_default()),
    };
    Refusal::at(position, Code::ParseFailed, format!("the document is not GraphQL: {message}"))
}
