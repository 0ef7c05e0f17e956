//! Shared by the benchmarks of servers: the start of a program, and the requests of one client.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    iter,
    net::TcpStream,
    process::{Command, Stdio},
    time::Duration,
};

/// A program that was built into the folder of this one, with nothing of the environment that could change its ways.
pub fn program(name: &str) -> Command {
    let path = env::current_exe().expect("a program").with_file_name(name);
    let mut command = Command::new(path);
    command.env_clear().stdout(Stdio::piped());
    command
}

/// The address in the next line.
pub fn address(lines: &mut impl BufRead) -> String {
    let mut line = String::new();
    lines.read_line(&mut line).expect("text");
    line.trim_end().split_once("http://").unwrap_or_else(|| panic!("no address: {line:?}")).1.to_owned()
}

/// A keep-alive connection.
pub struct Connection(BufReader<TcpStream>);

#[derive(PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

impl Connection {
    pub fn to(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
        Self(BufReader::new(stream))
    }

    /// Sends a request, and reads an answer that has a Content-Length.
    pub fn send(&mut self, request: &str) -> Answer {
        self.0.get_mut().write_all(request.as_bytes()).expect("it reads");
        let mut line = || {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("a header");
            line.trim_end().to_ascii_lowercase()
        };
        let status = line().split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let headers: Vec<String> = iter::repeat_with(line).take_while(|line| !line.is_empty()).collect();
        let header = |name: &str| headers.iter().find_map(|line| line.strip_prefix(name)).expect(name).to_owned();
        let mut body = vec![0; header("content-length: ").parse().expect("a length")];
        self.0.read_exact(&mut body).expect("a body");
        let body = String::from_utf8(body).expect("text");
        Answer { status, content_type: header("content-type: "), body }
    }
}

pub fn post(body: &str) -> String {
    let length = body.len();
    format!(
        "POST /graphql HTTP/1.1\r\nHost: phipi\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// The figure in the middle.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}
