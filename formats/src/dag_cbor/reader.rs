use super::{DecodeError, Kind, MAX_DEPTH, Problem, Scalar};
use crate::Cid;

type Result<T> = std::result::Result<T, DecodeError>;

/// Reads dag-cbor value by value, from a slice and without copying.
///
/// ```
/// use storehouse_formats::dag_cbor::{Kind, Reader, Scalar, Writer};
/// use storehouse_formats::{Cid, Ipld};
///
/// let cid = Cid::v1(0x55, 0x00, b"hi");
/// let mut writer = Writer::default();
/// writer.list(8);
/// writer.uint(5);
/// writer.text("five");
/// writer.bytes(b"\x05");
/// writer.link(&cid);
/// writer.null();
/// writer.map(0);
/// writer.raw(&[0x81, 0x05]);
/// writer.uint(6);
/// let bytes = writer.into_bytes();
///
/// let mut reader = Reader::new(&bytes);
/// assert_eq!((reader.kind()?, reader.offset()), (Kind::List, 0));
/// assert_eq!(reader.list()?, 8);
/// assert_eq!(reader.uint()?, 5);
/// assert_eq!(reader.text()?, "five");
/// assert_eq!(reader.bytes()?, b"\x05");
/// assert_eq!(reader.link()?, cid);
/// assert!(reader.null());
/// assert_eq!(reader.map()?, 0);
/// assert_eq!(reader.ipld()?, Ipld::List(vec![Ipld::Integer(5)]));
/// assert_eq!(reader.scalar()?, Scalar::Integer(6));
/// reader.finish()?;
///
/// // A value that is passed over is checked.
/// assert_eq!(Reader::new(&bytes).raw()?, bytes);
/// assert!(Reader::new(&bytes[..bytes.len() - 1]).raw().is_err());
/// # Ok::<(), storehouse_formats::dag_cbor::DecodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    pub(super) all: &'a [u8],
    pub(super) at: usize,
    pub(super) depth: usize,
}

impl<'a> Reader<'a> {
    /// A reader of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            all: bytes,
            at: 0,
            depth: 0,
        }
    }

    /// Where the next value begins, in bytes.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// An error about the value that begins at `offset`.
    ///
    /// ```
    /// use storehouse_formats::dag_cbor::{Problem, Reader};
    ///
    /// let error = Reader::error_at(7, Problem::MissingField("size"));
    /// assert_eq!(error.to_string(), "at byte 7: the field \"size\" is missing");
    /// ```
    #[must_use]
    pub fn error_at(offset: usize, problem: Problem) -> DecodeError {
        DecodeError { offset, problem }
    }

    /// The end: nothing may follow.
    ///
    /// # Errors
    /// [`Problem::Trailing`].
    pub fn finish(self) -> Result<()> {
        match self.all.len() - self.at {
            0 => Ok(()),
            more => Err(Self::error_at(self.at, Problem::Trailing(more))),
        }
    }

    /// The kind of the next value, which stays where it is.
    ///
    /// # Errors
    /// [`Problem::Truncated`] at the end.
    pub fn kind(&self) -> Result<Kind> {
        let first = self
            .all
            .get(self.at)
            .ok_or(Self::error_at(self.at, Problem::Truncated))?;
        Ok(Kind::of(*first))
    }

    /// Whether the next value is `null`; it is passed over then.
    pub fn null(&mut self) -> bool {
        let null = self.all.get(self.at) == Some(&0xf6);
        self.at += usize::from(null);
        null
    }

    /// An integer from 0 to 2^64 - 1.
    ///
    /// # Errors
    /// [`DecodeError`] if the next value is none.
    pub fn uint(&mut self) -> Result<u64> {
        self.head(0, "an integer that is not negative")
    }

    /// A byte string.
    ///
    /// # Errors
    /// [`DecodeError`] if the next value is none.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let start = self.at;
        let len = self.head(2, "a byte string")?;
        self.take(start, len)
    }

    /// Text.
    ///
    /// # Errors
    /// [`DecodeError`] if the next value is none.
    pub fn text(&mut self) -> Result<&'a str> {
        let start = self.at;
        let len = self.head(3, "text")?;
        std::str::from_utf8(self.take(start, len)?)
            .map_err(|_| Self::error_at(start, Problem::Utf8))
    }

    /// The head of a list: the number of values that follow.
    ///
    /// # Errors
    /// [`DecodeError`] if the next value is none.
    pub fn list(&mut self) -> Result<usize> {
        let start = self.at;
        let len = self.head(4, "a list")?;
        self.count(start, len, 1)
    }

    /// The head of a map: the number of pairs of key and value that follow.
    ///
    /// # Errors
    /// [`DecodeError`] if the next value is none.
    pub fn map(&mut self) -> Result<usize> {
        let start = self.at;
        let len = self.head(5, "a map")?;
        self.count(start, len, 2)
    }

    /// A link.
    ///
    /// # Errors
    /// [`DecodeError`] if the next value is none.
    pub fn link(&mut self) -> Result<Cid> {
        let start = self.at;
        if self.head(6, "a link")? != 42 {
            return Err(Self::error_at(start, Problem::Form("a tag other than 42")));
        }
        let bad = || Self::error_at(start, Problem::Link);
        let cid = self
            .bytes()
            .map_err(|_| bad())?
            .strip_prefix(&[0])
            .ok_or_else(bad)?;
        Cid::from_bytes(cid).map_err(|_| bad())
    }

    /// A map as fields: `field` is called with each key, to read its value from the reader; it
    /// answers whether there is such a field. Keys that come twice must be found there, as
    /// [`Reader::set`] does.
    ///
    /// ```
    /// use storehouse_formats::dag_cbor::{DecodeError, Problem, Reader};
    ///
    /// /// Reads `{"size": …}`.
    /// fn size(bytes: &[u8]) -> Result<u64, DecodeError> {
    ///     let (mut reader, mut size) = (Reader::new(bytes), None);
    ///     reader.fields(|reader, key| {
    ///         if key != b"size" {
    ///             return Ok(false);
    ///         }
    ///         let value = reader.uint()?;
    ///         reader.set("size", &mut size, value)?;
    ///         Ok(true)
    ///     })?;
    ///     reader.finish()?;
    ///     size.ok_or(Reader::error_at(0, Problem::MissingField("size")))
    /// }
    ///
    /// assert_eq!(size(b"\xa1\x64size\x05")?, 5);
    /// let problem = |bytes| size(bytes).unwrap_err().problem;
    /// assert_eq!(problem(b"\xa1\x64sort\x05"), Problem::UnknownField("sort".into()));
    /// assert_eq!(problem(b"\xa2\x64size\x05\x64size\x05"), Problem::Duplicate("size".into()));
    /// assert_eq!(problem(b"\xa0"), Problem::MissingField("size"));
    /// # Ok::<(), storehouse_formats::dag_cbor::DecodeError>(())
    /// ```
    ///
    /// # Errors
    /// [`DecodeError`] if the next value is no map, or what `field` answers;
    /// [`Problem::UnknownField`] if it answers `false`.
    pub fn fields(
        &mut self,
        mut field: impl FnMut(&mut Self, &'a [u8]) -> Result<bool>,
    ) -> Result<()> {
        for _ in 0..self.map()? {
            let start = self.at;
            let len = self.head(3, "text")?;
            let key = self.take(start, len)?;
            if !field(self, key)? {
                let name = String::from_utf8_lossy(&key[..key.len().min(64)]).into_owned();
                return Err(Self::error_at(start, Problem::UnknownField(name)));
            }
        }
        Ok(())
    }

    /// Puts a field's value where it belongs.
    ///
    /// ```
    /// use storehouse_formats::dag_cbor::{Problem, Reader};
    ///
    /// let (reader, mut slot) = (Reader::new(b""), None);
    /// reader.set("size", &mut slot, 5)?;
    /// let twice = reader.set("size", &mut slot, 6).unwrap_err();
    /// assert_eq!(twice.problem, Problem::Duplicate("size".into()));
    /// # Ok::<(), storehouse_formats::dag_cbor::DecodeError>(())
    /// ```
    ///
    /// # Errors
    /// [`Problem::Duplicate`] if one is there.
    pub fn set<T>(&self, name: &'static str, slot: &mut Option<T>, value: T) -> Result<()> {
        match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(Self::error_at(self.at, Problem::Duplicate(name.to_owned()))),
        }
    }

    /// The next value, if it is neither a list nor a map.
    ///
    /// # Errors
    /// [`DecodeError`] if it is, or is not dag-cbor.
    pub fn scalar(&mut self) -> Result<Scalar<'a>> {
        Ok(match self.kind()? {
            Kind::Unsigned => Scalar::Integer(self.uint()?.into()),
            Kind::Negative => Scalar::Integer(-1 - i128::from(self.head(1, "a negative integer")?)),
            Kind::Bytes => Scalar::Bytes(self.bytes()?),
            Kind::Text => Scalar::Text(self.text()?),
            Kind::Tag => Scalar::Link(self.link()?),
            Kind::Simple => self.simple()?,
            found @ (Kind::List | Kind::Map) => {
                let wanted = "neither a list nor a map";
                return Err(Self::error_at(self.at, Problem::Kind { found, wanted }));
            }
        })
    }

    /// Goes on at `offset`, which is where a value begins or the last one ends.
    pub(crate) fn seek(&mut self, offset: usize) {
        self.at = offset.min(self.all.len());
    }

    pub(super) fn deeper(&mut self, start: usize) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            Err(Self::error_at(start, Problem::Depth))
        } else {
            Ok(())
        }
    }

    pub(super) fn simple(&mut self) -> Result<Scalar<'a>> {
        let start = self.at;
        self.at += 1;
        Ok(match self.all[start] {
            0xf4 => Scalar::Bool(false),
            0xf5 => Scalar::Bool(true),
            0xf6 => Scalar::Null,
            0xfb => {
                let bytes: [u8; 8] = self
                    .take(start, 8)?
                    .try_into()
                    .map_err(|_| Self::error_at(start, Problem::Truncated))?;
                let float = f64::from_be_bytes(bytes);
                if !float.is_finite() {
                    return Err(Self::error_at(
                        start,
                        Problem::Form("a float that is no number"),
                    ));
                }
                Scalar::Float(float)
            }
            0xf9 | 0xfa => {
                return Err(Self::error_at(
                    start,
                    Problem::Form("a float of less than 64 bits"),
                ));
            }
            0xff => return Err(Self::error_at(start, Problem::Form("an indefinite length"))),
            _ => {
                return Err(Self::error_at(
                    start,
                    Problem::Form("a simple value other than true, false and null"),
                ));
            }
        })
    }

    /// A head of this major type, and its number.
    pub(super) fn head(&mut self, major: u8, wanted: &'static str) -> Result<u64> {
        let start = self.at;
        let truncated = || Self::error_at(start, Problem::Truncated);
        let first = *self.all.get(start).ok_or_else(truncated)?;
        if first >> 5 != major {
            return Err(Self::error_at(
                start,
                Problem::Kind {
                    found: Kind::of(first),
                    wanted,
                },
            ));
        }
        let info = first & 0x1f;
        let (width, least) = match info {
            0..24 => {
                self.at += 1;
                return Ok(info.into());
            }
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            31 => return Err(Self::error_at(start, Problem::Form("an indefinite length"))),
            _ => return Err(Self::error_at(start, Problem::Form("a reserved length"))),
        };
        let bytes = self
            .all
            .get(start + 1..start + 1 + width)
            .ok_or_else(truncated)?;
        let value = bytes
            .iter()
            .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        if value < least {
            return Err(Self::error_at(start, Problem::NotMinimal));
        }
        self.at = start + 1 + width;
        Ok(value)
    }

    fn take(&mut self, start: usize, len: u64) -> Result<&'a [u8]> {
        let len = usize::try_from(len)
            .ok()
            .filter(|len| *len <= self.all.len() - self.at);
        let end = self.at + len.ok_or(Self::error_at(start, Problem::Truncated))?;
        let taken = &self.all[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// A count of what takes at least `each` bytes: more than there can be is a lie.
    fn count(&self, start: usize, len: u64, each: usize) -> Result<usize> {
        let most = (self.all.len() - self.at) / each;
        usize::try_from(len)
            .ok()
            .filter(|len| *len <= most)
            .ok_or(Self::error_at(start, Problem::Truncated))
    }
}
