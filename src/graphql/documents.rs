//! The documents that clients send: parsed, guarded and validated once for each text, and found again by the name that
//! a client registered (automatic persisted queries, Apollo's protocol).

use std::sync::Arc;

use async_graphql::parser::types::ExecutableDocument;
use moka::policy::EvictionPolicy;
use sha2::{Digest, Sha256};

use super::{
    classes::{Classes, Division},
    code::{Code, Fault, Refusal},
    footprint,
    model::Model,
    parser,
    request::{PersistedQuery, Request},
    schema::sdl,
    validation,
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

/// Approximate overhead of an entry beside its key and value: nodes of the map and of the order of eviction.
const OVERHEAD_BYTES: usize = 300;

/// Recently used documents.
pub(super) struct Documents {
    /// The schema that documents are held against.
    pub(super) model: Model,
    parsed: Classes<Arc<str>, Document>,
    registered: Classes<Hash, Arc<str>>,
}

/// The SHA-256 of a document.
type Hash = [u8; 32];

/// A valid document of bounded size, and the memory that it takes, in bytes.
#[derive(Clone)]
struct Document {
    parsed: Arc<ExecutableDocument>,
    bytes: usize,
}

impl Documents {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {
            model: Model::of_sdl(&sdl()),
            parsed: Classes::new(&parsed_documents(), |text, document| text.len() + document.bytes + OVERHEAD_BYTES),
            registered: Classes::new(&registered_texts(), |_, text| text.len() + OVERHEAD_BYTES),
        }
    }

    /// The document of a request, which is registered if the request names it.
    ///
    /// # Errors
    /// When the document is none, too large, or not valid; when it is not the one that its name says, or no document is
    /// registered under the name.
    pub(super) fn of(&self, request: &Request) -> Result<Arc<ExecutableDocument>, Refusal> {
        let wrong = |message: &str| Fault::new(Code::BadRequest, message);
        let hash = request.persisted.as_ref().map(hash_of).transpose()?;
        let registered: Arc<str>;
        let text = match (&request.document, hash) {
            (None, None) => {
                let message = r#"the member query is missing: send {"query": "{ fib(n: 10) { result } }"}"#;
                return Err(wrong(message).into());
            }
            (None, Some(hash)) => {
                // Clients of the protocol look for these words.
                let unknown = || Fault::new(Code::PersistedQueryNotFound, "PersistedQueryNotFound");
                registered = self.registered.get(&hash).ok_or_else(unknown)?;
                &*registered
            }
            (Some(text), Some(hash)) if sha256(text) != hash => {
                let message = "persistedQuery.sha256Hash is not the SHA-256 of the document in hexadecimal";
                return Err(wrong(message).into());
            }
            (Some(text), _) => text.as_str(),
        };
        let document = if let Some(known) = self.parsed.get(text) {
            known.parsed
        } else {
            let parsed = Arc::new(validation::check(parser::parse(text)?, &self.model)?);
            let document = Document { bytes: footprint::of(&parsed), parsed: Arc::clone(&parsed) };
            self.parsed.insert(text.into(), document);
            parsed
        };
        if let (Some(text), Some(hash)) = (&request.document, hash) {
            self.registered.insert(hash, text.as_str().into());
        }
        Ok(document)
    }
}

/// A request of the library for a document that is parsed already.
pub(super) fn of_document(document: ExecutableDocument) -> async_graphql::Request {
    let mut request = async_graphql::Request::new(String::new());
    request.set_parsed_query(document);
    request
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
