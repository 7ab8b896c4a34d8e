/// How large a container's parts may be.
///
/// ```
/// use bytes::Bytes;
/// use storehouse_formats::car::{Archive, CarLimits, CarProblem, dag_cbor_cid_of};
///
/// let block = Bytes::from_static(b"\xa0");
/// let cid = dag_cbor_cid_of(&block);
/// let bytes = Archive::build(&[cid.clone()], &[(cid.clone(), block.clone()), (cid, block)]);
/// let limits = CarLimits::default().header(1 << 10).section(1 << 20).blocks(1);
/// let error = Archive::parse(bytes, limits).unwrap_err();
/// assert!(matches!(error.problem, CarProblem::Blocks { limit: 1 }));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CarLimits {
    /// The header, in bytes (inclusive). Default: 64 KiB, some 1,500 roots.
    pub header: usize,
    /// A block with its CID, in bytes (inclusive). Default: 32 MiB, which is also what Go's reader
    /// takes.
    pub section: usize,
    /// The number of blocks (inclusive). Default: 1,048,576.
    pub blocks: usize,
}

impl Default for CarLimits {
    fn default() -> Self {
        Self {
            header: 64 << 10,
            section: 32 << 20,
            blocks: 1 << 20,
        }
    }
}

impl CarLimits {
    /// With this largest header, in bytes (inclusive).
    ///
    /// ```
    /// use storehouse_formats::car::CarLimits;
    ///
    /// let limits = CarLimits::default().header(1 << 10).section(1 << 20).blocks(16);
    /// assert_eq!((limits.header, limits.section, limits.blocks), (1 << 10, 1 << 20, 16));
    /// ```
    #[must_use]
    pub fn header(mut self, bytes: usize) -> Self {
        self.header = bytes;
        self
    }

    /// With this largest block and its CID, in bytes (inclusive).
    #[must_use]
    pub fn section(mut self, bytes: usize) -> Self {
        self.section = bytes;
        self
    }

    /// With this largest number of blocks (inclusive).
    #[must_use]
    pub fn blocks(mut self, blocks: usize) -> Self {
        self.blocks = blocks;
        self
    }
}
