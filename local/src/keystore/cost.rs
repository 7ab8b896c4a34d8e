//! What sealing costs.

use crate::error::{Error, Result};

/// The bytes of a cost in a file.
pub(super) const COST: usize = 12;

/// The most memory, in KiB (inclusive).
const MAX_MEMORY: u32 = 1 << 20;
/// The most passes (inclusive).
const MAX_PASSES: u32 = 64;
/// The most lanes (inclusive).
const MAX_LANES: u32 = 64;
/// The most memory times passes, in KiB (inclusive): some seconds.
const MAX_WORK: u64 = 4 << 20;

/// What sealing a key, and each opening of it, costs: the parameters of Argon2id. They are stored
/// with each key.
///
/// The default is RFC 9106's second recommendation (64 MiB, 3 passes, 4 lanes): some 0.1 s. A file
/// that asks for more than the bounds of the fields, or for more than 4 GiB of memory times passes,
/// is refused as damaged before any memory is taken for it.
///
/// ```
/// use storehouse_local::keystore::SealCost;
///
/// let cost = SealCost::default().memory(128 << 10).passes(2).lanes(1);
/// assert_eq!((cost.memory, cost.passes, cost.lanes), (131_072, 2, 1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealCost {
    /// Memory, in KiB: 8 for each lane to 1,048,576 (inclusive). Default: 65,536.
    pub memory: u32,
    /// Passes over it: 1 to 64 (inclusive), and no more than 4 GiB of memory times passes.
    /// Default: 3.
    pub passes: u32,
    /// Lanes: 1 to 64 (inclusive). Default: 4.
    pub lanes: u32,
}

impl Default for SealCost {
    fn default() -> Self {
        Self {
            memory: 64 << 10,
            passes: 3,
            lanes: 4,
        }
    }
}

impl SealCost {
    /// With this much memory, in KiB.
    #[must_use]
    pub fn memory(mut self, kib: u32) -> Self {
        self.memory = kib;
        self
    }

    /// With this many passes.
    #[must_use]
    pub fn passes(mut self, passes: u32) -> Self {
        self.passes = passes;
        self
    }

    /// With this many lanes.
    #[must_use]
    pub fn lanes(mut self, lanes: u32) -> Self {
        self.lanes = lanes;
        self
    }

    pub(super) fn is_bounded(self) -> bool {
        (1..=MAX_LANES).contains(&self.lanes)
            && (8 * self.lanes..=MAX_MEMORY).contains(&self.memory)
            && (1..=MAX_PASSES).contains(&self.passes)
            && u64::from(self.memory) * u64::from(self.passes) <= MAX_WORK
    }

    /// # Errors
    /// [`Error::Invalid`] if a parameter is out of its bounds.
    pub(super) fn check(self) -> Result<()> {
        if self.is_bounded() {
            Ok(())
        } else {
            Err(Error::Invalid {
                reason: "the cost of sealing is out of its bounds",
            })
        }
    }

    pub(super) fn to_bytes(self) -> [u8; COST] {
        let mut bytes = [0; COST];
        for (field, value) in bytes
            .chunks_exact_mut(4)
            .zip([self.memory, self.passes, self.lanes])
        {
            field.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: [u8; COST]) -> Self {
        let field = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Self {
            memory: field(0),
            passes: field(4),
            lanes: field(8),
        }
    }
}
