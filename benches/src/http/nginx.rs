//! nginx, with a configuration of its own.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};

/// Debian installs it where only root's PATH looks.
const PROGRAMS: &[&str] = &["nginx", "/usr/sbin/nginx"];

/// A program that runs; else ends the benchmark, saying why.
pub(super) fn find() -> &'static str {
    let found = PROGRAMS.iter().find(|program| {
        Command::new(program)
            .arg("-v")
            .stderr(Stdio::null())
            .status()
            .is_ok()
    });
    found.expect("this benchmark needs nginx (Debian: the package nginx)")
}

/// nginx serving a directory, until it is dropped.
pub(super) struct Nginx {
    process: Child,
    pub(super) address: SocketAddr,
}

impl Nginx {
    /// Serves `root`, and writes what it has to write into `own`.
    pub(super) fn start(root: &Path, own: &Path) -> Self {
        // Another program is unlikely to take the port in between.
        let address = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port");
        fs::create_dir(own).expect("a directory");
        let config = own.join("nginx.conf");
        // Its workers must be able to read what this process wrote.
        let user = if geteuid().is_root() {
            "user root root;"
        } else {
            ""
        };
        let workers = std::thread::available_parallelism().expect("the number of processors");
        let (root, own) = (root.display(), own.display());
        let text = format!(
            "daemon off;\n{user}\nworker_processes {workers};\npid {own}/pid;\nerror_log {own}/error.log warn;\n\
             events {{ worker_connections 1024; }}\n\
             http {{\n  access_log off;\n  sendfile on;\n  tcp_nopush on;\n  keepalive_requests 1000000000;\n  default_type application/octet-stream;\n  \
             client_body_temp_path {own}/body;\n  proxy_temp_path {own}/proxy;\n  fastcgi_temp_path {own}/fastcgi;\n  uwsgi_temp_path {own}/uwsgi;\n  \
             scgi_temp_path {own}/scgi;\n  server {{ listen {address}; root \"{root}\"; }}\n}}\n"
        );
        fs::write(&config, text).expect("a configuration");
        let mut command = Command::new(find());
        let process = command
            .arg("-p")
            .arg(own.to_string())
            .arg("-c")
            .arg(&config)
            .stderr(Stdio::inherit())
            .spawn()
            .expect("nginx");
        let mut nginx = Self { process, address };
        while TcpStream::connect(address).is_err() {
            assert!(
                nginx.process.try_wait().expect("its state").is_none(),
                "nginx does not start"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Asked, it ends its workers too; killed, it would leave them behind.
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let _ = self.process.wait();
    }
}
