/// How large a container's parts may be.
#[derive(Clone, Copy, Debug)]
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
