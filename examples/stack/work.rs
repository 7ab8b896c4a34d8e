//! The load: what each version of each object is, and what may be found after a kill.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::Path;

use storehouse::objectstore::Key;

/// How many objects there are; one task writes each.
pub(crate) const OBJECTS: u64 = 24;

/// The newest version of each object that was acknowledged.
pub(crate) type Acknowledged = BTreeMap<u64, u64>;

pub(crate) fn key(object: u64) -> Key {
    Key::new(format!("Objects/{object:02}.bin")).expect("a key")
}

/// The content of a version; `None` if the version is a delete, as every fifth is. Version 0 is
/// that nothing was written.
pub(crate) fn content(object: u64, version: u64) -> Option<Vec<u8>> {
    if version.is_multiple_of(5) {
        return None;
    }
    let mut state = (object + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ version.wrapping_mul(0xd134_2543_de82_ef95);
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut content = format!("{object} {version}\n").into_bytes();
    for _ in 0..next() % 20_000 {
        // Half of it compresses.
        content.extend(next().to_le_bytes());
        content.extend([0; 8]);
    }
    Some(content)
}

/// The version whose content this is, if it is one of this object's, whole.
pub(crate) fn version_of(object: u64, found: &[u8]) -> Option<u64> {
    let line = found.split(|byte| *byte == b'\n').next()?;
    let (whose, version) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let version = version.parse().ok()?;
    let whole = whose == object.to_string() && content(object, version).as_deref() == Some(found);
    whole.then_some(version)
}

/// Whether `found` may be there when `acknowledged` is the last version that was acknowledged: that
/// one, or the next, which was perhaps under way.
pub(crate) fn may_be(object: u64, acknowledged: u64, found: Option<u64>) -> bool {
    [acknowledged, acknowledged + 1]
        .into_iter()
        .any(|version| found == content(object, version).map(|_| version))
}

/// Reads what was acknowledged: lines of an object and a version.
pub(crate) fn read(lines: impl BufRead, into: &mut Acknowledged) {
    for line in lines.lines().map_while(Result::ok) {
        let numbers = line.split_once(' ');
        if let Some((Ok(object), Ok(version))) =
            numbers.map(|(object, version)| (object.parse(), version.parse()))
        {
            into.insert(object, version);
        }
    }
}

pub(crate) fn save(path: &Path, acknowledged: &Acknowledged) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    for (object, version) in acknowledged {
        writeln!(file, "{object} {version}")?;
    }
    Ok(())
}
