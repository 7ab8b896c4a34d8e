//! The script: which operations fail, and how.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use storehouse_objectstore::{Error, ErrorClass, Key, Operation};

use super::planned::{Break, Planned};

type MakeError = Arc<dyn Fn(Operation, Option<&Key>) -> Error + Send + Sync>;

/// One thing that goes wrong: what, for which operations, and how many times.
///
/// A fault happens once, to the first operation that it matches, unless told otherwise.
///
/// ```
/// use storehouse_layers::Fault;
/// use storehouse_objectstore::{ErrorClass, Operation};
///
/// // The second and third get of an object under `a/` fail.
/// let fault = Fault::error(ErrorClass::Transient)
///     .on(Operation::Get)
///     .under("a/")
///     .skip(1)
///     .times(2);
/// # assert!(format!("{fault:?}").contains("Get"));
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    effect: Effect,
    on: Option<Operation>,
    under: String,
    skip: u64,
    times: u64,
    one_in: u64,
}

#[derive(Clone)]
enum Effect {
    Delay(Duration),
    Error(MakeError),
    LostAnswer(MakeError),
    Cut { after: u64, error: MakeError },
    Short { after: u64 },
    Stall { after: u64, time: Duration },
    Flip { offset: u64, mask: u8 },
}

impl std::fmt::Debug for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Delay(time) => write!(f, "Delay({time:?})"),
            Self::Error(_) => f.write_str("Error"),
            Self::LostAnswer(_) => f.write_str("LostAnswer"),
            Self::Cut { after, .. } => write!(f, "Cut({after})"),
            Self::Short { after } => write!(f, "Short({after})"),
            Self::Stall { after, time } => write!(f, "Stall({after}, {time:?})"),
            Self::Flip { offset, mask } => write!(f, "Flip({offset}, {mask:#04x})"),
        }
    }
}

/// An error of `class` as a backend gives it.
fn error_of(class: ErrorClass) -> MakeError {
    Arc::new(move |operation, key| match (class, key) {
        (ErrorClass::NotFound, Some(key)) => Error::not_found(operation, key),
        (ErrorClass::NotModified, Some(key)) => Error::NotModified { key: key.clone() },
        (ErrorClass::Conflict, Some(key)) => Error::Precondition {
            operation,
            key: key.clone(),
        },
        (ErrorClass::InvalidInput, Some(key)) => Error::InvalidRequest {
            operation,
            key: key.clone(),
            reason: "a scripted fault",
        },
        (class, key) => Error::Backend {
            operation,
            key: key.cloned(),
            class,
            message: String::from("a scripted fault"),
            source: None,
        },
    })
}

impl Fault {
    fn new(effect: Effect) -> Self {
        Self {
            effect,
            on: None,
            under: String::new(),
            skip: 0,
            times: 1,
            one_in: 1,
        }
    }

    /// The operation fails with an error of this class. The inner store does not see it.
    #[must_use]
    pub fn error(class: ErrorClass) -> Self {
        Self::new(Effect::Error(error_of(class)))
    }

    /// The operation fails with the error that `make` gives. The inner store does not see it.
    ///
    /// ```
    /// use storehouse_layers::Fault;
    /// use storehouse_objectstore::Error;
    ///
    /// let full = Fault::error_with(|operation, key| {
    ///     Error::io(operation, key, "write", std::io::ErrorKind::StorageFull.into())
    /// });
    /// # let _ = full;
    /// ```
    pub fn error_with(
        make: impl Fn(Operation, Option<&Key>) -> Error + Send + Sync + 'static,
    ) -> Self {
        Self::new(Effect::Error(Arc::new(make)))
    }

    /// The inner store does the operation, and the caller gets an error of this class in place of
    /// its answer.
    ///
    /// ```
    /// use storehouse_layers::{Fault, FaultStore};
    /// use storehouse_objectstore::{ErrorClass, Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (store, key) = (FaultStore::new(Memory::new()), Key::new("a")?);
    /// store.faults().add(Fault::lost_answer(ErrorClass::Transient));
    /// assert!(store.put(&key, "content").await.unwrap_err().is_transient());
    /// assert_eq!(store.get_bytes(&key, 7).await?, "content");
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn lost_answer(class: ErrorClass) -> Self {
        Self::new(Effect::LostAnswer(error_of(class)))
    }

    /// The operation starts after this time. [`Duration::MAX`] is never.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use storehouse_layers::{Fault, FaultStore};
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let (store, begun) = (FaultStore::new(Memory::new()), Instant::now());
    /// store.faults().add(Fault::delay(Duration::from_millis(10)));
    /// store.put(&Key::new("a")?, "content").await?;
    /// assert!(begun.elapsed() >= Duration::from_millis(10));
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn delay(time: Duration) -> Self {
        Self::new(Effect::Delay(time))
    }

    /// The body of a put or get fails with a transient error once it gave `bytes` bytes, which may
    /// be 0 or its whole length; a listing, after that number of entries.
    ///
    /// ```
    /// use futures_util::StreamExt;
    /// use storehouse_layers::{Fault, FaultStore};
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (store, key) = (FaultStore::new(Memory::new()), Key::new("a")?);
    /// store.put(&key, "content").await?;
    /// store.faults().add(Fault::cut(3));
    /// let mut body = store.get(&key).await?.body;
    /// assert_eq!(body.next().await.unwrap()?, "con");
    /// assert!(body.next().await.unwrap().unwrap_err().is_transient());
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cut(bytes: u64) -> Self {
        Self::cut_with(bytes, ErrorClass::Transient)
    }

    /// As [`Fault::cut`], with an error of this class.
    ///
    /// ```
    /// use storehouse_layers::{Fault, FaultStore};
    /// use storehouse_objectstore::{ErrorClass, Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (store, key) = (FaultStore::new(Memory::new()), Key::new("a")?);
    /// store.put(&key, "content").await?;
    /// store.faults().add(Fault::cut_with(3, ErrorClass::Fatal));
    /// let error = store.get_bytes(&key, 7).await.unwrap_err();
    /// assert_eq!(error.class(), ErrorClass::Fatal);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cut_with(bytes: u64, class: ErrorClass) -> Self {
        Self::new(Effect::Cut {
            after: bytes,
            error: error_of(class),
        })
    }

    /// The body of a put or get ends without an error after `bytes` bytes, as from a store that
    /// breaks the contract; a listing, after that number of entries.
    ///
    /// ```
    /// use futures_util::StreamExt;
    /// use storehouse_layers::{Fault, FaultStore};
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (store, key) = (FaultStore::new(Memory::new()), Key::new("a")?);
    /// store.put(&key, "content").await?;
    /// store.faults().add(Fault::short(3));
    /// let mut body = store.get(&key).await?.body;
    /// assert_eq!(body.next().await.unwrap()?, "con");
    /// assert!(body.next().await.is_none());
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn short(bytes: u64) -> Self {
        Self::new(Effect::Short { after: bytes })
    }

    /// The body of a put or get gives nothing for this time once it gave `bytes` bytes; a listing,
    /// after that number of entries. [`Duration::MAX`] is for ever.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use storehouse_layers::{Fault, FaultStore};
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let (store, key) = (FaultStore::new(Memory::new()), Key::new("a")?);
    /// store.put(&key, "content").await?;
    /// store.faults().add(Fault::stall(3, Duration::from_millis(10)));
    /// let begun = Instant::now();
    /// assert_eq!(store.get_bytes(&key, 7).await?, "content");
    /// assert!(begun.elapsed() >= Duration::from_millis(10));
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stall(bytes: u64, time: Duration) -> Self {
        Self::new(Effect::Stall { after: bytes, time })
    }

    /// The byte at `offset` of the object (also where a range of it is read) is XORed with `mask`.
    /// A body without this byte is left alone.
    ///
    /// ```
    /// use storehouse_layers::{Fault, FaultStore};
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (store, key) = (FaultStore::new(Memory::new()), Key::new("a")?);
    /// store.put(&key, "content").await?;
    /// store.faults().add(Fault::flip(0, b'c' ^ b'C'));
    /// assert_eq!(store.get_bytes(&key, 7).await?, "Content");
    /// assert_eq!(store.get_bytes(&key, 7).await?, "content");
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn flip(offset: u64, mask: u8) -> Self {
        Self::new(Effect::Flip { offset, mask })
    }

    /// Only for this operation; without it, for every one.
    #[must_use]
    pub fn on(mut self, operation: Operation) -> Self {
        self.on = Some(operation);
        self
    }

    /// Only for objects whose keys start with this text. A listing or a batch counts by its
    /// prefix and by its first key.
    #[must_use]
    pub fn under(mut self, prefix: impl Into<String>) -> Self {
        self.under = prefix.into();
        self
    }

    /// Not for the first `operations` that it matches.
    #[must_use]
    pub fn skip(mut self, operations: u64) -> Self {
        self.skip = operations;
        self
    }

    /// At most this number of times.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Without an end.
    ///
    /// ```
    /// use storehouse_layers::{Fault, FaultStore};
    /// use storehouse_objectstore::{ErrorClass, Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (store, key) = (FaultStore::new(Memory::new()), Key::new("a")?);
    /// store.faults().add(Fault::error(ErrorClass::Transient).always());
    /// for _ in 0..3 {
    ///     assert!(store.exists(&key).await.is_err());
    /// }
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    /// For one in `n` of the operations that it matches, chosen by the script's seed; 0 is taken
    /// as 1.
    ///
    /// ```
    /// use storehouse_layers::{Fault, FaultStore};
    /// use storehouse_objectstore::{ErrorClass, Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (store, key) = (FaultStore::new(Memory::new()), Key::new("a")?);
    /// store.faults().add(Fault::error(ErrorClass::Transient).one_in(10).always());
    /// let mut failed = 0;
    /// for _ in 0..1000 {
    ///     failed += u64::from(store.exists(&key).await.is_err());
    /// }
    /// assert!((50..200).contains(&failed));
    /// assert_eq!(store.faults().happened(), failed);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn one_in(mut self, n: u64) -> Self {
        self.one_in = n.max(1);
        self
    }
}

/// A script of [`Fault`]s, and a count of the operations that it saw. Clones share it, so that a
/// test can change it while the store is in use.
///
/// The script is deterministic: for the same seed and the same operations in the same order, the
/// same faults happen.
///
/// ```
/// use storehouse_layers::{Fault, FaultStore, Faults};
/// use storehouse_objectstore::{ErrorClass, Key, Memory, ObjectStoreExt, Operation};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (faults, key) = (Faults::new(), Key::new("a")?);
/// let store = FaultStore::with_faults(Memory::new(), faults.clone());
/// faults.add(Fault::error(ErrorClass::Transient).on(Operation::Put).always());
/// assert!(store.put(&key, "content").await.is_err());
/// assert_eq!(faults.happened(), 1);
///
/// faults.clear();
/// store.put(&key, "content").await?;
/// assert_eq!((faults.calls(Operation::Put), faults.happened()), (2, 1));
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    faults: Vec<Fault>,
    random: u64,
    calls: HashMap<Operation, u64>,
    happened: u64,
}

impl Faults {
    /// An empty script with seed 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty script whose choices ([`Fault::one_in`]) follow from `seed`.
    ///
    /// ```
    /// use storehouse_layers::{Fault, Faults};
    /// use storehouse_objectstore::ErrorClass;
    ///
    /// let faults = Faults::seeded(7);
    /// faults.add(Fault::error(ErrorClass::Transient).one_in(10).always());
    /// ```
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let faults = Self::default();
        faults.state().random = seed;
        faults
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code of others runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends `fault` to the script. All faults that match an operation happen to it, in the order
    /// of the script, up to the first error.
    pub fn add(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Removes all faults. Bodies that were opened keep those that they have.
    pub fn clear(&self) {
        self.state().faults.clear();
    }

    /// The number of operations of this kind that the store was asked for. Each key of a
    /// `delete_many` counts as one.
    ///
    /// ```
    /// use storehouse_layers::FaultStore;
    /// use storehouse_objectstore::{Key, Memory, ObjectStore, Operation};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let store = FaultStore::new(Memory::new());
    /// store.head(&Key::new("a")?).await.unwrap_err();
    /// assert_eq!(store.faults().calls(Operation::Head), 1);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        self.state().calls.get(&operation).copied().unwrap_or(0)
    }

    /// The number of faults that happened. One of a body counts when the body is opened.
    #[must_use]
    pub fn happened(&self) -> u64 {
        self.state().happened
    }

    /// Counts an operation, and says what happens to it. `text` is the key or the prefix.
    pub(super) fn plan(&self, operation: Operation, key: Option<&Key>, text: &str) -> Planned {
        let effects = self.state().effects(operation, text);
        let mut planned = Planned::default();
        for effect in effects {
            match effect {
                Effect::Delay(time) => planned.delay = planned.delay.saturating_add(time),
                Effect::Error(make) => planned.before = Some(make(operation, key)),
                Effect::LostAnswer(make) => planned.after = Some(make(operation, key)),
                Effect::Cut { after, error } => {
                    planned
                        .breaks
                        .push((after, Break::Cut(error(operation, key))));
                }
                Effect::Short { after } => planned.breaks.push((after, Break::End)),
                Effect::Stall { after, time } => planned.breaks.push((after, Break::Stall(time))),
                Effect::Flip { offset, mask } => planned.flips.push((offset, mask)),
            }
        }
        planned.breaks.sort_by_key(|(after, _)| *after);
        planned
    }
}

impl State {
    fn effects(&mut self, operation: Operation, text: &str) -> Vec<Effect> {
        *self.calls.entry(operation).or_default() += 1;
        let (mut effects, mut failed) = (Vec::new(), false);
        for fault in &mut self.faults {
            // Those after the first error only count the operation, for what they skip.
            if fault.skips(operation, text) || failed || !fault.happens(&mut self.random) {
                continue;
            }
            self.happened += 1;
            failed = matches!(fault.effect, Effect::Error(_) | Effect::LostAnswer(_));
            effects.push(fault.effect.clone());
        }
        self.faults.retain(|fault| fault.times > 0);
        effects
    }
}

impl Fault {
    /// Whether this operation is none of those that it may happen to.
    fn skips(&mut self, operation: Operation, text: &str) -> bool {
        let matches =
            self.on.is_none_or(|on| on == operation) && text.starts_with(self.under.as_str());
        if matches && self.skip > 0 {
            self.skip -= 1;
            return true;
        }
        !matches || self.times == 0
    }

    /// Whether this happens to an operation that it does not skip.
    fn happens(&mut self, random: &mut u64) -> bool {
        if self.one_in > 1 && !next_random(random).is_multiple_of(self.one_in) {
            return false;
        }
        if self.times != u64::MAX {
            self.times -= 1;
        }
        true
    }
}

/// The next number of the SplitMix64 sequence (Steele, Lea and Flood, 2014).
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
