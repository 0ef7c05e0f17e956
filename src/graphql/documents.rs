//! The documents that clients send: parsed, guarded and validated once for each text, and found again by the name that
//! a client registered (automatic persisted queries, Apollo's protocol).

use std::sync::Arc;

use async_graphql::{
    Response, Value, async_trait,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute},
    parser::{Error, parse_query, types::ExecutableDocument},
};
use moka::policy::EvictionPolicy;
use sha2::{Digest, Sha256};

use super::{
    Schema, arguments, builder,
    classes::{Classes, Division},
    code::{Code, Fault, Refusal},
    footprint, guard,
    request::{PersistedQuery, Request},
    selections,
};

/// The room for parsed documents, in each of two classes.
pub(super) const PARSED_BYTES: usize = 16 * 1024 * 1024;

/// The room for the texts of registered documents, in each of two classes.
pub(super) const REGISTERED_BYTES: usize = 4 * 1024 * 1024;

/// Parsed documents are small up to 64 KiB, some 250 fields; the guard lets none pass that takes more than 1 MiB, so that
/// each class has room for sixteen at least. One that was evicted is parsed again, in a few milliseconds: nothing
/// depends on the newest being kept, so that those that come often stay, whatever else comes once.
fn parsed_documents() -> Division {
    Division { small: 64 * 1024, capacity: PARSED_BYTES as u64, policy: EvictionPolicy::tiny_lfu() }
}

/// Texts that were registered are small up to 4 KiB, a hundred aliases with two fields. A client that has registered a
/// document expects it to be found: the newest always has room, and those used last stay.
fn registered_texts() -> Division {
    Division { small: 4 * 1024, capacity: REGISTERED_BYTES as u64, policy: EvictionPolicy::lru() }
}

/// About what it takes to keep an entry beside its key and value: nodes of the map and of the order of eviction.
const OVERHEAD_BYTES: usize = 300;

/// At most so many errors are told of a document.
const ERRORS: usize = 10;

/// The documents that came lately.
pub(super) struct Documents {
    validator: Schema,
    parsed: Classes<Arc<str>, Document>,
    registered: Classes<Hash, Arc<str>>,
}

/// The SHA-256 of a document.
type Hash = [u8; 32];

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

    /// The memory that the parsed document takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Documents {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {
            validator: builder().extension(ValidateOnly).finish(),
            parsed: Classes::new(&parsed_documents(), |text, document| text.len() + document.bytes() + OVERHEAD_BYTES),
            registered: Classes::new(&registered_texts(), |_, text| text.len() + OVERHEAD_BYTES),
        }
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
            None => {
                // The words that clients of the protocol look for.
                let unknown = || Fault::new(Code::PersistedQueryNotFound, "PersistedQueryNotFound");
                self.parsed(&self.registered.get(&hash).ok_or_else(unknown)?).await
            }
            Some(text) if sha256(text) != hash => {
                let message = "persistedQuery.sha256Hash is not the SHA-256 of the document in hexadecimal";
                Err(Fault::new(Code::BadRequest, message).into())
            }
            Some(text) => {
                let document = self.parsed(text).await?;
                self.registered.insert(hash, text.as_str().into());
                Ok(document)
            }
        }
    }

    async fn parsed(&self, text: &str) -> Result<Document, Refusal> {
        if let Some(known) = self.parsed.get(text) {
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
        // A copy has lists without spare room.
        let document = Arc::new(parsed.clone());
        let mut request = of_document(parsed);
        request.operation_name = name;
        let mut errors = self.validator.execute(request).await.errors;
        if !errors.is_empty() {
            // Some are told twice.
            errors.dedup();
            errors.truncate(ERRORS);
            return Err(Refusal::new(Code::ValidationFailed, errors));
        }
        let document = Document { bytes: footprint::of(&document), parsed: document };
        self.parsed.insert(text.into(), document.clone());
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

/// The hash of a name, if it can be one: the version is 1, the hash has 64 digits.
fn hash_of(named: &PersistedQuery) -> Result<Hash, Fault> {
    let hash = (named.version == 1).then(|| from_hex(&named.sha256_hash)).flatten();
    let message = "persistedQuery must have the version 1, and as sha256Hash the 64 hexadecimal digits of a SHA-256";
    hash.ok_or_else(|| Fault::new(Code::BadRequest, message))
}

fn from_hex(text: &str) -> Option<Hash> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks();
    let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect::<Option<Vec<_>>>()?;
    rest.is_empty().then(|| bytes.try_into().ok()).flatten()
}

fn sha256(text: &str) -> Hash {
    Sha256::digest(text).into()
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
