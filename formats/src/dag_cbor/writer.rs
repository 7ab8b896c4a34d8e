use ipld_core::ipld::Ipld;

use crate::Cid;

/// Writes dag-cbor. The caller keeps maps in order (shorter keys first, then by bytes) and counts
/// right.
///
/// ```
/// use storehouse_formats::dag_cbor::{RawValue, Writer};
/// use storehouse_formats::{Cid, Ipld};
///
/// let mut writer = Writer::with_capacity(64); // bytes
/// writer.map(3);
/// writer.text("to");
/// writer.link(&Cid::v1(0x55, 0x00, b"hi"));
/// writer.text("body");
/// writer.list(4);
/// writer.uint(5);
/// writer.bytes(b"\x01\x02");
/// writer.null();
/// writer.ipld(&Ipld::Bool(true));
/// writer.text("reply");
/// writer.raw(&[0x80]);
///
/// let value = RawValue::new(writer.into_bytes().into())?;
/// let Ipld::Map(fields) = value.to_ipld()? else { panic!("a map was written") };
/// assert_eq!(fields["reply"], Ipld::List(vec![]));
/// # Ok::<(), storehouse_formats::dag_cbor::DecodeError>(())
/// ```
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// With room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The head of a map: `entries` times a key and a value follow.
    pub fn map(&mut self, entries: usize) {
        self.head(5, entries as u64);
    }

    /// The head of a list: `items` values follow.
    pub fn list(&mut self, items: usize) {
        self.head(4, items as u64);
    }

    /// Text; a map's keys too.
    pub fn text(&mut self, text: &str) {
        self.head(3, text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A byte string.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.head(2, bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// An integer that is not negative.
    pub fn uint(&mut self, value: u64) {
        self.head(0, value);
    }

    /// `null`.
    pub fn null(&mut self) {
        self.0.push(0xf6);
    }

    /// A link.
    pub fn link(&mut self, cid: &Cid) {
        self.0.extend_from_slice(&[0xd8, 0x2a]);
        self.head(2, 1 + cid.as_bytes().len() as u64);
        self.0.push(0);
        self.0.extend_from_slice(cid.as_bytes());
    }

    /// A value that is dag-cbor already.
    pub fn raw(&mut self, value: &[u8]) {
        self.0.extend_from_slice(value);
    }

    /// Any value, its maps put in order. Integers that CBOR cannot say, and no reader gives, become
    /// the nearest that it can; floats that are no number, `null`.
    pub fn ipld(&mut self, value: &Ipld) {
        match value {
            Ipld::Null => self.null(),
            Ipld::Bool(value) => self.0.push(0xf4 + u8::from(*value)),
            Ipld::Integer(value) => match u64::try_from(*value) {
                Ok(value) => self.uint(value),
                Err(_) if *value < 0 => {
                    self.head(1, u64::try_from(-1 - *value).unwrap_or(u64::MAX))
                }
                Err(_) => self.uint(u64::MAX),
            },
            Ipld::Float(value) if !value.is_finite() => self.null(),
            Ipld::Float(value) => {
                self.0.push(0xfb);
                self.0.extend_from_slice(&value.to_be_bytes());
            }
            Ipld::String(text) => self.text(text),
            Ipld::Bytes(bytes) => self.bytes(bytes),
            Ipld::Link(cid) => self.link(&cid.into()),
            Ipld::List(items) => {
                self.list(items.len());
                items.iter().for_each(|item| self.ipld(item));
            }
            Ipld::Map(map) => {
                self.map(map.len());
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
                for (key, value) in entries {
                    self.text(key);
                    self.ipld(value);
                }
            }
        }
    }

    fn head(&mut self, major: u8, value: u64) {
        let major = major << 5;
        match value {
            0..24 => self.0.push(major | value as u8),
            24..0x100 => self.0.extend_from_slice(&[major | 24, value as u8]),
            0x100..0x1_0000 => {
                self.0.push(major | 25);
                self.0.extend_from_slice(&(value as u16).to_be_bytes());
            }
            0x1_0000..0x1_0000_0000 => {
                self.0.push(major | 26);
                self.0.extend_from_slice(&(value as u32).to_be_bytes());
            }
            _ => {
                self.0.push(major | 27);
                self.0.extend_from_slice(&value.to_be_bytes());
            }
        }
    }
}
