//! Copying a file's bytes within the kernel, where it can.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The most copied at a time, in bytes: a copy without a caller ends after this.
const PART: u64 = 64 * 1024 * 1024;

/// The buffer where the kernel cannot copy, in bytes.
const BUFFER: usize = 256 * 1024;

/// Copies the first `len` bytes of `from` to the start of `to`, shared on disk where the file
/// system can do that. Ends early, with an error, once `is_cancelled`. Blocks.
///
/// # Errors
/// The system's; [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if `from` is shorter;
/// [`Interrupted`](io::ErrorKind::Interrupted) if it was cancelled.
///
/// ```
/// use std::io::Write;
/// use storehouse_engine::files::copy_file;
///
/// let (mut from, to) = (tempfile::NamedTempFile::new()?, tempfile::NamedTempFile::new()?);
/// from.write_all(b"hello")?;
/// copy_file(&from.reopen()?, to.as_file(), 5, || false)?;
/// assert_eq!(std::fs::read(to.path())?, b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn copy_file(
    from: &File,
    to: &File,
    len: u64,
    is_cancelled: impl Fn() -> bool,
) -> io::Result<()> {
    let (mut at, mut by_kernel) = (0, true);
    while at < len {
        if is_cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let want = (len - at).min(PART);
        let copied = if by_kernel {
            kernel_copy(from, to, at, want)?
        } else {
            Some(plain_copy(from, to, at, want)?)
        };
        match copied {
            Some(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some(n) => at += n,
            None => by_kernel = false,
        }
    }
    Ok(())
}

/// `None` if the kernel does not copy between these files.
#[cfg(target_os = "linux")]
fn kernel_copy(from: &File, to: &File, at: u64, want: u64) -> io::Result<Option<u64>> {
    use rustix::io::Errno;

    let (mut read, mut write) = (at, at);
    let want = usize::try_from(want).unwrap_or(usize::MAX);
    match rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut write), want) {
        Ok(n) => Ok(Some(n as u64)),
        Err(Errno::INTR) => kernel_copy(from, to, at, want as u64),
        Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP | Errno::XDEV | Errno::PERM) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn kernel_copy(_: &File, _: &File, _: u64, _: u64) -> io::Result<Option<u64>> {
    Ok(None)
}

fn plain_copy(from: &File, to: &File, at: u64, want: u64) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER.min(usize::try_from(want).unwrap_or(BUFFER))];
    let n = loop {
        match from.read_at(&mut buffer, at) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    to.write_all_at(&buffer[..n], at)?;
    Ok(n as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_copy_all() {
        let content: Vec<u8> = (0..700_001_u32).map(|n| (n % 251) as u8).collect();
        let from = tempfile::tempfile().unwrap();
        from.write_all_at(&content, 0).unwrap();
        let to = tempfile::NamedTempFile::new().unwrap();
        copy_file(&from, to.as_file(), 700_001, || false).unwrap();
        assert_eq!(std::fs::read(to.path()).unwrap(), content);
        let to = tempfile::NamedTempFile::new().unwrap();
        let mut at = 0;
        while at < 700_001 {
            at += plain_copy(&from, to.as_file(), at, 700_001 - at).unwrap();
        }
        assert_eq!(std::fs::read(to.path()).unwrap(), content);
        let short = copy_file(&from, to.as_file(), 700_002, || false).unwrap_err();
        assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
        let cancelled = copy_file(&from, to.as_file(), 1, || true).unwrap_err();
        assert_eq!(cancelled.kind(), io::ErrorKind::Interrupted);
    }
}
