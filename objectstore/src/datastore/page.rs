//! Pages of a listing: what one thread reads and another uses.
//!
//! Keys and values of many records lie in few pieces of memory, made where the records are read,
//! and are taken apart where they are used: memory that one thread allocates and another frees,
//! piece by piece, costs more than all else of a listing.

use std::collections::VecDeque;

use bytes::Bytes;

use super::entry::EntryRef;
use crate::{Entry as Listed, Error, Key, Metadata, Result};

/// How many bytes of values lie together at most: so much a value keeps in memory for as long as
/// somebody holds it.
const TOGETHER: usize = 32 * 1024;

/// Larger values share the memory of their block, which is little more than they are.
const SMALL: usize = 4096;

/// Some records of a listing.
#[derive(Debug, Default)]
pub(super) struct Page {
    keys: String,
    key_at: usize,
    items: std::vec::IntoIter<Item>,
    values: VecDeque<Bytes>,
    /// Why keys are none, in the order of their items.
    flaws: VecDeque<Error>,
}

#[derive(Debug)]
struct Item {
    /// Bytes of the key; 0 if it is none.
    key: usize,
    value: Value,
    metadata: Metadata,
}

#[derive(Debug)]
enum Value {
    NotAsked,
    /// So many bytes of the next values.
    Together(usize),
    Alone(Bytes),
}

/// Collects a page.
#[derive(Debug, Default)]
pub(super) struct PageBuilder {
    /// Each of them is text.
    keys: Vec<u8>,
    items: Vec<Item>,
    values: VecDeque<Bytes>,
    together: Vec<u8>,
    flaws: VecDeque<Error>,
}

impl PageBuilder {
    pub(super) fn with_capacity(records: usize) -> Self {
        Self {
            items: Vec::with_capacity(records),
            ..Self::default()
        }
    }

    /// Adds a record that lies in `bytes`, with its value if that has at most `inline_values` bytes.
    pub(super) fn push(&mut self, entry: EntryRef<'_>, bytes: &Bytes, inline_values: Option<u64>) {
        // It was a key when it was put, and the record was checked.
        let key = match Key::check_bytes(entry.key()) {
            Ok(()) => {
                self.keys.extend_from_slice(entry.key());
                entry.key().len()
            }
            Err(e) => {
                self.flaws.push_back(e);
                0
            }
        };
        let value = entry.value();
        let value = if inline_values.is_none_or(|most| value.len() as u64 > most) {
            Value::NotAsked
        } else if value.len() > SMALL {
            Value::Alone(bytes.slice_ref(value))
        } else {
            if self.together.len() + value.len() > TOGETHER {
                self.values
                    .push_back(std::mem::take(&mut self.together).into());
            }
            if self.together.capacity() == 0 {
                self.together.reserve_exact(if self.values.is_empty() {
                    value.len()
                } else {
                    TOGETHER
                });
            }
            self.together.extend_from_slice(value);
            Value::Together(value.len())
        };
        self.items.push(Item {
            key,
            value,
            metadata: entry.metadata(),
        });
    }

    pub(super) fn finish(mut self) -> Page {
        self.values.push_back(self.together.into());
        let keys = String::from_utf8(self.keys).unwrap_or_default();
        Page {
            keys,
            key_at: 0,
            items: self.items.into_iter(),
            values: self.values,
            flaws: self.flaws,
        }
    }
}

impl Iterator for Page {
    type Item = Result<Listed>;

    fn next(&mut self) -> Option<Result<Listed>> {
        let Item {
            key,
            value,
            metadata,
        } = self.items.next()?;
        let value = match value {
            Value::NotAsked => None,
            Value::Alone(value) => Some(value),
            Value::Together(len) => Some(self.take(len)),
        };
        let text = self
            .keys
            .get(self.key_at..self.key_at + key)
            .unwrap_or_default();
        self.key_at += key;
        if text.is_empty()
            && let Some(flaw) = self.flaws.pop_front()
        {
            return Some(Err(flaw));
        }
        Some(Ok(Listed {
            key: Key::from_checked(text),
            metadata,
            value,
        }))
    }
}

impl Page {
    /// The next value, of so many bytes.
    fn take(&mut self, len: usize) -> Bytes {
        while self.values.front().is_some_and(|values| values.len() < len) {
            self.values.pop_front();
        }
        self.values
            .front_mut()
            .map(|values| values.split_to(len))
            .unwrap_or_default()
    }
}
