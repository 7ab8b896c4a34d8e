//! The limit of open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the process's limit of open files to the most that the system allows: each connection is
/// one, and what it reads another. Call it before stores are opened. A failure is logged.
///
/// ```
/// storehouse_node::raise_file_limit();
/// ```
pub fn raise_file_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if current != maximum && setrlimit(Resource::Nofile, raised).is_err() {
        tracing::warn!("the limit of open files stays at {current:?}");
    }
}
