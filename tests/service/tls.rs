//! Redis behind TLS, and what is told when the certificates or the password don't fit.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

use crate::{
    cached::a_story,
    redis_cluster::free_ports,
    redis_server::RedisServer,
    service::{Service, program, undisturbed},
};

const PASSWORD: &str = "a secret of many words";

/// A certificate authority, and files of what it has signed.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Not the name of those whom it signs: they would seem to sign themselves.
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let authority = Self { issuer: Issuer::new(params, key), certificate, folder: tempfile::tempdir().unwrap() };
        fs::write(authority.file("ca.pem"), authority.certificate.pem()).unwrap();
        authority
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The path of a file, as an argument.
    fn path(&self, name: &str) -> String {
        self.file(name).to_str().unwrap().to_owned()
    }

    /// Signs a certificate for 127.0.0.1 that holds until this year begins, and writes it and its key to files.
    fn sign(&self, name: &str, until: i32) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(until, 1, 1));
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.file(&format!("{name}.pem")), signed.pem()).unwrap();
        fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// A server with this certificate, and its URL.
    fn serve(&self, name: &str, clients: &str) -> (RedisServer, String) {
        let [port] = free_ports();
        let (certificate, key) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        let server = RedisServer::start_with(&[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &self.path("ca.pem"),
            "--tls-auth-clients",
            clients,
        ]);
        (server, format!("rediss://127.0.0.1:{port}"))
    }
}

/// Answers come from memory, and the log says why.
fn goes_on_without_the_store(service: &Service, told: &str) {
    service.logs(told);
    assert!(!service.fib_cached(213) && service.fib_cached(200), "answered from memory");
    let log = service.log();
    assert!(log.contains("ERROR") && !log.contains(PASSWORD), "{log}");
}

#[test]
fn a_story_over_tls() {
    let authority = Authority::new();
    authority.sign("server", 3000);
    authority.sign("client", 3000);
    let (server, url) = authority.serve("server", "yes");
    let roots = authority.path("ca.pem");
    let (certificate, key) = (authority.path("client.pem"), authority.path("client.key"));
    let flags = ["--cache-tls-ca", &roots, "--cache-tls-cert", &certificate, "--cache-tls-key", &key];
    undisturbed(|| {
        server.run("FLUSHALL");
        let service = Service::start_with(&url, &flags);
        assert!(!service.fib_cached(213));
        service.stop();
        assert!(Service::start_with(&url, &flags).fib_cached(213));
    });
    assert_eq!(server.mark(), Some(213));
    let stranger = Service::start_with(&url, &flags[..2]).expecting_warnings();
    goes_on_without_the_store(&stranger, "the certificates don't fit; give its CA with --cache-tls-ca");
}

#[test]
fn a_certificate_of_somebody_else_is_not_trusted() {
    let (authority, another) = (Authority::new(), Authority::new());
    authority.sign("server", 3000);
    let (_server, url) = authority.serve("server", "no");
    let roots = another.path("ca.pem");
    let service = Service::start_with(&url, &["--cache-tls-ca", &roots]).expecting_warnings();
    goes_on_without_the_store(&service, "the certificates don't fit; give its CA with --cache-tls-ca");
    let service = Service::start(&url).expecting_warnings();
    goes_on_without_the_store(&service, "the certificates don't fit");
}

#[test]
fn a_certificate_of_the_past_is_not_trusted() {
    let authority = Authority::new();
    authority.sign("server", 2001);
    let (_server, url) = authority.serve("server", "no");
    let roots = authority.path("ca.pem");
    let service = Service::start_with(&url, &["--cache-tls-ca", &roots]).expecting_warnings();
    goes_on_without_the_store(&service, "xpired");
}

#[test]
fn a_password_comes_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (right, wrong) = (file("right", &format!("{PASSWORD}\n")), file("wrong", "another\n"));
    let server = RedisServer::start_with(&["--requirepass", "needless"]);
    server.run_as("needless", &["CONFIG", "SET", "requirepass", PASSWORD]);
    undisturbed(|| {
        let service = Service::start_with(&server.url(), &["--cache-password-file", &right]);
        service.fib_cached(213);
        service.stop();
        assert!(Service::start_with(&server.url(), &["--cache-password-file", &right]).fib_cached(213));
    });
    let stranger = Service::start_with(&server.url(), &["--cache-password-file", &wrong]).expecting_warnings();
    goes_on_without_the_store(&stranger, "it does not take this user and password");
    let missing = program().args(["--cache", "redis://a", "--cache-password-file", "nothing"]).output().unwrap();
    let told = String::from_utf8(missing.stderr).unwrap();
    assert!(told.contains("can't read nothing, the file of --cache-password-file"), "{told}");
}

#[test]
fn a_story_with_a_password_in_the_url() {
    let [port] = free_ports();
    let server = RedisServer::start_with(&["--port", &port.to_string()]);
    server.run("ACL SETUSER phipi on >p%40ss ~phipi:* +@all");
    undisturbed(|| {
        server.run("FLUSHALL");
        a_story(&format!("redis://phipi:p%2540ss@127.0.0.1:{port}/0"));
    });
}
