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

/// The connections that the limit of open files has room for, where each may be a socket and a
/// file, and `reserved` files stay for the stores.
pub(super) fn connections_within_limit(wanted: usize, reserved: usize) -> usize {
    let files = getrlimit(Resource::Nofile).current;
    let Some(files) = files.and_then(|files| usize::try_from(files).ok()) else {
        return wanted; // no limit
    };
    let room = (files.saturating_sub(reserved) / 2).max(1);
    if room < wanted {
        tracing::warn!(
            "{room} connections at once instead of {wanted}: the limit of open files is {files}"
        );
    }
    wanted.min(room)
}
