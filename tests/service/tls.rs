//! Redis behind TLS, and the log when the certificates or the password don't fit.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

use crate::{
    cached::a_story,
    redis_cluster::free_ports,
    redis_server::RedisServer,
    service::{Service, eventually, program, undisturbed},
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
        // Not the name of those that it signs: they would seem to sign themselves.
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

    /// Makes a certificate that is its own authority, as `openssl req -x509` does, for hosts of these names and until this
    /// year begins.
    fn of_its_own(names: &[&str], until: i32) -> Self {
        let mut params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(until, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for name in ["ca.pem", "server.pem"] {
            fs::write(folder.path().join(name), certificate.pem()).unwrap();
        }
        fs::write(folder.path().join("server.key"), key.serialize_pem()).unwrap();
        Self { issuer: Issuer::new(params, key), certificate, folder }
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
        let server = RedisServer::start_with(&texts(&self.settings(name, clients, port)));
        (server, format!("rediss://127.0.0.1:{port}"))
    }

    /// The settings of a server with this certificate.
    fn settings(&self, name: &str, clients: &str, port: u16) -> Vec<String> {
        let (certificate, key) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        let settings = format!(
            "--tls-port {port} --tls-cert-file {certificate} --tls-key-file {key} --tls-ca-cert-file {} \
             --tls-auth-clients {clients}",
            self.path("ca.pem")
        );
        settings.split(' ').map(str::to_owned).collect()
    }
}

fn texts(settings: &[String]) -> Vec<&str> {
    settings.iter().map(String::as_str).collect()
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
    goes_on_without_the_store(
        &stranger,
        "it wants a certificate of this client that it trusts; give one with --cache-tls-cert",
    );
}

#[test]
fn a_certificate_of_somebody_else_is_not_trusted() {
    let (authority, another) = (Authority::new(), Authority::new());
    authority.sign("server", 3000);
    let (_server, url) = authority.serve("server", "no");
    let roots = another.path("ca.pem");
    let service = Service::start_with(&url, &["--cache-tls-ca", &roots]).expecting_warnings();
    goes_on_without_the_store(&service, "its certificate is not trusted; give the certificate of its CA");
    let service = Service::start(&url).expecting_warnings();
    goes_on_without_the_store(&service, "its certificate is not trusted");
}

#[test]
fn a_certificate_of_the_past_is_not_trusted() {
    let authority = Authority::new();
    authority.sign("server", 2001);
    let (_server, url) = authority.serve("server", "no");
    let roots = authority.path("ca.pem");
    let service = Service::start_with(&url, &["--cache-tls-ca", &roots]).expecting_warnings();
    goes_on_without_the_store(&service, "its certificate has expired");
}

#[test]
fn a_certificate_that_is_its_own_authority_is_trusted_when_it_is_given() {
    for names in [&["127.0.0.1"][..], &[]] {
        let authority = Authority::of_its_own(names, 3000);
        let (server, url) = authority.serve("server", "no");
        let roots = authority.path("ca.pem");
        undisturbed(|| {
            server.run("FLUSHALL");
            let service = Service::start_with(&url, &["--cache-tls-ca", &roots]);
            assert!(!service.fib_cached(213));
            service.stop();
            assert!(Service::start_with(&url, &["--cache-tls-ca", &roots]).fib_cached(213), "{names:?}");
        });
        let stranger = Authority::of_its_own(names, 3000);
        let service = Service::start_with(&url, &["--cache-tls-ca", &stranger.path("ca.pem")]).expecting_warnings();
        goes_on_without_the_store(&service, "its certificate is not trusted");
    }
}

#[test]
fn a_certificate_that_is_its_own_authority_has_to_be_of_this_host_and_of_today() {
    let rows = [
        (&["other.example"][..], 3000, "is for other.example and not for 127.0.0.1"),
        (&["127.0.0.1"], 2001, "has expired"),
        (&[], 2001, "has expired"),
    ];
    for (names, until, words) in rows {
        let authority = Authority::of_its_own(names, until);
        let (_server, url) = authority.serve("server", "no");
        let service = Service::start_with(&url, &["--cache-tls-ca", &authority.path("ca.pem")]).expecting_warnings();
        goes_on_without_the_store(&service, words);
    }
}

#[test]
fn a_cluster_and_a_watched_server_are_trusted_by_the_same() {
    let authority = Authority::of_its_own(&[], 3000);
    let roots = authority.path("ca.pem");
    let is_shared = |url: &str| {
        undisturbed(|| {
            let service = Service::start_with(url, &["--cache-tls-ca", &roots]).expecting_warnings();
            service.fib(213);
            service.stop();
            assert!(Service::start_with(url, &["--cache-tls-ca", &roots]).fib_cached(213), "{url}");
        });
    };
    let [port, bus, watched, sentinel_port] = free_ports();
    let mut settings = authority.settings("server", "no", port);
    let cluster =
        format!("--cluster-enabled yes --cluster-port {bus} --cluster-announce-ip 127.0.0.1 --tls-cluster yes");
    settings.extend(cluster.split(' ').map(str::to_owned));
    let node = RedisServer::start_with(&texts(&settings));
    node.run("CLUSTER ADDSLOTSRANGE 0 16383");
    eventually("the cluster is whole", || shown(&mut node.connection()).contains("cluster_state:ok"));
    is_shared(&format!("rediss-cluster://127.0.0.1:{port}"));

    let _server = RedisServer::start_with(&texts(&authority.settings("server", "no", watched)));
    let file = authority.file("sentinel.conf");
    let lines: String = texts(&authority.settings("server", "no", sentinel_port))
        .chunks(2)
        .map(|pair| format!("{} {}\n", &pair[0][2..], pair[1]))
        .collect();
    let [plain] = free_ports();
    let monitor =
        format!("bind 127.0.0.1\nport {plain}\ntls-replication yes\nsentinel monitor main 127.0.0.1 {watched} 1\n");
    fs::write(&file, lines + &monitor).unwrap();
    let _sentinel = RedisServer::sentinel(&file, plain);
    is_shared(&format!("valkeys-sentinel://127.0.0.1:{sentinel_port}/main"));
}

/// The answer to `CLUSTER INFO`.
fn shown(operator: &mut redis::Connection) -> String {
    redis::cmd("CLUSTER").arg("INFO").query(operator).unwrap()
}

#[test]
fn a_file_that_does_not_hold_what_it_should_is_refused_at_the_start() {
    let authority = Authority::new();
    authority.sign("client", 3000);
    authority.sign("other", 3000);
    let empty = authority.path("empty");
    fs::write(&empty, "\n").unwrap();
    let (damaged, encrypted, cut) = (authority.path("damaged"), authority.path("encrypted"), authority.path("cut"));
    fs::write(&damaged, "-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n").unwrap();
    let pkcs8 = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    fs::write(&encrypted, pkcs8).unwrap();
    fs::write(&cut, &fs::read(authority.path("client.key")).unwrap()[..100]).unwrap();
    fs::write(authority.path("lines"), "one\ntwo\n").unwrap();
    fs::write(authority.path("latin"), b"\xe9\n").unwrap();
    let (roots, certificate, key, other) = (
        authority.path("ca.pem"),
        authority.path("client.pem"),
        authority.path("client.key"),
        authority.path("other.key"),
    );
    let no_certificate = |flag: &str| format!("the file of {flag} holds no certificate");
    let pair = |certificate: &str, key: &str| {
        ["--cache-tls-cert", certificate, "--cache-tls-key", key].map(str::to_owned).to_vec()
    };
    let rows = [
        (vec!["--cache-tls-ca".into(), empty.clone()], no_certificate("--cache-tls-ca (PHIPI_CACHE_TLS_CA)")),
        (vec!["--cache-tls-ca".into(), key.clone()], no_certificate("--cache-tls-ca (PHIPI_CACHE_TLS_CA)")),
        (vec!["--cache-tls-ca".into(), damaged.clone()], "(PHIPI_CACHE_TLS_CA) is damaged".into()),
        (pair(&empty, &key), no_certificate("--cache-tls-cert (PHIPI_CACHE_TLS_CERT)")),
        (pair(&damaged, &key), "--cache-tls-cert (PHIPI_CACHE_TLS_CERT) is damaged".into()),
        (pair(&certificate, &empty), "the file of --cache-tls-key (PHIPI_CACHE_TLS_KEY) holds no key".into()),
        (pair(&certificate, &certificate), "the file of --cache-tls-key (PHIPI_CACHE_TLS_KEY) holds no key".into()),
        (pair(&certificate, &encrypted), "the key of --cache-tls-key (PHIPI_CACHE_TLS_KEY) is encrypted".into()),
        (pair(&certificate, &cut), "the key of --cache-tls-key (PHIPI_CACHE_TLS_KEY) is damaged".into()),
        (pair(&certificate, &other), "does not fit the certificate of --cache-tls-cert".into()),
        (vec!["--cache-password-file".into(), empty.clone()], "(PHIPI_CACHE_PASSWORD_FILE) is empty".into()),
        (vec!["--cache-password-file".into(), authority.path("lines")], "it has to be one line of UTF-8".into()),
        (vec!["--cache-password-file".into(), authority.path("latin")], "it has to be one line of UTF-8".into()),
    ];
    for (flags, words) in rows {
        for scheme in ["rediss", "rediss-cluster"] {
            let mut arguments = flags.clone();
            if !flags.contains(&"--cache-tls-ca".to_owned()) {
                arguments.extend(["--cache-tls-ca".to_owned(), roots.clone()]);
            }
            let output =
                program().args(["--cache", &format!("{scheme}://127.0.0.1:1")]).args(&arguments).output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{flags:?}: {told}");
            assert!(told.contains(&words) && told.lines().count() == 1, "{flags:?}: {told}");
        }
    }
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
    goes_on_without_the_store(&stranger, "it rejects this user and password");
    let missing = program().args(["--cache", "redis://a", "--cache-password-file", "nothing"]).output().unwrap();
    let told = String::from_utf8(missing.stderr).unwrap();
    assert!(told.contains("can't read the file of --cache-password-file") && !told.contains("nothing"), "{told}");
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
