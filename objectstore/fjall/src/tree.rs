//! The lists of tables. fjall keeps a checksum of each beside it, but does not compare the two when
//! it opens, and a damaged list may name older tables, or fewer.

use std::fs;
use std::io;
use std::path::Path;

use storehouse_engine::Fault;
use xxhash_rust::xxh3::xxh3_128;

/// Compares the list of tables of each keyspace in `dir` with its checksum.
///
/// The file `current` holds the number of the list (u64), the XXH3-128 of its file (u128) and a
/// byte, 0, all little endian; the list is the file `v` with the number behind it.
pub(crate) fn verify(dir: &Path) -> Result<(), Fault> {
    let keyspaces = match fs::read_dir(dir.join("keyspaces")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        keyspaces => keyspaces.map_err(|e| Fault::io("the keyspaces cannot be read", e))?,
    };
    for keyspace in keyspaces {
        let path = keyspace
            .map_err(|e| Fault::io("the keyspaces cannot be read", e))?
            .path();
        let current = match fs::read(path.join("current")) {
            // A crash came before the keyspace was made.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            current => current.map_err(|e| Fault::io("a list of tables cannot be read", e))?,
        };
        let damaged =
            || Fault::damaged(format!("{}: the list of tables is damaged", path.display()));
        let (number, rest) = current.split_first_chunk().ok_or_else(damaged)?;
        let (checksum, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let list = fs::read(path.join(format!("v{}", u64::from_le_bytes(*number))));
        let list = match list {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(damaged()),
            list => list.map_err(|e| Fault::io("a list of tables cannot be read", e))?,
        };
        if rest != [0] || xxh3_128(&list) != u128::from_le_bytes(*checksum) {
            return Err(damaged());
        }
    }
    Ok(())
}
