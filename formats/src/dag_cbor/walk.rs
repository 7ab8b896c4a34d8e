//! Checking a value without making one of it.

use std::ops::Range;

use super::{DecodeError, Kind, Problem, Reader};

impl<'a> Reader<'a> {
    /// The bytes of the next value, whatever it is, checked all the way down: of them
    /// [`Reader::ipld`] makes a value. Nothing is kept of it, so that this takes no memory but for
    /// the keys of the maps that lie around one place.
    ///
    /// ```
    /// use storehouse_formats::dag_cbor::Reader;
    ///
    /// let mut reader = Reader::new(b"\x81\x05\x06");
    /// assert_eq!(reader.raw()?, b"\x81\x05");
    /// assert_eq!(reader.uint()?, 6);
    /// # Ok::<(), storehouse_formats::dag_cbor::DecodeError>(())
    /// ```
    ///
    /// # Errors
    /// [`DecodeError`] if it is not dag-cbor.
    pub fn raw(&mut self) -> Result<&'a [u8], DecodeError> {
        let start = self.at;
        value(self, &mut Vec::new())?;
        Ok(&self.all[start..self.at])
    }
}

/// `keys` are those of all maps around this value, heads included: encoded, keys are in the order
/// of canonical maps, and the same only if their texts are.
fn value(reader: &mut Reader<'_>, keys: &mut Vec<Range<usize>>) -> Result<(), DecodeError> {
    let start = reader.offset();
    match reader.kind()? {
        Kind::Unsigned => drop(reader.uint()?),
        Kind::Negative => drop(reader.head(1, "a negative integer")?),
        Kind::Bytes => drop(reader.bytes()?),
        Kind::Text => drop(reader.text()?),
        Kind::Tag => drop(reader.link()?),
        Kind::Simple => drop(reader.simple()?),
        Kind::List => {
            let len = reader.list()?;
            reader.deeper(start)?;
            for _ in 0..len {
                value(reader, keys)?;
            }
            reader.depth -= 1;
        }
        Kind::Map => {
            let len = reader.map()?;
            reader.deeper(start)?;
            let (first, mut sorted) = (keys.len(), true);
            for _ in 0..len {
                let key = reader.offset();
                reader.text()?;
                let key = key..reader.offset();
                if let Some(before) = keys[first..].last() {
                    match reader.all[before.clone()].cmp(&reader.all[key.clone()]) {
                        std::cmp::Ordering::Less => {}
                        std::cmp::Ordering::Equal => return Err(duplicate(reader, &key)),
                        std::cmp::Ordering::Greater => sorted = false,
                    }
                }
                keys.push(key);
                value(reader, keys)?;
            }
            if !sorted {
                distinct(reader, &mut keys[first..])?;
            }
            keys.truncate(first);
            reader.depth -= 1;
        }
    }
    Ok(())
}

/// That no key of a map occurs twice.
fn distinct(reader: &Reader<'_>, keys: &mut [Range<usize>]) -> Result<(), DecodeError> {
    keys.sort_unstable_by(|a, b| {
        reader.all[a.clone()]
            .cmp(&reader.all[b.clone()])
            .then(a.start.cmp(&b.start))
    });
    let twice = keys
        .windows(2)
        .filter(|pair| reader.all[pair[0].clone()] == reader.all[pair[1].clone()])
        .map(|pair| &pair[1]);
    match twice.min_by_key(|key| key.start) {
        None => Ok(()),
        Some(key) => Err(duplicate(reader, key)),
    }
}

fn duplicate(reader: &Reader<'_>, key: &Range<usize>) -> DecodeError {
    let text = Reader::new(&reader.all[key.clone()])
        .text()
        .unwrap_or_default()
        .to_owned();
    Reader::error_at(key.start, Problem::Duplicate(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_twice_is_found_wherever_it_is() {
        let twice = |bytes: &[u8]| Reader::new(bytes).raw().unwrap_err();
        assert_eq!(
            twice(&[0xa2, 0x61, b'a', 0, 0x61, b'a', 0]),
            Reader::error_at(4, Problem::Duplicate("a".into()))
        );
        // Not next to each other, and in a map within a map that has the same key.
        let inner = [0xa3, 0x61, b'b', 0, 0x61, b'a', 0, 0x61, b'b', 0];
        assert_eq!(
            twice(&[&[0xa1, 0x61, b'b'][..], &inner].concat()),
            Reader::error_at(10, Problem::Duplicate("b".into()))
        );
        // Both an "a", but not of one map.
        let bytes = [
            0xa2, 0x61, b'b', 0xa2, 0x61, b'c', 0, 0x61, b'a', 0, 0x61, b'a', 0,
        ];
        assert_eq!(Reader::new(&bytes).raw().unwrap(), bytes);
    }
}
