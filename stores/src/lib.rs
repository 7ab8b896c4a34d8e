//! The record stores of a storage node, in the formats of Piri.
//!
//! | store | records | found by |
//! |---|---|---|
//! | [`AllocationStore`] | [`Allocation`]: room promised for a blob in a space | digest and space |
//! | [`AcceptanceStore`] | [`Acceptance`]: a blob taken into a space | digest and space |
//! | [`DelegationStore`] | [`Delegation`]: a UCAN with its proofs | CID |
//! | [`ReceiptStore`] | [`Receipt`]: what came of an invocation | CID, and the invocation that ran |
//! | [`ConsolidationStore`] | [`Consolidation`]: a batch of receipts that was claimed | the batch's CID |
//!
//! ```
//! use storehouse_blobstore::{Digest, HashFunction};
//! use storehouse_objectstore::Memory;
//! use storehouse_stores::{Allocation, AllocationStore, BlobRef, Layout};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let allocations = AllocationStore::new(Memory::new(), &Layout::database());
//!
//! let blob = BlobRef { digest: Digest::of(HashFunction::Sha2_256, b"hello"), size: 5 };
//! let cause = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua".parse()?;
//! let allocation = Allocation { space: "did:web:example.com".parse()?, blob, expires: 1_700_000_000, cause };
//! allocations.put(&allocation).await?;
//!
//! assert_eq!(allocations.get(&allocation.blob.digest, &allocation.space).await?, allocation);
//! assert!(allocations.get_any_non_expired(&allocation.blob.digest, 1_700_000_000).await?.is_none());
//! # Ok(()) }
//! ```
//!
//! Records are written with exactly Piri's bytes under Piri's keys ([`Layout::s3`]), so that either
//! opens what the other wrote; what lies in a LevelDB database is brought over by [`import`].
//! Delegations and receipts keep their archives byte for byte.
//!
//! Architecture invariants: nothing here names a backend; a signature is checked only where a
//! caller asks for it.

mod error;
mod layout;
mod records;
mod stores;

pub mod import;

pub use error::{Error, Result};
pub use layout::Layout;
pub use records::{Acceptance, Allocation, BlobRef, Consolidation, Promise, RecordCodec};
pub use stores::{
    AcceptanceStore, AllocationStore, ConsolidationStore, DelegationStore, ReceiptStore,
    RecordStores,
};

/// The types of [`storehouse_formats`] that records and their stores are made of.
pub use storehouse_formats::{
    Cid, Did, Ipld,
    ucan::{Delegation, Receipt},
};
