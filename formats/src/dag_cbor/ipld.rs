//! Values in memory, within a bound.

use std::collections::BTreeMap;

use ipld_core::ipld::Ipld;

use super::{DecodeError, Kind, MAX_IPLD_MULTIPLE, MAX_IPLD_SMALL, Problem, Reader, Scalar};

type Result<T> = std::result::Result<T, DecodeError>;

/// The most room that a node of a `BTreeMap` takes: it holds up to 11 entries, and 12 edges.
const MAP_NODE: usize = 11 * (size_of::<String>() + size_of::<Ipld>()) + 128;
/// The fewest entries that a node is sure to hold when entries come in any order.
const MAP_NODE_LEAST: usize = 5;

impl Reader<'_> {
    /// The next value, whatever it is, as a tree in memory.
    ///
    /// Trees may take 200 times the room of their bytes, so this one is bounded: it takes at most
    /// [`MAX_IPLD_MULTIPLE`] times the bytes from here to the end, or [`MAX_IPLD_SMALL`] if that is
    /// more. Larger ones can be read piece by piece, or written as JSON.
    ///
    /// ```
    /// use storehouse_formats::Ipld;
    /// use storehouse_formats::dag_cbor::Reader;
    ///
    /// let mut reader = Reader::new(b"\x82\x05\x63abc");
    /// assert_eq!(reader.ipld()?, Ipld::List(vec![Ipld::Integer(5), Ipld::String("abc".into())]));
    /// reader.finish()?;
    /// # Ok::<(), storehouse_formats::dag_cbor::DecodeError>(())
    /// ```
    ///
    /// # Errors
    /// [`DecodeError`] if it is not dag-cbor; [`Problem::Expands`]; [`Problem::LinkLength`] if it
    /// has a link whose hash is longer than 64 bytes, for which `Ipld` has no room.
    pub fn ipld(&mut self) -> Result<Ipld> {
        let multiple = MAX_IPLD_MULTIPLE.saturating_mul(self.all.len() - self.at);
        let mut room = multiple.max(MAX_IPLD_SMALL);
        tree(self, &mut room)
    }
}

fn tree(reader: &mut Reader<'_>, room: &mut usize) -> Result<Ipld> {
    let start = reader.at;
    let mut take = |bytes: usize| {
        *room = room
            .checked_sub(bytes)
            .ok_or(Reader::error_at(start, Problem::Expands))?;
        Ok(())
    };
    Ok(match reader.kind()? {
        Kind::List => {
            let len = reader.list()?;
            reader.deeper(start)?;
            take(len.saturating_mul(size_of::<Ipld>()))?;
            let mut list = Vec::with_capacity(len);
            for _ in 0..len {
                list.push(tree(reader, room)?);
            }
            reader.depth -= 1;
            Ipld::List(list)
        }
        Kind::Map => {
            let len = reader.map()?;
            reader.deeper(start)?;
            if len > 0 {
                take((len / MAP_NODE_LEAST + 1).saturating_mul(MAP_NODE))?;
            }
            let mut map = BTreeMap::new();
            for _ in 0..len {
                let at = reader.at;
                let key = reader.text()?;
                *room = room
                    .checked_sub(key.len())
                    .ok_or(Reader::error_at(at, Problem::Expands))?;
                let key = key.to_owned();
                let value = tree(reader, room)?;
                if map.contains_key(&key) {
                    return Err(Reader::error_at(at, Problem::Duplicate(key)));
                }
                map.insert(key, value);
            }
            reader.depth -= 1;
            Ipld::Map(map)
        }
        _ => match reader.scalar()? {
            Scalar::Null => Ipld::Null,
            Scalar::Bool(value) => Ipld::Bool(value),
            Scalar::Integer(value) => Ipld::Integer(value),
            Scalar::Float(value) => Ipld::Float(value),
            Scalar::Text(text) => {
                take(text.len())?;
                Ipld::String(text.to_owned())
            }
            Scalar::Bytes(bytes) => {
                take(bytes.len())?;
                Ipld::Bytes(bytes.to_vec())
            }
            Scalar::Link(cid) => Ipld::Link(
                (&cid)
                    .try_into()
                    .map_err(|_| Reader::error_at(start, Problem::LinkLength))?,
            ),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dag_cbor::MAX_DEPTH;

    fn ipld(bytes: &[u8]) -> std::result::Result<Ipld, Problem> {
        let mut reader = Reader::new(bytes);
        let value = reader.ipld().map_err(|e| e.problem)?;
        reader.finish().map_err(|e| e.problem)?;
        Ok(value)
    }

    #[test]
    fn what_is_not_dag_cbor() {
        for (bytes, problem) in [
            (&b""[..], Problem::Truncated),
            (&[0x18], Problem::Truncated),
            (&[0x18, 23], Problem::NotMinimal),
            (&[0x19, 0, 255], Problem::NotMinimal),
            (&[0x1a, 0, 0, 255, 255], Problem::NotMinimal),
            (&[0x1b, 0, 0, 0, 0, 255, 255, 255, 255], Problem::NotMinimal),
            (&[0x58, 1, 0], Problem::NotMinimal),
            (&[0x9f, 0xff], Problem::Form("an indefinite length")),
            (&[0x5f, 0xff], Problem::Form("an indefinite length")),
            (&[0x1c], Problem::Form("a reserved length")),
            (&[0xf9, 0, 0], Problem::Form("a float of less than 64 bits")),
            (
                &[0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
                Problem::Form("a float that is no number"),
            ),
            (
                &[0xf7],
                Problem::Form("a simple value other than true, false and null"),
            ),
            (&[0xc1, 0], Problem::Form("a tag other than 42")),
            (&[0xd8, 42, 0x41, 0], Problem::Link),
            (&[0xd8, 42, 0x42, 1, 1], Problem::Link),
            (&[0x61, 0xff], Problem::Utf8),
            (
                &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
                Problem::Truncated,
            ),
            (
                &[0xa2, 0x61, b'a', 0, 0x61, b'a', 0],
                Problem::Duplicate("a".into()),
            ),
            (
                &[0xa1, 0, 0],
                Problem::Kind {
                    found: Kind::Unsigned,
                    wanted: "text",
                },
            ),
            (&[0, 0], Problem::Trailing(1)),
        ] {
            assert_eq!(ipld(bytes), Err(problem), "{bytes:02x?}");
        }
        let deep = [vec![0x81; MAX_DEPTH], vec![0x80]].concat();
        assert_eq!(ipld(&deep), Err(Problem::Depth));
        assert!(ipld(&deep[1..]).is_ok());
    }

    #[test]
    fn keys_in_any_order() {
        assert_eq!(
            ipld(&[0xa2, 0x61, b'b', 1, 0x61, b'a', 2]),
            ipld(&[0xa2, 0x61, b'a', 2, 0x61, b'b', 1])
        );
    }
}
