//! Options, and what a get says.

/// Options of a [`VerifyStore`](super::VerifyStore).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// Store a hash tree with each object, so that ranges are verified too. It takes 64 bytes for
    /// each 16 KiB. Not changed once the store holds objects. False by default.
    pub outboards: bool,
    /// Answer a get of a range that cannot be verified with
    /// [`Unsupported`](storehouse_objectstore::Error::Unsupported). False by default.
    pub refuse_unverified: bool,
}

impl VerifyOptions {
    /// With a hash tree for each object, or not.
    ///
    /// ```
    /// # use storehouse_layers::VerifyOptions;
    /// assert!(VerifyOptions::default().outboards(true).outboards);
    /// ```
    #[must_use]
    pub fn outboards(mut self, outboards: bool) -> Self {
        self.outboards = outboards;
        self
    }

    /// Refusing ranges that cannot be verified, or not.
    ///
    /// ```
    /// # use storehouse_layers::VerifyOptions;
    /// assert!(VerifyOptions::default().refuse_unverified(true).refuse_unverified);
    /// ```
    #[must_use]
    pub fn refuse_unverified(mut self, refuse: bool) -> Self {
        self.refuse_unverified = refuse;
        self
    }
}

/// Whether a body is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Bytes that are not those that were put are an error.
    Yes,
    /// Nothing is checked: a range of an object without a tree.
    No,
}
