use std::io;

/// How much JSON a writer gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JsonLimits {
    /// The number of values (inclusive), where maps and lists count too. Default: 1,000,000.
    pub values: u64,
    /// The text, in bytes (inclusive). Default: 64 MiB.
    pub bytes: u64,
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self {
            values: 1_000_000,
            bytes: 64 << 20,
        }
    }
}

impl JsonLimits {
    /// With another number of values (inclusive).
    ///
    /// ```
    /// # use storehouse_formats::dag_json::JsonLimits;
    /// assert_eq!(JsonLimits::default().values(10).values, 10);
    /// ```
    #[must_use]
    pub fn values(mut self, values: u64) -> Self {
        self.values = values;
        self
    }

    /// With another length of the text, in bytes (inclusive).
    ///
    /// ```
    /// # use storehouse_formats::dag_json::JsonLimits;
    /// assert_eq!(JsonLimits::default().bytes(10).bytes, 10);
    /// ```
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// What a view of a record of this many bytes may take: 4 bytes of text for each, and 64 KiB.
    /// A buffer that doubles as it grows then allocates at most 16 times the record in all.
    ///
    /// ```
    /// # use storehouse_formats::dag_json::JsonLimits;
    /// assert_eq!(JsonLimits::for_record(1_000).bytes, 4_000 + 65_536);
    /// ```
    #[must_use]
    pub fn for_record(bytes: usize) -> Self {
        Self::default().bytes((bytes as u64).saturating_mul(4).saturating_add(64 << 10))
    }
}

/// Why JSON was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// There is more of it than allowed.
    #[error("as JSON it has more than {} values or {} bytes", .0.values, .0.bytes)]
    TooLarge(JsonLimits),
    /// The sink failed.
    #[error("the JSON cannot be written")]
    Io(#[from] io::Error),
}
