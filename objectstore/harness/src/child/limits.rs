//! Injected errors, and the limit on file descriptors.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::shim::CONTROL;

/// Lets the shim inject errors, or stops it. Nothing happens without a shim.
pub(super) fn arm(armed: bool) -> io::Result<()> {
    let Some(path) = std::env::var_os(CONTROL) else {
        return Ok(());
    };
    OpenOptions::new()
        .write(true)
        .open(path)?
        .write_all_at(&u64::from(armed).to_ne_bytes(), 0)
}

/// Leaves `spare` file descriptors. Returns the limit as it was.
pub(super) fn leave_descriptors(spare: u64) -> io::Result<Rlimit> {
    let mut open = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        // Not the one that reads the directory.
        if entry
            .path()
            .read_link()
            .is_ok_and(|path| !path.ends_with("fd"))
        {
            let name = entry.file_name();
            open.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
        }
    }
    let free = (0..).filter(|number| !open.contains(number));
    let limit = free.take(spare as usize + 1).last().unwrap_or(0);
    let before = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(limit),
            maximum: before.maximum,
        },
    )?;
    Ok(before)
}

/// Sets the limit to what it was.
pub(super) fn restore_descriptors(before: Rlimit) -> io::Result<()> {
    Ok(setrlimit(Resource::Nofile, before)?)
}

/// Sets the limit.
pub(super) fn limit_descriptors(limit: u64) -> io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(limit),
            maximum,
        },
    )?)
}

/// The most memory that this process had, in KiB, and the number of its file descriptors.
pub(super) fn uses() -> io::Result<(u64, u64)> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let memory = line
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0);
    Ok((memory, fs::read_dir("/proc/self/fd")?.count() as u64))
}
