//! A limit of the size of files (`ulimit -f`) is a full disk: writes beyond it fail, and nothing else does.

use std::{
    fs,
    io::Read,
    process::{Command, Output},
    time::Instant,
};

use crate::{
    oracle::fibonacci,
    service::{Service, eventually, get, program},
};

/// The program as `script` runs it, whose `$0` it is, with the arguments that are added. The unit of `ulimit -f` is a KiB.
pub fn limited(script: &str) -> Command {
    let mut shell = Command::new("bash");
    shell.env_clear().args(["-c", script]).arg(program().get_program());
    shell
}

#[test]
fn a_value_that_a_file_does_not_take_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let print = |redirection: &str| -> Output {
        let mut printing = limited(&format!("ulimit -f 1; exec \"$0\" fib 100000 {redirection}"));
        printing.current_dir(folder.path()).output().unwrap()
    };
    let output = print("> digits");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("phipi: can't print: File too large") && told.lines().count() == 1, "{told}");
    assert_eq!(fs::read(folder.path().join("digits")).unwrap(), fibonacci(100_000).as_bytes()[..1024]);

    let output = print("> both 2>&1");
    assert_eq!(output.status.code(), Some(1), "though the error can't be told either: {output:?}");
}

#[test]
fn a_log_that_a_file_does_not_take_holds_up_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut limited = limited("ulimit -f 16; exec \"$0\" \"$@\" 2> \"$LOG\"");
    limited.env("LOG", &log).args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--cache", "memory:"]);
    let service = Service::spawn(limited);
    eventually("the file is full", || {
        assert_eq!(get(&service.url("/fib/10")).0, 200);
        fs::metadata(&log).unwrap().len() == 16 * 1024
    });
    for n in 100..200 {
        assert_eq!(service.fib(n), (fibonacci(n), false));
    }
    let (before, since) = (service.cpu_time(), Instant::now());
    // A connection on which no request comes is closed after ten seconds.
    let mut silent = service.connect();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    let (spent, passed) = (service.cpu_time().saturating_sub(before), since.elapsed());
    assert!(spent < passed / 20, "{spent:?} of {passed:?} were spent on a log that is full");
    service.stop();
}
