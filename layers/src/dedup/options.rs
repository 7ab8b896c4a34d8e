//! Options, and what a collection says.

use std::time::Duration;

/// Options of a [`DedupStore`](super::DedupStore). Objects written with others can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DedupOptions {
    /// The average size of a chunk, in bytes: a multiple of 8 from 4 KiB to 1 MiB. A chunk has a
    /// quarter of it at least, but for the last of an object, and four times as much at most.
    /// 256 KiB by default. Objects chunked with another size share no chunks with these.
    pub chunk_size: usize,
    /// The end of an object stays in its manifest if the last chunk has at most this many bytes
    /// (inclusive, 16 KiB at most). Such bytes take no request of their own, and are stored for
    /// each object. 4 KiB by default.
    pub inline: usize,
    /// How long chunks are kept after they were written or found by a put, whether or not an object
    /// has them: for puts and copies of other processes. One that takes more than a quarter of it
    /// renews its chunks before it writes the manifest, and fails with a transient error if one is
    /// gone or if that takes another quarter. Zero trusts that no other process writes. `None`, the
    /// default, is zero if both inner stores are local, and one hour if not.
    pub grace: Option<Duration>,
    /// Collect in the background, this long after the first write of this process and after the
    /// last collection, and after a sixteenth of it if that failed. A Tokio runtime with time
    /// enabled is needed; outside of any runtime nothing begins. One day by default. `None` leaves
    /// it to [`DedupStore::collect`](super::DedupStore::collect), which a process that ends sooner
    /// has to call itself.
    ///
    /// After a collection that failed, in the background or not, and not for a transient cause, the
    /// store's health is an error that says why, until one ends well.
    pub collect_every: Option<Duration>,
}

impl Default for DedupOptions {
    fn default() -> Self {
        Self {
            chunk_size: 256 * 1024,
            inline: 4096,
            grace: None,
            collect_every: Some(Duration::from_secs(24 * 60 * 60)),
        }
    }
}

impl DedupOptions {
    /// With chunks of this size on average, in bytes: a multiple of 8 from 4 KiB to 1 MiB.
    ///
    /// ```
    /// # use storehouse_layers::DedupOptions;
    /// assert_eq!(DedupOptions::default().chunk_size(65_536).chunk_size, 65_536);
    /// ```
    #[must_use]
    pub fn chunk_size(mut self, bytes: usize) -> Self {
        self.chunk_size = bytes;
        self
    }

    /// With last chunks of at most this size in the manifest, in bytes (inclusive, 16 KiB at most).
    ///
    /// ```
    /// # use storehouse_layers::DedupOptions;
    /// assert_eq!(DedupOptions::default().inline(0).inline, 0);
    /// ```
    #[must_use]
    pub fn inline(mut self, bytes: usize) -> Self {
        self.inline = bytes;
        self
    }

    /// With this grace for puts of other processes.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use storehouse_layers::DedupOptions;
    /// assert!(DedupOptions::default().grace(Duration::ZERO).grace.is_some());
    /// ```
    #[must_use]
    pub fn grace(mut self, grace: impl Into<Option<Duration>>) -> Self {
        self.grace = grace.into();
        self
    }

    /// Collecting in the background, this long after the last time, or not.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use storehouse_layers::DedupOptions;
    /// let hourly = DedupOptions::default().collect_every(Duration::from_secs(3600));
    /// assert!(hourly.collect_every.is_some());
    /// assert!(hourly.collect_every(None).collect_every.is_none());
    /// ```
    #[must_use]
    pub fn collect_every(mut self, pause: impl Into<Option<Duration>>) -> Self {
        self.collect_every = pause.into();
        self
    }
}

/// What a collection found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// Objects whose manifests were read.
    pub objects: u64,
    /// Chunks that objects have.
    pub referenced: u64,
    /// Their bytes.
    pub referenced_bytes: u64,
    /// Chunks that no object has, and that are gone now.
    pub removed: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Chunks that no object has, and that stay for now: operations under way use them, or they are
    /// younger than the [grace](DedupOptions::grace).
    pub spared: u64,
    /// Chunks that objects have and that are not there: somebody else removed them, and those
    /// objects cannot be read.
    pub missing: u64,
}
