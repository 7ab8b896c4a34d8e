//! Typed records over any object store.
//!
//! A [`GenericStore`] keeps values of one type, encoded by a [`Codec`], under keys of a
//! [`Namespace`] in any [`ObjectStore`](storehouse_objectstore::ObjectStore). [Secondary
//! indexes](index) are kept with the records.
//!
//! ```
//! use futures_util::TryStreamExt;
//! use storehouse_genericstore::{GenericStore, Json, Namespace, index::MultiIndex};
//! use storehouse_objectstore::Memory;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let by_colour = MultiIndex::new("colour", |fruit: &(String, u32)| vec![fruit.0.clone()]);
//! let fruits = GenericStore::new(Memory::new(), Json, Namespace::new("fruit/", ".json")?).with_index(&by_colour)?;
//!
//! fruits.put("apple", &("red".to_owned(), 3)).await?;
//! fruits.put("cherry", &("red".to_owned(), 90)).await?;
//! fruits.put("banana", &("yellow".to_owned(), 2)).await?;
//!
//! assert_eq!(fruits.get("cherry").await?, ("red".to_owned(), 90));
//! let red: Vec<_> = fruits.find_all(&by_colour, &"red".to_owned()).try_collect().await?;
//! assert_eq!(red.iter().map(|found| found.key.as_str()).collect::<Vec<_>>(), ["apple", "cherry"]);
//! # Ok(()) }
//! ```
//!
//! - [`codec`]: bytes to values and back.
//! - [`index`]: unique and multi indexes, what a crash leaves of them, and their repair.
//!
//! Architecture invariants: nothing here names a backend or knows a record type; a record is never
//! read into memory before its size is known to be within the limit.

mod error;
mod namespace;
mod read_ahead;
mod scan;
mod store;

pub mod codec;
pub mod index;

#[cfg(feature = "cbor")]
pub use codec::Cbor;
#[cfg(feature = "dag-cbor")]
pub use codec::DagCbor;
#[cfg(feature = "json")]
pub use codec::Json;
pub use codec::{Codec, CodecError, Raw};
pub use error::{Error, Result};
pub use index::{MultiIndex, UniqueIndex};
pub use namespace::Namespace;
pub use scan::ScanOptions;
pub use store::{GenericStore, Record};
