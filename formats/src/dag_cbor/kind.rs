use std::fmt;

/// A kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// An integer that is not negative.
    Unsigned,
    /// A negative integer.
    Negative,
    /// A byte string.
    Bytes,
    /// Text.
    Text,
    /// A list.
    List,
    /// A map.
    Map,
    /// A link, or another tag.
    Tag,
    /// `true`, `false`, `null`, a float, or what else CBOR has there.
    Simple,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsigned => "an integer",
            Self::Negative => "a negative integer",
            Self::Bytes => "a byte string",
            Self::Text => "text",
            Self::List => "a list",
            Self::Map => "a map",
            Self::Tag => "a tag",
            Self::Simple => "a simple value",
        })
    }
}

impl Kind {
    /// The kind of the value that begins with this byte.
    pub(super) fn of(first: u8) -> Self {
        match first >> 5 {
            0 => Self::Unsigned,
            1 => Self::Negative,
            2 => Self::Bytes,
            3 => Self::Text,
            4 => Self::List,
            5 => Self::Map,
            6 => Self::Tag,
            _ => Self::Simple,
        }
    }
}
