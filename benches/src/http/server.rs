//! Storehouse's servers, each in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server that runs until it is dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// The example of that name, as it is now, over a data directory.
    pub(crate) fn node(data_dir: &Path) -> Self {
        let this = std::env::current_exe().expect("this program's path");
        let target = this.ancestors().nth(2).expect("the target directory");
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .args([
                "build",
                "--quiet",
                "--release",
                "--example",
                "node",
                "--target-dir",
            ]);
        assert!(
            cargo
                .arg(target)
                .status()
                .is_ok_and(|status| status.success()),
            "the example `node` is not built"
        );
        let mut command = Command::new(target.join("release/examples/node"));
        Self::start(
            command
                // All clients of a benchmark have one address.
                .args(["--max-connections-per-client", "4096"])
                .args(["--max-uploads-per-client", "64"])
                .args(["--listen", "127.0.0.1:0", "--data-dir"])
                .arg(data_dir),
        )
    }

    /// A server that answers from memory with `len` bytes.
    pub(crate) fn bare(len: usize) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program's path"));
        Self::start(command.args(["http-child", &len.to_string()]))
    }

    /// The high-water mark of its resident memory, in MiB, as the system accounts it.
    pub(crate) fn peak_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))
            .expect("the server's accounts");
        let kib = status.lines().find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .trim()
                .strip_suffix(" kB")?
                .parse::<f64>()
                .ok()
        });
        kib.expect("its peak") / 1024.0
    }

    /// Starts what says in its first line where it listens.
    fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().expect("a server");
        let mut lines = BufReader::new(process.stdout.take().expect("its output"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("its first line");
        let address = line
            .trim()
            .rsplit("//")
            .next()
            .and_then(|address| address.parse().ok());
        let mut server = Self {
            process,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        // Whatever happens, the process is ended.
        server.address =
            address.unwrap_or_else(|| panic!("a server says {line:?} instead of where it listens"));
        // What else it says is not to break its pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
