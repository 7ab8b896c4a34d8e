//! Options.

/// Options of a [`CompleteStore`](super::CompleteStore).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompleteOptions {
    /// The largest record, in bytes (inclusive). 1 MiB by default. Each is read whole; a larger one
    /// is refused by a put, and is an error when it is read.
    pub max_record: u64,
    /// The most objects that a record may name (inclusive), each counted once. 10,000 by default. A
    /// record with more is an error when it is read.
    pub max_objects: usize,
    /// How many objects of a record are asked for at a time; at least 1. 16 by default.
    pub at_once: usize,
    /// Whether listings leave records out that are not complete. True by default; without it they
    /// show all records, and cost what the records' store takes for them.
    pub filter_lists: bool,
}

impl Default for CompleteOptions {
    fn default() -> Self {
        Self {
            max_record: 1024 * 1024,
            max_objects: 10_000,
            at_once: 16,
            filter_lists: true,
        }
    }
}

impl CompleteOptions {
    /// With records of at most this size, in bytes (inclusive).
    ///
    /// ```
    /// # use storehouse_layers::CompleteOptions;
    /// assert_eq!(CompleteOptions::default().max_record(4096).max_record, 4096);
    /// ```
    #[must_use]
    pub fn max_record(mut self, bytes: u64) -> Self {
        self.max_record = bytes;
        self
    }

    /// With at most this number of objects in a record (inclusive).
    ///
    /// ```
    /// # use storehouse_layers::CompleteOptions;
    /// assert_eq!(CompleteOptions::default().max_objects(9).max_objects, 9);
    /// ```
    #[must_use]
    pub fn max_objects(mut self, number: usize) -> Self {
        self.max_objects = number;
        self
    }

    /// With this number of objects asked for at a time; 0 is taken as 1.
    ///
    /// ```
    /// # use storehouse_layers::CompleteOptions;
    /// assert_eq!(CompleteOptions::default().at_once(4).at_once, 4);
    /// ```
    #[must_use]
    pub fn at_once(mut self, number: usize) -> Self {
        self.at_once = number.max(1);
        self
    }

    /// With listings of complete records alone, or of all.
    ///
    /// ```
    /// # use storehouse_layers::CompleteOptions;
    /// assert!(!CompleteOptions::default().filter_lists(false).filter_lists);
    /// ```
    #[must_use]
    pub fn filter_lists(mut self, filter: bool) -> Self {
        self.filter_lists = filter;
        self
    }
}
