//! The node as a process, and a client that sends just what it is told.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use storehouse::blobstore::{Digest, HashFunction};
use tempfile::TempDir;

/// The example, which Cargo builds along with the tests.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/node");
    assert!(
        program.exists(),
        "{} is not there: build it with `cargo build --example node`",
        program.display()
    );
    program
}

/// A node that runs until it is dropped.
pub(crate) struct Node {
    child: Child,
    pub(crate) address: SocketAddr,
    /// What it wrote to standard output after its first line.
    pub(crate) greeting: String,
    log: Arc<Mutex<String>>,
    dir: Arc<TempDir>,
}

impl Node {
    /// A node over a directory of its own.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_in(
            Arc::new(tempfile::tempdir().unwrap()),
            Command::new(program()),
            options,
        )
    }

    /// One over the directory of another, which has ended.
    pub(crate) fn again(dir: Arc<TempDir>, options: &[&str]) -> Self {
        Self::start_in(dir, Command::new(program()), options)
    }

    /// One that, once it has started, can write no file longer than `kib` KiB.
    pub(crate) fn start_with_small_files(kib: u64, options: &[&str]) -> Self {
        let mut shell = Command::new("sh");
        // Ignoring the signal turns it into an error of the write.
        shell
            .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
            .arg(program());
        let node = Self::start_in(Arc::new(tempfile::tempdir().unwrap()), shell, options);
        let pid = rustix::process::Pid::from_child(&node.child);
        let limit = rustix::process::Rlimit {
            current: Some(kib * 1024),
            maximum: Some(kib * 1024),
        };
        rustix::process::prlimit(Some(pid), rustix::process::Resource::Fsize, limit).unwrap();
        node
    }

    /// One that can have `files` files open.
    pub(crate) fn start_with_few_files(files: u32, options: &[&str]) -> Self {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("ulimit -n {files}; exec \"$@\""), "sh"])
            .arg(program());
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), shell, options)
    }

    fn start_in(dir: Arc<TempDir>, mut command: Command, options: &[&str]) -> Self {
        command
            .arg("--data-dir")
            .arg(dir.path().join("data"))
            .args(["--listen", "127.0.0.1:0"])
            .args(options);
        for (name, _) in std::env::vars_os()
            .filter(|(name, _)| name.to_string_lossy().starts_with("STOREHOUSE_REPO_"))
        {
            command.env_remove(name);
        }
        let mut child = command
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, kept) = (
            BufReader::new(child.stderr.take().unwrap()),
            Arc::clone(&log),
        );
        std::thread::spawn(move || {
            lines
                .lines()
                .map_while(Result::ok)
                .for_each(|line| kept.lock().unwrap().push_str(&(line + "\n")))
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines
            .next()
            .map(Result::unwrap)
            .unwrap_or_else(|| panic!("the node did not start: {}", log.lock().unwrap()));
        let address = first
            .strip_prefix("listening on http://")
            .unwrap()
            .parse()
            .unwrap();
        let greeting = lines
            .by_ref()
            .take(2)
            .map(Result::unwrap)
            .collect::<Vec<_>>()
            .join("\n");
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            address,
            greeting,
            log,
            dir,
        }
    }

    pub(crate) fn dir(&self) -> Arc<TempDir> {
        Arc::clone(&self.dir)
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it has logged this.
    pub(crate) fn wait_for_log(&self, text: &str) {
        while !self.log().contains(text) {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// A connection from this address of the loopback network.
    pub(crate) fn connect_from(&self, ip: [u8; 4]) -> TcpStream {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind((ip, 0).into()).unwrap();
            let stream = socket.connect(self.address).await.unwrap();
            stream.into_std().unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        stream
    }

    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    /// Sends `head` (without its empty line) and `body` on a connection of their own.
    pub(crate) fn send(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        send(&mut stream, head, body);
        Answer::read(&mut stream, head.starts_with("HEAD "))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1"), b"")
    }

    pub(crate) fn put(&self, path: &str, body: &[u8]) -> Answer {
        self.send(
            &format!("PUT {path} HTTP/1.1\r\nContent-Length: {}", body.len()),
            body,
        )
    }

    /// Stores a blob.
    pub(crate) fn store(&self, bytes: &[u8]) -> Digest {
        let digest = sha(bytes);
        assert_eq!(self.put(&format!("/blobs/{digest}"), bytes).status, 201);
        digest
    }

    /// The digests that it lists.
    pub(crate) fn listed(&self) -> Vec<String> {
        let lines = self.get("/blobs").text();
        lines
            .lines()
            .map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["digest"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    }

    /// That it holds no blob, and no part of one.
    pub(crate) fn assert_empty(&self) {
        assert_eq!(self.listed(), Vec::<String>::new());
        self.assert_no_leftovers();
    }

    /// Waits until there is a temporary file, or none.
    pub(crate) fn wait_for_temporary(&self, some: bool) {
        let temp = self.data_dir().join("pdp/datastore/.temp");
        while fs::read_dir(&temp).unwrap().next().is_some() != some {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    pub(crate) fn assert_no_leftovers(&self) {
        let temp = fs::read_dir(self.data_dir().join("pdp/datastore/.temp")).unwrap();
        assert_eq!(
            temp.map(|entry| entry.unwrap().file_name())
                .collect::<Vec<_>>(),
            Vec::<std::ffi::OsString>::new()
        );
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)
            .unwrap();
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Has it stop, and waits for that.
    pub(crate) fn stop(mut self) -> Arc<TempDir> {
        self.signal(rustix::process::Signal::TERM);
        assert!(self.wait().success(), "{}", self.log());
        self.dir()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let panicked = self.log().contains("panicked");
        assert!(std::thread::panicking() || !panicked, "{}", self.log());
    }
}

/// Sends a request. The node may have closed the connection before all of the body is gone: its
/// answer counts.
pub(crate) fn send(stream: &mut TcpStream, head: &str, body: &[u8]) {
    let host = stream.peer_addr().unwrap();
    let host = if head.contains("\r\nHost:") {
        String::new()
    } else {
        format!("Host: {host}\r\n")
    };
    stream
        .write_all(format!("{head}\r\n{host}\r\n").as_bytes())
        .unwrap();
    let _ = stream.write_all(body);
}

/// An answer, with all of its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body came to its end.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn read(stream: &mut TcpStream, head_only: bool) -> Self {
        Self::read_from(&mut BufReader::new(stream), head_only)
    }

    /// One of several answers that may lie in the reader's buffer.
    pub(crate) fn read_from(reader: &mut impl BufRead, head_only: bool) -> Self {
        let answer = Self::read_head(reader);
        if head_only || matches!(answer.status, 100..200 | 204 | 304) {
            answer
        } else {
            answer.read_body(reader)
        }
    }

    pub(crate) fn read_head(reader: &mut impl BufRead) -> Self {
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        let status = line();
        let status = status
            .split(' ')
            .nth(1)
            .unwrap_or_else(|| panic!("no status: {status:?}"))
            .parse()
            .unwrap();
        let mut headers = Vec::new();
        while let Some((name, value)) = line().split_once(": ") {
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        Self {
            status,
            headers,
            body: Vec::new(),
            whole: true,
        }
    }

    fn read_body(mut self, reader: &mut impl BufRead) -> Self {
        if let Some(length) = self
            .header("content-length")
            .map(|length| length.parse::<u64>().unwrap())
        {
            reader.take(length).read_to_end(&mut self.body).unwrap();
            self.whole = self.body.len() as u64 == length;
            return self;
        }
        assert_eq!(self.header("transfer-encoding"), Some("chunked"));
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let Ok(length) = u64::from_str_radix(line.trim_end(), 16) else {
                self.whole = false;
                return self;
            };
            reader.take(length).read_to_end(&mut self.body).unwrap();
            reader.read_line(&mut line).unwrap();
            if length == 0 {
                return self;
            }
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Status and code of an error.
    pub(crate) fn error(&self) -> (u16, String) {
        assert_eq!(
            self.header("content-type"),
            Some("application/json"),
            "{self:?}"
        );
        let json = self.json();
        assert!(
            json["error"]["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty()),
            "{json}"
        );
        (
            self.status,
            json["error"]["code"].as_str().unwrap().to_owned(),
        )
    }
}

/// That the answer is this error.
#[track_caller]
pub(crate) fn assert_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.error(), (status, code.to_owned()));
}

pub(crate) fn sha(bytes: &[u8]) -> Digest {
    Digest::of(HashFunction::Sha2_256, bytes)
}

/// Bytes that are like no others.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Ends the sending side of a connection.
pub(crate) fn finish(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).unwrap();
}
