//! `wrk`: what asks, and how fast it was answered.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Target;

/// How many different ranges are asked for, in turn.
const RANGES: usize = 64;

/// Ends the benchmark, saying why, if there is no `wrk`.
pub(super) fn find() {
    assert!(
        Command::new("wrk").arg("-v").output().is_ok(),
        "this benchmark needs `wrk` in the PATH (Debian: the package wrk)"
    );
}

/// Requests for ranges of one length, scattered over the blob.
pub(super) struct Script {
    path: PathBuf,
    offsets: Vec<usize>,
    len: usize,
}

impl Script {
    pub(super) fn ranges(dir: &Path, size: usize, len: usize) -> Self {
        let mut state = 1u64;
        let offsets: Vec<usize> = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % (size / len) * len
        })
        .take(RANGES)
        .collect();
        // The requests are made once: what is measured is the servers.
        let mut script = "local requests, next = {}, 0\nfunction init(args)\n".to_owned();
        for offset in &offsets {
            let last = offset + len - 1;
            let _ = writeln!(
                script,
                "  requests[#requests + 1] = wrk.format(nil, nil, {{ [\"Range\"] = \"bytes={offset}-{last}\" }})"
            );
        }
        script.push_str("end\nfunction request()\n  next = next % #requests + 1\n  return requests[next]\nend\n");
        let path = dir.join(format!("ranges-{len}.lua"));
        fs::write(&path, script).expect("a script");
        Self { path, offsets, len }
    }

    /// Each range once: they are to be right before it matters how fast they are.
    pub(super) fn check(&self, target: &Target, content: bool) {
        for offset in &self.offsets {
            let stream = TcpStream::connect(target.address).expect("a connection");
            let (path, last) = (&target.path, offset + self.len - 1);
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nRange: bytes={offset}-{last}\r\n\r\n"
            );
            (&stream).write_all(request.as_bytes()).expect("a request");
            let mut answer = Vec::new();
            BufReader::new(&stream)
                .read_to_end(&mut answer)
                .expect("an answer");
            let head = answer
                .windows(4)
                .position(|end| end == b"\r\n\r\n")
                .expect("its head")
                + 4;
            assert!(
                answer.starts_with(b"HTTP/1.1 206 "),
                "{}",
                String::from_utf8_lossy(&answer[..head])
            );
            assert_eq!(answer.len() - head, self.len);
            assert!(
                !content || answer[head..head + 8] == (*offset as u64 / 8).to_le_bytes(),
                "other bytes"
            );
        }
    }

    /// Requests answered a second.
    pub(super) fn run(&self, target: &Target, connections: u32, seconds: u32) -> f64 {
        let mut wrk = Command::new("wrk");
        wrk.args([
            "-t1",
            &format!("-c{connections}"),
            &format!("-d{seconds}s"),
            "-s",
        ])
        .arg(&self.path);
        let output = wrk
            .arg(format!("http://{}{}", target.address, target.path))
            .output()
            .expect("wrk");
        let text = String::from_utf8_lossy(&output.stdout);
        let clean =
            output.status.success() && !text.contains("Socket errors") && !text.contains("Non-2xx");
        assert!(
            clean,
            "wrk: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Requests/sec:"))
            .expect("the rate");
        line.trim().parse().expect("a number")
    }
}
