use zeroize::Zeroizing;

/// A version of a key: its value, or that it was deleted.
pub(super) struct Version {
    pub(super) key: Vec<u8>,
    pub(super) sequence: u64,
    pub(super) value: Option<Zeroizing<Vec<u8>>>,
}
