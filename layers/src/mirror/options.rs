//! The options.

use std::time::Duration;

/// Options of a [`MirrorStore`](super::MirrorStore).
///
/// ```
/// use std::time::Duration;
/// use storehouse_layers::MirrorOptions;
///
/// let options = MirrorOptions::default()
///     .writes(1)
///     .reads(2)
///     .hedge_after(Duration::from_millis(20))
///     .eager_gets(false)
///     .timeout(Duration::from_secs(10))
///     .wait_for_all(Duration::from_secs(2))
///     .keep_tombstones(Duration::from_secs(24 * 60 * 60))
///     .repair_reads(false)
///     .repairs(8)
///     .sole_writer(true);
/// assert_eq!((options.writes, options.reads), (Some(1), Some(2)));
/// assert_eq!(options.hedge_after, Duration::from_millis(20));
/// assert_eq!(options.eager_gets, Some(false));
/// assert_eq!(options.timeout, Duration::from_secs(10));
/// assert_eq!(options.wait_for_all, Duration::from_secs(2));
/// assert_eq!(options.keep_tombstones, Duration::from_secs(24 * 60 * 60));
/// assert!(!options.repair_reads && options.repairs == 8 && options.sole_writer);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MirrorOptions {
    /// How many replicas have to hold a write before it succeeds: from 1 to the number of replicas.
    /// `None`, the default, is more than half of them. Before it writes, a write needs the answers
    /// of [`reads`](Self::reads) replicas.
    pub writes: Option<usize>,
    /// How many replicas have to answer a read: from 1 to the number of replicas. `None`, the
    /// default, is the fewest among which one has each write that succeeded: all less `writes`,
    /// plus 1.
    pub reads: Option<usize>,
    /// How long a read waits for the replicas that it asked before it asks another one. 100 ms by
    /// default.
    pub hedge_after: Duration,
    /// A get of a whole object asks the first replica for its content along with its version, so
    /// that it takes one round trip and not two, at the price of one more request. `None`, the
    /// default, does so for replicas that are
    /// [remote](storehouse_objectstore::Capabilities::remote).
    pub eager_gets: Option<bool>,
    /// How long a replica may be silent before it counts as failed for an operation: until it
    /// answers, or until a body moves. 30 s by default.
    pub timeout: Duration,
    /// How long a write that has [`writes`](Self::writes) replicas waits for the others. Those
    /// still under way then go on in the background, until `timeout`. 1 s by default.
    pub wait_for_all: Duration,
    /// How long the record of a delete is kept at least. 7 days by default. It should be longer
    /// than any request can be under way.
    pub keep_tombstones: Duration,
    /// A read that finds replicas which differ repairs the object in the background. True by
    /// default.
    pub repair_reads: bool,
    /// How many objects are repaired at once; at least 1. 4 by default.
    pub repairs: usize,
    /// No other process writes to the replicas. Only then are conditional puts offered over
    /// [remote](storehouse_objectstore::Capabilities::remote) replicas. False by default.
    pub sole_writer: bool,
}

impl Default for MirrorOptions {
    fn default() -> Self {
        Self {
            writes: None,
            reads: None,
            hedge_after: Duration::from_millis(100),
            eager_gets: None,
            timeout: Duration::from_secs(30),
            wait_for_all: Duration::from_secs(1),
            keep_tombstones: Duration::from_secs(7 * 24 * 60 * 60),
            repair_reads: true,
            repairs: 4,
            sole_writer: false,
        }
    }
}

impl MirrorOptions {
    /// The most replicas that a mirror has.
    pub const MAX_REPLICAS: usize = 16;

    /// How many of this number of replicas have to hold a write, and how many have to answer a
    /// read.
    ///
    /// ```
    /// use storehouse_layers::MirrorOptions;
    ///
    /// assert_eq!(MirrorOptions::default().quorums(3), (2, 2));
    /// assert_eq!(MirrorOptions::default().quorums(2), (2, 1));
    /// assert_eq!(MirrorOptions::default().writes(1).quorums(2), (1, 2));
    /// ```
    #[must_use]
    pub fn quorums(&self, replicas: usize) -> (usize, usize) {
        let writes = self.writes.unwrap_or(replicas / 2 + 1);
        let reads = self.reads.unwrap_or((replicas + 1).saturating_sub(writes));
        (writes, reads)
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($arg:ty) => |$value:ident| $set:expr;)*) => {
        impl MirrorOptions {$(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $value: $arg) -> Self {
                self.$name = $set;
                self
            }
        )*}
    };
}

setters! {
    /// With this number of replicas that have to hold a write.
    writes(impl Into<Option<usize>>) => |replicas| replicas.into();
    /// With this number of replicas that have to answer a read.
    reads(impl Into<Option<usize>>) => |replicas| replicas.into();
    /// With this time before a read asks another replica.
    hedge_after(Duration) => |time| time;
    /// With contents asked for along with their versions, or after them.
    eager_gets(impl Into<Option<bool>>) => |eager| eager.into();
    /// With this longest silence of a replica.
    timeout(Duration) => |time| time;
    /// With this time that a write waits for the replicas it does not need.
    wait_for_all(Duration) => |time| time;
    /// With records of deletes kept for this time.
    keep_tombstones(Duration) => |time| time;
    /// With repair at read, or without.
    repair_reads(bool) => |repair| repair;
    /// With this number of objects repaired at once.
    repairs(usize) => |objects| objects;
    /// As the only process that writes to the replicas, or not.
    sole_writer(bool) => |sole| sole;
}
