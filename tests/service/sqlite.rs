//! The SQLite file: refusals, inspection that changes nothing, repair while processes use it, and the files after a
//! clean end.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use rustix::process::{Signal, geteuid};
use tempfile::TempDir;

use crate::service::{Service, client, eventually, get, program, undisturbed};

/// A folder of its own, and where the file will be.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.sqlite");
    (folder, path)
}

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    format!("{}{suffix}", path.display()).into()
}

fn run(arguments: &[&str], path: &Path) -> Output {
    program().args(arguments).args(["--cache", &url(path)]).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

/// Every file of a folder, with its content and the time of its last change.
fn listing(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, i64, i64)> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let state = |path: &Path| {
        let metadata = path.metadata().unwrap();
        (fs::read(path).unwrap_or_default(), metadata.mtime(), metadata.mtime_nsec())
    };
    files.map(|path| (path.clone(), state(&path))).collect()
}

fn halve(path: &Path) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

fn warmed(path: &Path) {
    let output = run(&["warm", "--fib", "1000"], path);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn foreign(path: &Path) {
    Connection::open(path).unwrap().execute_batch("CREATE TABLE theirs (n); INSERT INTO theirs VALUES (7)").unwrap();
}

/// A way in which a file is no cache, and the message to an operator.
type Unfit = (fn(&Path), &'static str);

const UNFIT: [Unfit; 3] = [
    (|path| fs::write(path, "garbage".repeat(1_000)).unwrap(), "is not an SQLite database"),
    (foreign, "belongs to another program"),
    (
        |path| {
            warmed(path);
            halve(path);
        },
        "is damaged",
    ),
];

#[test]
fn an_inspection_of_what_is_no_cache_says_so_and_changes_nothing() {
    let absent: Unfit = (|_| {}, "there is no file");
    let empty: Unfit = (|path| fs::write(path, "").unwrap(), "is empty");
    for (make, told) in UNFIT.into_iter().chain([absent, empty]) {
        let (folder, path) = place();
        make(&path);
        let before = listing(folder.path());
        for flags in [&["check"][..], &["check", "--repair"]] {
            let output = run(flags, &path);
            let error = text(&output.stderr);
            assert!(!output.status.success() && output.stdout.is_empty(), "{told}: {}", text(&output.stdout));
            assert!(error.contains(told) && error.contains(path.to_str().unwrap()), "{told}: {error}");
            assert!(listing(folder.path()) == before, "{told}: {flags:?} changes the folder");
        }
    }
    let (folder, _) = place();
    let output = run(&["check"], &folder.path().join("mistyped/cache.sqlite"));
    assert!(text(&output.stderr).contains("there is no file"), "{}", text(&output.stderr));
    assert!(listing(folder.path()).is_empty(), "no folder is made");
}

/// The report of `check` on a sound file.
fn is_sound(path: &Path, entries: usize) {
    let output = run(&["check"], path);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = text(&output.stdout);
    assert!(report.contains(&format!("{entries} entries: {entries} proven, 0 bad, 0 unknown")), "{report}");
}

#[test]
fn an_inspection_changes_nothing_beside_a_process_after_its_death_and_after_its_end() {
    undisturbed(|| {
        let (folder, path) = place();
        let sound = |state: &str, entries: usize| {
            let before = listing(folder.path());
            is_sound(&path, entries);
            assert!(listing(folder.path()) == before, "{state}: the folder has changed");
        };
        let mut service = Service::start(&url(&path));
        service.fib(1_000);
        assert!(fs::metadata(beside(&path, "-wal")).unwrap().len() > 0, "the entries are in the log alone");
        sound("beside a process", 8);
        service.signal(Signal::KILL);
        service.exit();
        sound("after its death", 8);
        fs::remove_file(beside(&path, "-shm")).unwrap();
        sound("with a log and no index", 8);
        let service = Service::start(&url(&path));
        assert!(service.fib_cached(1_000));
        service.stop();
        assert_eq!(listing(folder.path()).len(), 1);
        sound("after its end", 8);
        // A name that would mean something else in a URI.
        let odd = folder.path().join("a?mode=rwc&b#c%41 ü.sqlite");
        fs::copy(&path, &odd).unwrap();
        is_sound(&odd, 8);
    });
}

#[test]
fn a_start_refuses_a_named_file_that_is_no_cache_and_leaves_it() {
    for (make, told) in &UNFIT[..2] {
        let (folder, path) = place();
        make(&path);
        let before = listing(folder.path());
        let listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        for arguments in [&listen[..], &["warm", "--fib", "10"]] {
            let output = run(arguments, &path);
            let error = text(&output.stderr);
            assert!(!output.status.success() && output.stdout.is_empty(), "{told}");
            assert!(error.contains(told) && error.contains(path.to_str().unwrap()), "{told}: {error}");
            assert!(error.contains("--cache sqlite:PATH"), "{error}");
            assert!(listing(folder.path()) == before, "{told}");
        }
    }
}

#[test]
fn a_mistyped_path_is_refused_or_told_and_makes_no_folder() {
    let (folder, path) = place();
    let listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let file = folder.path().join("file");
    fs::write(&file, "theirs").unwrap();
    let before = listing(folder.path());
    let rows = [
        (folder.path().join("mistyped/cache.sqlite"), "there is no folder"),
        (file.join("cache.sqlite"), "there is no folder"),
        (folder.path().to_owned(), "is not a file"),
    ];
    for (path, told) in rows {
        for arguments in [&listen[..], &["warm", "--fib", "10"]] {
            let output = run(arguments, &path);
            let error = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{error}");
            assert!(
                error.contains(told) && error.contains("--cache sqlite:PATH") && output.stdout.is_empty(),
                "{error}"
            );
            assert!(listing(folder.path()) == before, "{told}: nothing is made");
        }
    }
    let new = format!("cache: the file {} was created", path.display());
    let first = Service::start(&url(&path));
    first.logs(&new);
    first.stop();
    let again = Service::start(&url(&path));
    assert!(!again.pi_cached(7) && !again.log().contains(&new), "{}", again.log());
}

#[test]
fn at_the_default_path_garbage_is_moved_aside_and_another_programs_file_is_refused() {
    let (folder, _) = place();
    let path = folder.path().join("phipi/cache.sqlite");
    fs::create_dir(path.parent().unwrap()).unwrap();
    let started = || {
        let mut command = program();
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        command.env("XDG_CACHE_HOME", folder.path());
        command
    };
    foreign(&path);
    let output = started().output().unwrap();
    let error = text(&output.stderr);
    assert!(!output.status.success() && error.contains("belongs to another program"), "{error}");
    fs::write(&path, "garbage").unwrap();
    let service = Service::spawn(started()).expecting_warnings();
    service.logs("takes its place");
    assert_eq!(fs::read_to_string(beside(&path, ".aside-1")).unwrap(), "garbage");
    eventually("the new file is used", || {
        service.fib(300);
        Service::spawn(started()).fib_cached(300)
    });
}

#[test]
fn a_named_file_that_becomes_garbage_is_told_and_left_until_it_is_removed() {
    let (_folder, path) = place();
    let service = Service::start(&url(&path)).expecting_warnings();
    service.fib(300);
    for companion in ["-wal", "-shm", ""] {
        fs::remove_file(beside(&path, companion)).unwrap();
    }
    fs::write(&path, "garbage".repeat(1_000)).unwrap();
    let mut n = 1_000;
    eventually("it is told", || {
        n += 1;
        service.fib(n);
        service.log().contains("is not an SQLite database")
    });
    assert!(service.fib_cached(n), "the process remembers it by itself");
    assert_eq!(fs::read_to_string(&path).unwrap(), "garbage".repeat(1_000));
    assert!(!beside(&path, ".aside-1").exists());
    fs::remove_file(&path).unwrap();
    service.logs("the store is read again");
    eventually("what was answered meanwhile is stored", || service.metric("phipi_cache_write_queue_bytes") == 0);
    eventually("it is used again", || {
        n += 1;
        service.fib(n);
        Service::start(&url(&path)).fib_cached(n)
    });
}

/// Deletes some files beside the cache while two processes write new values, and checks that all that was answered from
/// then on outlives both.
fn goes_on_without(lost: &[&str]) {
    let (folder, path) = place();
    let services = [(); 2].map(|()| Service::start(&url(&path)).expecting_warnings());
    for (number, service) in services.iter().enumerate() {
        service.fib(100_001 + u32::try_from(number).unwrap());
    }
    let ask = |service: &Service, range: std::ops::Range<u32>| {
        for terms in range {
            service.pi_cached(terms);
        }
    };
    thread::scope(|scope| {
        for (service, first) in services.iter().zip([1_000, 2_000]) {
            scope.spawn(move || ask(service, first..first + 200));
        }
        for companion in lost {
            fs::remove_file(beside(&path, companion)).unwrap();
        }
    });
    for (service, first) in services.iter().zip([3_000, 4_000]) {
        ask(service, first..first + 25);
        assert!(!service.pi_cached(first + 25));
    }
    for service in services {
        eventually("the store is well", || {
            let (status, readiness) = get(&service.admin_url("/readyz"));
            status == 200 && readiness.contains(r#""reads":"ok""#) && readiness.contains(r#""writes":"ok""#)
        });
        eventually("nothing waits", || service.metric("phipi_cache_write_queue_bytes") == 0);
        service.stop();
    }
    assert_eq!(listing(folder.path()).len(), 1, "{lost:?}");
    let asked = (3_000..3_026).chain(4_000..4_026).map(|terms| format!("pi:{terms}"));
    // The values that were answered before are there too.
    let asked = asked.chain([100_001, 100_002].map(|n| format!("fib:n:{n}")));
    let lost_values: Vec<String> = asked.filter(|key| !holds(&path, key)).collect();
    assert_eq!(lost_values, Vec::<String>::new(), "without {lost:?}");
    is_whole(&path);
}

/// Whether the file has an entry. A process on a busy machine may be late to read it, and tell nothing.
fn holds(path: &Path, key: &str) -> bool {
    let count = "SELECT count(*) FROM (SELECT name FROM entry UNION SELECT name FROM cheap) WHERE name = ?1";
    let file = Connection::open(path).unwrap();
    file.query_row(count, [format!("phipi:1:{key}")], |row| row.get::<_, u32>(0)).unwrap() == 1
}

fn is_whole(path: &Path) {
    let finding: String =
        Connection::open(path).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(finding, "ok");
}

#[test]
fn a_log_that_is_deleted_while_two_processes_write_takes_nothing_with_it() {
    goes_on_without(&["-wal"]);
}

#[test]
fn an_index_that_is_deleted_while_two_processes_write_takes_nothing_with_it() {
    goes_on_without(&["-shm"]);
}

#[test]
fn a_log_and_its_index_that_are_deleted_while_two_processes_write_take_nothing_with_them() {
    goes_on_without(&["-wal", "-shm"]);
}

#[test]
fn a_process_that_starts_after_the_log_was_deleted_waits_until_the_others_have_saved_it() {
    let (_folder, path) = place();
    let idle = Service::start(&url(&path)).expecting_warnings();
    idle.fib(100_001);
    eventually("it is stored", || idle.metric("phipi_cache_write_queue_bytes") == 0);
    fs::remove_file(beside(&path, "-wal")).unwrap();
    let late = Service::start(&url(&path)).expecting_warnings();
    late.fib(100_002);
    // Nobody asks it anything.
    idle.logs("the entries of the old log are in the file");
    eventually("what is new is stored", || late.metric("phipi_cache_write_queue_bytes") == 0);
    for service in [late, idle] {
        service.stop();
    }
    let lost: Vec<u32> = [100_001, 100_002].into_iter().filter(|n| !holds(&path, &format!("fib:n:{n}"))).collect();
    assert_eq!(lost, Vec::<u32>::new());
    is_whole(&path);
}

#[test]
fn a_copy_of_the_one_file_holds_everything_after_a_clean_end() {
    undisturbed(|| {
        let (folder, path) = place();
        let is_alone = |when: &str| assert_eq!(listing(folder.path()).len(), 1, "{when}");
        let copied = |n: u32| {
            let (_elsewhere, copy) = place();
            fs::copy(&path, &copy).unwrap();
            assert!(Service::start(&url(&copy)).fib_cached(n), "F({n}) is in the file");
        };
        warmed(&path);
        is_alone("after warm");
        copied(1_000);
        let service = Service::start(&url(&path));
        service.fib(2_000);
        service.stop();
        is_alone("after a drain");
        copied(2_000);
        assert!(run(&["check", "--repair"], &path).status.success());
        is_alone("after a repair");

        let service = Service::start(&url(&path));
        service.fib(3_000);
        assert!(run(&["warm", "--fib", "4000"], &path).status.success());
        copied(4_000);
        copied(3_000);
        service.stop();
        is_alone("after the last of two");
    });
}

/// The program as a user whom permissions bind: not as root.
fn bound_by_permissions(path: &Path, arguments: &[&str]) -> Command {
    let program = program();
    let mut command = if geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program.get_program());
        command
    } else {
        Command::new(program.get_program())
    };
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command.args(arguments).args(["--cache", &url(path)]);
    command
}

const SERVE: [&str; 4] = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];

#[test]
fn a_file_that_this_user_may_not_make_is_not_warmed() {
    let (folder, path) = place();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
    let words = "give this user the right to read and write the file and its folder";
    let begun = Instant::now();
    let output = bound_by_permissions(&path, &["warm", "--fib", "10"]).output().unwrap();
    let last = text(&output.stderr).lines().last().unwrap().to_owned();
    assert!(!output.status.success() && last.starts_with("phipi: ") && last.contains(words), "{last}");
    assert!(begun.elapsed() < Duration::from_secs(20), "it does not wait for what can't be: {:?}", begun.elapsed());
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_file_or_folder_that_was_read_only_at_the_start_is_written_once_it_may_be() {
    undisturbed(|| {
        for (locked, unlocked) in [("cache.sqlite", 0o644), ("", 0o755)] {
            let (folder, path) = place();
            warmed(&path);
            let own = |path: &Path| {
                if geteuid().is_root() {
                    std::os::unix::fs::chown(path, Some(65_534), Some(65_534)).unwrap();
                }
            };
            own(folder.path());
            own(&path);
            let target = folder.path().join(locked);
            fs::set_permissions(&target, Permissions::from_mode(unlocked & !0o222)).unwrap();
            let service = Service::spawn(bound_by_permissions(&path, &SERVE)).expecting_warnings();
            service.fib(2_000);
            let mut terms = 0;
            eventually("it is told", || {
                terms += 1;
                service.pi_cached(terms);
                service.log().contains("the store can't be ")
            });
            let log = service.log();
            assert!(log.contains("ERROR") && log.contains("right to"), "only an operator can mend it: {log}");
            fs::set_permissions(&target, Permissions::from_mode(unlocked)).unwrap();
            eventually("nothing waits", || service.metric("phipi_cache_write_queue_bytes") == 0);
            service.stop();
            assert!(Service::start(&url(&path)).fib_cached(2_000), "{locked:?} is written");
        }
    });
}

#[test]
fn what_is_asked_for_all_the_time_is_noted_as_used() {
    let (_folder, path) = place();
    let service = Service::start(&url(&path));
    service.fib(150_000);
    let client = client();
    let is_noted = || {
        let file = Connection::open(&path).unwrap();
        let used =
            "SELECT count(*) FROM used JOIN entry ON entry.rowid = used.entry WHERE name = 'phipi:1:fib:n:150000'";
        file.query_row(used, [], |row| row.get::<_, u32>(0)).unwrap() == 1
    };
    assert!(!is_noted());
    let mut terms = 0;
    eventually("its use is stored with what is new", || {
        terms += 1;
        let document = format!("{{ fib(n: 150000) {{ cached }} pi(terms: {terms}) {{ cached }} }}");
        service.post_by(&client, &serde_json::json!({ "query": document })).unwrap();
        is_noted()
    });
}
