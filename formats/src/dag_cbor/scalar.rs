use crate::Cid;

/// A value that holds no others.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// From -2^64 to 2^64 - 1 (both inclusive).
    Integer(i128),
    /// A finite float.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// A byte string.
    Bytes(&'a [u8]),
    /// A link.
    Link(Cid),
}
