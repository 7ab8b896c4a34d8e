//! Checks the tree in a file before redb opens it.
//!
//! redb keeps a checksum of each page beside the page's number, but compares the two only after a
//! crash. A flipped bit in a number may lead to another page that fits: records are then missing,
//! or older, without an error. So everything above the records' leaves is compared here, which is a
//! page in some forty; a damaged leaf is found by the records' own checksums. A file that a crash
//! left is not looked at: redb compares all of it.
//!
//! The file's head: 9 bytes of magic, flags (1: the second slot counts, 2: a crash came), 2 bytes,
//! and three numbers of 32 bits: the size of a page, pages in front of a region, pages in a region;
//! at 64 and 192 a slot each of 128 bytes. A slot has flags at 1 and 2 for its two roots, these at
//! 8 and 40, and its checksum in the last 16 bytes. A root is a page's number (u64), its checksum
//! (u128) and a length (u64). The first root is of the tree of tables, the second of the same for
//! redb's own tables. A table there has a root behind 10 bytes, and behind that two times a flag
//! and a u32: the lengths of keys and values, if all have the same. Leaves are described in
//! `salvage`. A branch is the byte 2, one that is not used, the number of its keys (u16) and 4
//! bytes; then of each child, one more than keys, the checksum; then the numbers; then the keys'
//! ends, if they differ in length, and the keys. Numbers are little endian; checksums are XXH3-128.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use storehouse_engine::Fault;
use xxhash_rust::xxh3::xxh3_128;

const PAGE: u64 = 4096;
const HEAD: usize = 320;
const CRASHED: u8 = 2;
const LEAF: u8 = 1;
const BRANCH: u8 = 2;
/// The type of a table with one value for each key.
const NORMAL: u8 = 3;
/// More than any tree's height.
const HIGHEST: usize = 64;

/// Where a tree begins, or a page of it.
#[derive(Clone, Copy)]
struct Root {
    page: u64,
    checksum: u128,
}

/// The lengths of keys and values, if all have the same.
#[derive(Clone, Copy, Default)]
struct Widths {
    key: Option<usize>,
    value: Option<usize>,
}

struct Tree {
    file: File,
    region_start: u64,
    region: u64,
}

/// Compares what lies above the leaves, if there is a file that was closed.
pub(crate) fn verify(path: &Path) -> Result<(), Fault> {
    let unreadable = |e| Fault::io("records.redb cannot be read", e);
    let mut file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(unreadable)?,
    };
    let mut head = Vec::new();
    let read = file.by_ref().take(HEAD as u64).read_to_end(&mut head);
    read.map_err(unreadable)?;
    let (Some(flags), HEAD) = (head.get(9), head.len()) else {
        return Ok(());
    };
    if flags & CRASHED != 0 {
        return Ok(());
    }
    let number = |at| number(&head, at, 4).unwrap_or(0);
    let (front, pages) = (number(16) * PAGE, number(20) * PAGE);
    let tree = Tree {
        file,
        region_start: front,
        region: front + pages,
    };
    let start = 64 + 128 * usize::from(flags & 1);
    let slot = &head[start..start + 128];
    if !matches(&slot[..112], checksum_at(slot, 112)) {
        return Err(damaged("its head"));
    }
    for (flag, at) in [(1, 8), (2, 40)] {
        let Some(root) = root_at(slot, at).filter(|_| slot[flag] != 0) else {
            continue;
        };
        let mut tables = Vec::new();
        tree.check(root, Widths::default(), usize::MAX, &mut |leaf| {
            tables.extend(values(leaf).map(<[u8]>::to_vec));
        })?;
        for table in tables {
            tree.check_table(&table, at == 8)?;
        }
    }
    Ok(())
}

impl Tree {
    /// Checks a table; of the records' its branches alone.
    fn check_table(&self, table: &[u8], of_records: bool) -> Result<(), Fault> {
        let width = |at: usize| {
            let there = table.get(at).is_some_and(|flag| *flag != 0);
            there
                .then(|| number(table, at + 1, 4))
                .flatten()
                .map(|width| width as usize)
        };
        let (Some(&NORMAL), Some(true)) = (table.first(), table.get(9).map(|flag| *flag != 0))
        else {
            return Ok(());
        };
        let Some(root) = root_at(table, 10) else {
            return Ok(());
        };
        let widths = Widths {
            key: width(42),
            value: width(47),
        };
        let levels = if of_records {
            self.height(root)?
        } else {
            usize::MAX
        };
        self.check(root, widths, levels, &mut |_| {})
    }

    /// How many branches are above each leaf.
    fn height(&self, root: Root) -> Result<usize, Fault> {
        let mut page = root.page;
        for height in 0..HIGHEST {
            let bytes = self.read(page)?;
            if bytes.first() != Some(&BRANCH) {
                return Ok(height);
            }
            page = child(&bytes, 0).ok_or_else(|| damaged("a branch"))?.page;
        }
        Err(damaged("a branch"))
    }

    /// Checks the pages below `root` on this number of levels.
    fn check(
        &self,
        root: Root,
        widths: Widths,
        levels: usize,
        on_leaf: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Fault> {
        if levels == 0 {
            return Ok(());
        }
        let bytes = self.read(root.page)?;
        let is_branch = bytes.first() == Some(&BRANCH);
        let end = match bytes.first() {
            Some(&BRANCH) => branch_end(&bytes, widths),
            Some(&LEAF) => leaf_end(&bytes, widths),
            _ => None,
        };
        let covered = end.and_then(|end| bytes.get(..end));
        let Some(covered) = covered.filter(|covered| matches(covered, Some(root.checksum))) else {
            return Err(damaged(&format!("page {:#x}", root.page)));
        };
        if !is_branch {
            on_leaf(covered);
            return Ok(());
        }
        for i in 0..=keys(&bytes) {
            let child = child(&bytes, i).ok_or_else(|| damaged("a branch"))?;
            self.check(child, widths, levels - 1, on_leaf)?;
        }
        Ok(())
    }

    fn read(&self, page: u64) -> Result<Vec<u8>, Fault> {
        let order = page >> 59;
        let (index, region) = (page & (0xF_FFFF >> order), page >> 20 & 0xF_FFFF);
        let len = PAGE << order;
        let start = region
            .checked_mul(self.region)
            .and_then(|base| base.checked_add(PAGE + self.region_start + index * len));
        let size = self.file.metadata().map(|found| found.len());
        let size = size.map_err(|e| Fault::io("records.redb cannot be read", e))?;
        let Some(start) = start.filter(|start| start.saturating_add(len) <= size) else {
            return Err(damaged(&format!("page {page:#x}")));
        };
        let mut bytes = vec![0; len as usize];
        let mut file = &self.file;
        let read = file
            .seek(SeekFrom::Start(start))
            .and_then(|_| file.read_exact(&mut bytes));
        read.map_err(|e| Fault::io("records.redb cannot be read", e))?;
        Ok(bytes)
    }
}

fn damaged(what: &str) -> Fault {
    Fault::damaged(format!(
        "records.redb is damaged: {what} does not have its checksum; the option `salvage` makes it \
         anew from its records"
    ))
}

fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(len)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

fn checksum_at(bytes: &[u8], at: usize) -> Option<u128> {
    let bytes = bytes.get(at..at.checked_add(16)?)?;
    Some(u128::from_le_bytes(bytes.try_into().ok()?))
}

fn matches(bytes: &[u8], checksum: Option<u128>) -> bool {
    checksum == Some(xxh3_128(bytes))
}

fn root_at(bytes: &[u8], at: usize) -> Option<Root> {
    Some(Root {
        page: number(bytes, at, 8)?,
        checksum: checksum_at(bytes, at + 8)?,
    })
}

fn keys(bytes: &[u8]) -> usize {
    number(bytes, 2, 2).unwrap_or(0) as usize
}

fn child(branch: &[u8], i: usize) -> Option<Root> {
    let children = keys(branch) + 1;
    Some(Root {
        page: number(branch, 8 + 16 * children + 8 * i, 8)?,
        checksum: checksum_at(branch, 8 + 16 * i)?,
    })
}

fn branch_end(branch: &[u8], widths: Widths) -> Option<usize> {
    let keys = keys(branch);
    let start = 8 + 24 * (keys + 1);
    match widths.key {
        Some(width) => Some(start + width * keys),
        None => Some(number(branch, start + 4 * keys.checked_sub(1)?, 4)? as usize),
    }
}

fn leaf_end(leaf: &[u8], widths: Widths) -> Option<usize> {
    let count = keys(leaf);
    let last = count.checked_sub(1)?;
    let ends = |width: Option<usize>| if width.is_none() { 4 * count } else { 0 };
    let start = 4 + ends(widths.key) + ends(widths.value);
    let keys_end = match widths.key {
        Some(width) => start + width * count,
        None => number(leaf, 4 + 4 * last, 4)? as usize,
    };
    match widths.value {
        Some(width) => Some(keys_end + width * count),
        None => Some(number(leaf, 4 + ends(widths.key) + 4 * last, 4)? as usize),
    }
}

/// The values in a leaf whose keys and values differ in length.
fn values(leaf: &[u8]) -> impl Iterator<Item = &[u8]> {
    let count = keys(leaf);
    let end = move |i: usize| number(leaf, 4 + 4 * i, 4).map(|end| end as usize);
    (0..count).filter_map(move |i| leaf.get(end(count + i - 1)?..end(count + i)?))
}
