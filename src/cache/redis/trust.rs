//! The credentials for a store, and the certificates to verify it with.

use std::sync::Arc;

use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use thiserror::Error;
use tokio_rustls::TlsConnector;

/// The credentials of a client, and the certificates by which it trusts a server.
#[derive(Clone, Default)]
pub struct Access {
    /// The password, which replaces the one in the URL.
    pub password: Option<String>,
    /// The certificates to trust in place of the system's, in PEM.
    pub roots: Option<Vec<u8>>,
    /// The client's own certificate and its key, in PEM.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// A file that does not hold what its setting asks for.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AccessError {
    /// The file with the password has none.
    #[error("the file of --cache-password-file (PHIPI_CACHE_PASSWORD_FILE) is empty: it has to hold the password")]
    Password,
    /// The file with the password has something else.
    #[error(
        "the file of --cache-password-file (PHIPI_CACHE_PASSWORD_FILE) does not hold a password: it has to be one line of \
         UTF-8"
    )]
    PasswordText,
    /// A file of certificates has none.
    #[error("the file of {0} holds no certificate: it has to hold PEM, with a line -----BEGIN CERTIFICATE-----")]
    Certificate(&'static str),
    /// A file for a key has none.
    #[error(
        "the file of --cache-tls-key (PHIPI_CACHE_TLS_KEY) holds no key: it has to hold PEM, with a line -----BEGIN \
         PRIVATE KEY-----"
    )]
    Key,
    /// A certificate is damaged.
    #[error("a certificate in the file of {0} is damaged: give the whole of it, as its CA gave it")]
    Damaged(&'static str),
    /// A key is damaged.
    #[error(
        "the key of --cache-tls-key (PHIPI_CACHE_TLS_KEY) is damaged: give the whole of it, from its BEGIN to its END"
    )]
    DamagedKey,
    /// A key that asks for a passphrase.
    #[error(
        "the key of --cache-tls-key (PHIPI_CACHE_TLS_KEY) is encrypted, and nobody is there to give its passphrase: write \
         it in the clear with openssl pkey -in KEY -out CLEAR_KEY, in a file that this user alone may read"
    )]
    Encrypted,
    /// The key belongs to another certificate, or is of a kind that can't be used.
    #[error(
        "the key of --cache-tls-key (PHIPI_CACHE_TLS_KEY) does not fit the certificate of --cache-tls-cert \
         (PHIPI_CACHE_TLS_CERT): give the two that belong together"
    )]
    Pair,
    /// Nothing is trusted.
    #[error("this system has no certificates to trust a server by: give those of its CA with --cache-tls-ca FILE")]
    System,
}

impl Access {
    /// Whether there is any credential or certificate.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.password.is_some() || self.names_certificates()
    }

    pub(in crate::cache) fn names_certificates(&self) -> bool {
        self.roots.is_some() || self.identity.is_some()
    }

    /// A connector for TLS.
    pub(in crate::cache) fn connector(&self) -> Result<TlsConnector, AccessError> {
        let roots = match &self.roots {
            Some(pem) => certificates(pem, CA)?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        let verifier = Verifier::new(roots, self.roots.is_some())?;
        let provider = Arc::new(ring::default_provider());
        // The versions are those that the provider has by default.
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let config = config.map_err(|_| AccessError::System)?;
        let config = config.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let config = match &self.identity {
            Some((certificate, key)) => {
                let certificate = certificates(certificate, "--cache-tls-cert (PHIPI_CACHE_TLS_CERT)")?;
                let key = PrivateKeyDer::from_pem_slice(without_mark(key)).map_err(|_| without_key(key))?;
                let key = provider.key_provider.load_private_key(key.clone_key()).map(|_| key);
                let key = key.map_err(|_| AccessError::DamagedKey)?;
                config.with_client_auth_cert(certificate, key).map_err(|_| AccessError::Pair)?
            }
            None => config.with_no_client_auth(),
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// The setting of the certificates that a server is trusted by.
const CA: &str = "--cache-tls-ca (PHIPI_CACHE_TLS_CA)";

/// The certificates of a file, at least one.
fn certificates(pem: &[u8], setting: &'static str) -> Result<Vec<CertificateDer<'static>>, AccessError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(without_mark(pem)).collect();
    let found = found.map_err(|_| AccessError::Damaged(setting))?;
    if found.is_empty() {
        return Err(AccessError::Certificate(setting));
    }
    let is_whole = |certificate: &CertificateDer<'_>| ParsedCertificate::try_from(certificate).is_ok();
    if found.iter().all(is_whole) { Ok(found) } else { Err(AccessError::Damaged(setting)) }
}

/// A text without the byte order mark that some editors begin it with.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
}

/// The reason why a file holds no key that can be used.
fn without_key(pem: &[u8]) -> AccessError {
    // The lines of PKCS #8, and of OpenSSL's own format.
    let text = String::from_utf8_lossy(pem);
    let is_encrypted = ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED"].iter().any(|line| text.contains(line));
    match is_encrypted {
        true => AccessError::Encrypted,
        false if text.contains("PRIVATE KEY-----") => AccessError::DamagedKey,
        false => AccessError::Key,
    }
}

/// Trusts a server that a root has vouched for; and one that shows a root itself, byte for byte, as OpenSSL does: `openssl
/// req -x509` makes certificates that are their own CA, which webpki takes for no server's.
///
/// Such a server is known by its certificate. If that names hosts, it has to name this one; the dates count in any case.
#[derive(Debug)]
struct Verifier {
    webpki: Arc<WebPkiServerVerifier>,
    /// The certificates that the operator gave; those of the system may sign others, and are no server's own.
    given: Vec<CertificateDer<'static>>,
}

impl Verifier {
    fn new(roots: Vec<CertificateDer<'static>>, are_given: bool) -> Result<Self, AccessError> {
        let mut store = RootCertStore::empty();
        let (_, unreadable) = store.add_parsable_certificates(roots.iter().cloned());
        if are_given && unreadable > 0 {
            return Err(AccessError::Damaged(CA));
        }
        let provider = Arc::new(ring::default_provider());
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build();
        let given = if are_given { roots } else { Vec::new() };
        Ok(Self { webpki: webpki.map_err(|_| AccessError::System)?, given })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.webpki.verify_server_cert(certificate, intermediates, name, ocsp_response, now);
        if !self.given.iter().any(|given| given.as_ref() == certificate.as_ref()) {
            return verified;
        }
        let verified = match verified {
            // The dates are right: webpki looks at them before.
            Err(error) if is_of_an_authority(&error) => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
                    .map(|()| ServerCertVerified::assertion())
            }
            verified => verified,
        };
        match verified {
            Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }))
                if presented.is_empty() =>
            {
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Whether a certificate was refused because it is that of an authority, and for nothing else so far.
fn is_of_an_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(cause)) = error else { return false };
    matches!(cause.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// The mismatch between the certificates of the two sides, in plain words. `None` when the error is another one.
pub(super) fn mismatch(error: &Error) -> Option<String> {
    const ADVICE: &str =
        "give the certificate of its CA, or its own if nobody else signed it, with --cache-tls-ca FILE";
    let text = match error {
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired; give it a new one".into()
        }
        Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            "its certificate is not valid yet; set the clocks of both machines".into()
        }
        Error::InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented }) => {
            let host = expected.to_str();
            // A name comes as `DnsName("a.example")` or `IpAddress(127.0.0.1)`.
            let bare = |name: &String| name.split_once('(').map_or(&**name, |(_, name)| name).replace(['"', ')'], "");
            let names: Vec<String> = presented.iter().map(bare).collect();
            match &*names.join(", ") {
                "" => format!("its certificate names no host; give it one with the subjectAltName {host}"),
                names => format!("its certificate is for {names} and not for {host}; write a host that it names"),
            }
        }
        Error::InvalidCertificate(_) => format!("its certificate is not trusted; {ADVICE}"),
        // Which of them a server chooses differs.
        Error::AlertReceived(
            AlertDescription::AccessDenied
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::HandshakeFailure
            | AlertDescription::UnknownCA
            | AlertDescription::UnsupportedCertificate,
        ) => "it wants a certificate of this client that it trusts; give one with --cache-tls-cert FILE and \
              --cache-tls-key FILE"
            .into(),
        _ => return None,
    };
    Some(text)
}
