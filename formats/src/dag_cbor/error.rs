use super::Kind;

/// What is wrong with some dag-cbor, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {problem}")]
pub struct DecodeError {
    /// Where the value at fault begins, in bytes.
    pub offset: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with dag-cbor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The data ends in the middle of a value, or a length says so.
    #[error("the data ends in the middle")]
    Truncated,
    /// Bytes follow the value.
    #[error("{0} bytes follow the value")]
    Trailing(usize),
    /// An integer or a length takes more bytes than it needs.
    #[error("an integer or a length is longer than it needs to be")]
    NotMinimal,
    /// A form that CBOR has and dag-cbor has not.
    #[error("{0} is not dag-cbor")]
    Form(&'static str),
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// A link that is not a CID.
    #[error("a link is not a CID")]
    Link,
    /// A value of another kind than the one wanted.
    #[error("{found} where {wanted} belongs")]
    Kind {
        /// What is there.
        found: Kind,
        /// What should be.
        wanted: &'static str,
    },
    /// A key twice in one map.
    #[error("the key {0:?} occurs twice")]
    Duplicate(String),
    /// A field that the record does not have.
    #[error("there is no field {0:?}")]
    UnknownField(String),
    /// A field that must be there.
    #[error("the field {0:?} is missing")]
    MissingField(&'static str),
    /// A field's value is of the right kind, but not valid.
    #[error("the field {field:?} is not valid: {reason}")]
    Field {
        /// The field.
        field: &'static str,
        /// Why not.
        reason: String,
    },
    /// A value that in memory takes more room than is allowed.
    #[error("in memory the value takes far more room than its bytes")]
    Expands,
    /// A link with a hash that is too long for a value in memory.
    #[error("a link's hash is longer than 64 bytes, which a value in memory cannot have")]
    LinkLength,
    /// Too many maps and lists in each other.
    #[error(
        "maps and lists are nested more than {} deep",
        super::limits::MAX_DEPTH
    )]
    Depth,
}
