//! Whole files of a database.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use super::error::{Damage, IoContext, Result};

/// The largest manifest or log that is read, in bytes (inclusive). Writers begin new ones after 4
/// MiB or so.
const MAX_LOG: u64 = 256 << 20;

pub(super) fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let mut file = File::open(path).context("open", path)?;
    let size = file.metadata().context("read", path)?.len();
    if size > MAX_LOG {
        return Err(Damage("it is too large for a log").of(path));
    }
    // Filled in place: a buffer that grows would leave copies behind.
    let mut contents = Zeroizing::new(vec![0; size as usize]);
    file.read_exact(&mut contents).context("read", path)?;
    Ok(contents)
}
