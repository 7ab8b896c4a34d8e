use std::fmt::Display;
use std::io::Write;

use multibase::Base;

use super::{JsonError, JsonLimits};
use crate::Cid;

/// Writes JSON piece by piece. Commas are put where they belong; the caller keeps keys and values
/// in turn, closes what was opened, and orders keys.
///
/// ```
/// use storehouse_formats::dag_json::{JsonLimits, JsonWriter};
///
/// let mut text = Vec::new();
/// let mut json = JsonWriter::new(&mut text, JsonLimits::default());
/// json.begin_object()?;
/// json.key("name")?;
/// json.string("a \"b\"")?;
/// json.key("sizes")?;
/// json.begin_array()?;
/// json.number(1)?;
/// json.number(2)?;
/// json.end_array()?;
/// json.end_object()?;
/// assert_eq!(text, br#"{"name":"a \"b\"","sizes":[1,2]}"#);
/// # Ok::<(), storehouse_formats::dag_json::JsonError>(())
/// ```
///
/// ```
/// use storehouse_formats::Cid;
/// use storehouse_formats::dag_json::{JsonLimits, JsonWriter};
///
/// let mut text = Vec::new();
/// let mut json = JsonWriter::new(&mut text, JsonLimits::default());
/// json.begin_array()?;
/// json.null()?;
/// json.bool(true)?;
/// json.float(2.0)?;
/// json.display(&std::net::Ipv4Addr::LOCALHOST)?;
/// json.bytes(&[1, 2])?;
/// json.multibase(&[1, 2])?;
/// json.link(&Cid::v1(0x55, 0x00, b"hi"))?;
/// json.end_array()?;
/// let written = json.written();
/// assert_eq!(written, text.len() as u64);
/// let start = br#"[null,true,2.0,"127.0.0.1",{"/":{"bytes":"AQI"}},"mAQI",{"/":"b"#;
/// assert!(text.starts_with(start));
/// # Ok::<(), storehouse_formats::dag_json::JsonError>(())
/// ```
#[derive(Debug)]
pub struct JsonWriter<W> {
    out: W,
    limits: JsonLimits,
    values: u64,
    bytes: u64,
    comma: bool,
}

type Result<T = ()> = std::result::Result<T, JsonError>;

impl<W: Write> JsonWriter<W> {
    /// Writes to `out`, within `limits`. It writes small pieces: give it a buffer.
    pub fn new(out: W, limits: JsonLimits) -> Self {
        Self {
            out,
            limits,
            values: 0,
            bytes: 0,
            comma: false,
        }
    }

    /// How many bytes were written.
    pub fn written(&self) -> u64 {
        self.bytes
    }

    /// `{`
    ///
    /// # Errors
    /// [`JsonError`], as of all methods.
    pub fn begin_object(&mut self) -> Result {
        self.begin(b"{")
    }

    /// `}`
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn end_object(&mut self) -> Result {
        self.end(b"}")
    }

    /// `[`
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn begin_array(&mut self) -> Result {
        self.begin(b"[")
    }

    /// `]`
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn end_array(&mut self) -> Result {
        self.end(b"]")
    }

    /// The key of the value that comes next.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn key(&mut self, key: &str) -> Result {
        self.separate()?;
        self.quoted(key)?;
        self.put(b":")?;
        self.comma = false;
        Ok(())
    }

    /// `null`
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn null(&mut self) -> Result {
        self.scalar(b"null")
    }

    /// `true` or `false`
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn bool(&mut self, value: bool) -> Result {
        self.scalar(if value { b"true" } else { b"false" })
    }

    /// An integer.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn number(&mut self, value: impl Into<i128>) -> Result {
        self.value()?;
        self.formatted(format_args!("{}", value.into()))
    }

    /// A float, which has a point or an exponent, so that it is read as one.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn float(&mut self, value: f64) -> Result {
        self.value()?;
        self.formatted(format_args!("{value}"))?;
        // Written in full, so it is whole exactly if nothing follows the point.
        if value.is_finite() && value.fract() == 0.0 {
            self.put(b".0")?;
        }
        Ok(())
    }

    /// Text.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn string(&mut self, text: &str) -> Result {
        self.value()?;
        self.quoted(text)
    }

    /// Text that something displays as.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn display(&mut self, value: &impl Display) -> Result {
        self.string(&value.to_string())
    }

    /// A link: `{"/": cid}`.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn link(&mut self, cid: &Cid) -> Result {
        self.value()?;
        self.put(br#"{"/":""#)?;
        self.put(cid.to_string().as_bytes())?;
        self.put(br#""}"#)
    }

    /// Bytes as dag-json has them: `{"/": {"bytes": base64}}`.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Result {
        self.value()?;
        self.put(br#"{"/":{"bytes":""#)?;
        self.base64(bytes)?;
        self.put(br#""}}"#)
    }

    /// Bytes as text in multibase: `m` and base64.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn multibase(&mut self, bytes: &[u8]) -> Result {
        self.value()?;
        self.put(b"\"m")?;
        self.base64(bytes)?;
        self.put(b"\"")
    }

    fn base64(&mut self, bytes: &[u8]) -> Result {
        // Whole groups of three bytes: no piece but the last is padded.
        for piece in bytes.chunks(3 << 10) {
            self.put(Base::Base64.encode(piece).as_bytes())?;
        }
        Ok(())
    }

    /// Without memory of its own: there may be millions of numbers.
    fn formatted(&mut self, text: std::fmt::Arguments<'_>) -> Result {
        struct Pieces<'a, W>(&'a mut JsonWriter<W>, Result);
        impl<W: Write> std::fmt::Write for Pieces<'_, W> {
            fn write_str(&mut self, piece: &str) -> std::fmt::Result {
                self.1 = self.0.put(piece.as_bytes());
                self.1.as_ref().copied().map_err(|_| std::fmt::Error)
            }
        }
        let mut pieces = Pieces(self, Ok(()));
        match std::fmt::write(&mut pieces, text) {
            Ok(()) => Ok(()),
            Err(_) => pieces.1,
        }
    }

    fn begin(&mut self, bracket: &[u8]) -> Result {
        self.value()?;
        self.comma = false;
        self.put(bracket)
    }

    fn end(&mut self, bracket: &[u8]) -> Result {
        self.comma = true;
        self.put(bracket)
    }

    fn scalar(&mut self, text: &[u8]) -> Result {
        self.value()?;
        self.put(text)
    }

    /// Counts a value, before which a comma may belong.
    fn value(&mut self) -> Result {
        self.values += 1;
        if self.values > self.limits.values {
            return Err(JsonError::TooLarge(self.limits));
        }
        self.separate()
    }

    fn separate(&mut self) -> Result {
        if self.comma {
            self.put(b",")?;
        }
        self.comma = true;
        Ok(())
    }

    fn quoted(&mut self, text: &str) -> Result {
        self.put(b"\"")?;
        let mut rest = text;
        while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
            self.put(&rest.as_bytes()[..at])?;
            // All of these have one byte.
            match rest.as_bytes()[at] {
                b'"' => self.put(b"\\\"")?,
                b'\\' => self.put(b"\\\\")?,
                b'\n' => self.put(b"\\n")?,
                b'\r' => self.put(b"\\r")?,
                b'\t' => self.put(b"\\t")?,
                0x8 => self.put(b"\\b")?,
                0xc => self.put(b"\\f")?,
                byte => self.put(format!("\\u{byte:04x}").as_bytes())?,
            }
            rest = &rest[at + 1..];
        }
        self.put(rest.as_bytes())?;
        self.put(b"\"")
    }

    fn put(&mut self, text: &[u8]) -> Result {
        self.bytes += text.len() as u64;
        if self.bytes > self.limits.bytes {
            return Err(JsonError::TooLarge(self.limits));
        }
        Ok(self.out.write_all(text)?)
    }
}
