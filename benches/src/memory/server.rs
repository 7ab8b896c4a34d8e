//! The S3 server beside the measured process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use storehouse_s3::{Credentials, S3Options};

use crate::harness::runtime;

#[path = "../../../objectstore/s3/tests/support/mod.rs"]
pub(crate) mod support;

const VARIABLES: [&str; 4] = ["ENDPOINT", "REGION", "ACCESS_KEY", "SECRET_KEY"];

fn variable(name: &str) -> String {
    format!("STOREHOUSE_TEST_S3_{name}")
}

/// A server, ended with this.
pub(crate) struct Server {
    own: Option<(Child, String)>,
}

impl Server {
    /// The one that the environment names, or an s3s-fs in a process of its own.
    pub(crate) fn start(dir: &Path) -> Self {
        if std::env::var_os(variable("ENDPOINT")).is_some() {
            return Self { own: None };
        }
        std::fs::create_dir_all(dir).expect("a directory for the server");
        let mut command = Command::new(std::env::current_exe().expect("this program's path"));
        let mut child = command
            .arg("server")
            .env("TMPDIR", dir)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server process");
        let mut endpoint = String::new();
        BufReader::new(child.stdout.take().expect("its output"))
            .read_line(&mut endpoint)
            .expect("its address");
        Self {
            own: Some((child, endpoint.trim().to_owned())),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        if self.own.is_some() {
            "s3 (s3s-fs)"
        } else {
            "s3 (the server that the environment names)"
        }
    }

    /// Tells a child where the server is.
    pub(crate) fn tell(&self, child: &mut Command) {
        if let Some((_, endpoint)) = &self.own {
            let values = [endpoint, "us-east-1", "test-key", "mArKoFaSeCrEt"];
            child.envs(VARIABLES.iter().map(|name| variable(name)).zip(values));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.own {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// `server`: an s3s-fs that prints its address and runs until it is killed.
pub(crate) fn run() {
    runtime().block_on(async {
        let server = support::Server::in_process().await;
        println!("{}", server.options.endpoint);
        std::future::pending::<()>().await;
    });
}

/// The server, as a child was told.
pub(crate) fn options() -> S3Options {
    let [endpoint, region, id, secret] =
        VARIABLES.map(|name| std::env::var(variable(name)).expect("the server's variables"));
    let plain = !endpoint.contains("://");
    let mut options = S3Options::new(endpoint, "storehouse-benches")
        .region(region)
        .credentials(Credentials::new(id, secret));
    options.insecure = plain.then_some(true);
    options
}
