//! dag-cbor to dag-json.

use std::io::{self, Write};

use smallvec::SmallVec;

use super::{JsonError, JsonLimits, JsonWriter};
use crate::dag_cbor::{DecodeError, Kind, RawValue, Reader, Scalar};

/// The text of a value.
///
/// ```
/// use storehouse_formats::Ipld;
/// use storehouse_formats::dag_cbor::RawValue;
/// use storehouse_formats::dag_json::{JsonError, JsonLimits, to_string};
///
/// let value = RawValue::from(&Ipld::List(vec![Ipld::Null, Ipld::Float(2.0)]));
/// assert_eq!(to_string(&value, JsonLimits::default())?, "[null,2.0]");
/// let refused = to_string(&value, JsonLimits::default().values(2));
/// assert!(matches!(refused, Err(JsonError::TooLarge(_))));
/// # Ok::<(), storehouse_formats::dag_json::JsonError>(())
/// ```
///
/// # Errors
/// [`JsonError::TooLarge`].
pub fn to_string(value: &RawValue, limits: JsonLimits) -> Result<String, JsonError> {
    let mut text = Vec::new();
    JsonWriter::new(&mut text, limits).value_of(value)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// How many bytes of JSON `write` gives, of which nothing is kept: tells whether it stays within
/// limits before the first byte of an answer is sent.
///
/// ```
/// use storehouse_formats::dag_json::{JsonError, JsonLimits, size};
///
/// assert_eq!(size(JsonLimits::default(), |json| json.string("abc"))?, 5);
/// let limits = JsonLimits::default().bytes(4);
/// assert!(matches!(size(limits, |json| json.string("abc")), Err(JsonError::TooLarge(_))));
/// # Ok::<(), JsonError>(())
/// ```
///
/// # Errors
/// Those of `write`.
pub fn size(
    limits: JsonLimits,
    write: impl FnOnce(&mut JsonWriter<io::Sink>) -> Result<(), JsonError>,
) -> Result<u64, JsonError> {
    let mut json = JsonWriter::new(io::sink(), limits);
    write(&mut json)?;
    Ok(json.written())
}

impl<W: Write> JsonWriter<W> {
    /// A value of dag-cbor. What is needed besides the text is less than four times the value's
    /// bytes: an index of the maps' keys, which are in another order there.
    ///
    /// ```
    /// use storehouse_formats::Ipld;
    /// use storehouse_formats::dag_cbor::RawValue;
    /// use storehouse_formats::dag_json::{JsonLimits, JsonWriter};
    ///
    /// let mut text = Vec::new();
    /// let mut json = JsonWriter::new(&mut text, JsonLimits::default());
    /// json.begin_object()?;
    /// json.key("nb")?;
    /// json.value_of(&RawValue::from(Ipld::List(vec![Ipld::Integer(5)])))?;
    /// json.end_object()?;
    /// assert_eq!(text, br#"{"nb":[5]}"#);
    /// # Ok::<(), storehouse_formats::dag_json::JsonError>(())
    /// ```
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn value_of(&mut self, value: &RawValue) -> Result<(), JsonError> {
        // A raw value was checked when it was made.
        let mut index = Index(Vec::with_capacity(
            entries(&mut value.reader()).map_err(damaged)?,
        ));
        index.read(&mut value.reader()).map_err(damaged)?;
        Emit {
            json: self,
            reader: value.reader(),
            index: &index,
            next: 0,
        }
        .value()
    }
}

fn damaged(error: DecodeError) -> JsonError {
    JsonError::Io(io::Error::new(io::ErrorKind::InvalidData, error))
}

/// How many entries all maps of the next value have.
fn entries(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    let mut count = 0;
    match reader.kind()? {
        Kind::List => {
            for _ in 0..reader.list()? {
                count += entries(reader)?;
            }
        }
        Kind::Map => {
            for _ in 0..reader.map()? {
                reader.text()?;
                count += 1 + entries(reader)?;
            }
        }
        _ => drop(reader.scalar()?),
    }
    Ok(count)
}

/// All entries of all maps, in the order of their bytes.
struct Index(Vec<Entry>);

struct Entry {
    /// Where its key begins.
    key: u32,
    /// How many entries lie within its value.
    inner: u32,
}

impl Index {
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        match reader.kind()? {
            Kind::List => {
                for _ in 0..reader.list()? {
                    self.read(reader)?;
                }
            }
            Kind::Map => {
                for _ in 0..reader.map()? {
                    let entry = self.0.len();
                    self.0.push(Entry {
                        key: reader.offset() as u32,
                        inner: 0,
                    });
                    reader.text()?;
                    self.read(reader)?;
                    self.0[entry].inner = (self.0.len() - entry - 1) as u32;
                }
            }
            _ => drop(reader.scalar()?),
        }
        Ok(())
    }
}

struct Emit<'a, W> {
    json: &'a mut JsonWriter<W>,
    reader: Reader<'a>,
    index: &'a Index,
    /// The next entry of the index, in the order of the bytes.
    next: usize,
}

impl<W: Write> Emit<'_, W> {
    fn value(&mut self) -> Result<(), JsonError> {
        match self.reader.kind().map_err(damaged)? {
            Kind::List => {
                self.json.begin_array()?;
                for _ in 0..self.reader.list().map_err(damaged)? {
                    self.value()?;
                }
                self.json.end_array()
            }
            Kind::Map => {
                self.json.begin_object()?;
                let len = self.reader.map().map_err(damaged)?;
                self.entries(len)?;
                self.json.end_object()
            }
            _ => match self.reader.scalar().map_err(damaged)? {
                Scalar::Null => self.json.null(),
                Scalar::Bool(value) => self.json.bool(value),
                Scalar::Integer(value) => self.json.number(value),
                Scalar::Float(value) => self.json.float(value),
                Scalar::Text(text) => self.json.string(text),
                Scalar::Bytes(bytes) => self.json.bytes(bytes),
                Scalar::Link(cid) => self.json.link(&cid),
            },
        }
    }

    /// The entries of a map, by their keys. Leaves everything behind the map.
    fn entries(&mut self, len: usize) -> Result<(), JsonError> {
        // Four bytes an entry, as an entry may have but two or three.
        let mut order: SmallVec<[u32; 16]> = SmallVec::with_capacity(len);
        let mut next = self.next;
        for _ in 0..len {
            order.push(next as u32);
            next += 1 + self.index.0[next].inner as usize;
        }
        let Some(&last) = order.last() else {
            return Ok(());
        };
        order.sort_unstable_by(|a, b| self.key(*a).cmp(self.key(*b)));
        let mut end = self.reader.offset();
        for entry in order {
            self.reader.seek(self.index.0[entry as usize].key as usize);
            let key = self.reader.text().map_err(damaged)?;
            self.json.key(key)?;
            self.next = entry as usize + 1;
            self.value()?;
            if entry == last {
                end = self.reader.offset();
            }
        }
        self.reader.seek(end);
        self.next = next;
        Ok(())
    }
    fn key(&self, entry: u32) -> &str {
        let mut reader = self.reader.clone();
        reader.seek(self.index.0[entry as usize].key as usize);
        reader.text().unwrap_or_default()
    }
}
