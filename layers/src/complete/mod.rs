//! Records that readers find only if all objects that they name exist.
//!
//! This is for records that are useless without their objects, such as the lists of outputs in a
//! build cache that evicts objects. A function that the caller provides finds the keys of the
//! objects in a record's bytes.
//!
//! | operation | requests of the records' store | of the objects' store | memory |
//! |---|---|---|---|
//! | get, head, get of ranges | one get of the whole record | a head for each object that it names, [`CompleteOptions::at_once`] at a time | the record |
//! | put, delete, delete_many | the same | | |
//! | copy | a get and a copy of that version | as a get of the source | the record |
//! | list, list_delimited | one listing; a get for each record that is not inlined in it, 16 at once | as a get of each record | 16 records |
//! | the same without [`CompleteOptions::filter_lists`] | the same | | |
//! | batch | one batch | | |
//! | events | those of the records' store | | |
//! | presigned requests | none: they would show incomplete records | | |
//!
//! A crash loses nothing acknowledged: the layer writes only to the records' store.
//!
//! # Which records exist
//!
//! Readers do not find a record while an object that it names is missing: not by a get, with or
//! without conditions or ranges, not as the source of a copy, and not in listings. An object counts
//! as missing only if its store answers that it is not found. Any other error, of the record or of
//! an object, is an error of the operation, of the same class, so a server that is down makes no
//! record disappear.
//!
//! Writes look only at the records' store, because no single moment covers both stores: a create
//! fails if an incomplete record exists, a replace replaces it, and a put does not check for
//! objects, so records may be put before them. A listing ends with an error at a record that cannot
//! be checked; without [`CompleteOptions::filter_lists`] it lists that record.
//!
//! An object may be removed right after it was found. Let the objects' store keep objects for long
//! enough after a head to be read, and put objects before the records that name them. An
//! [`ExistenceStore`](crate::ExistenceStore) around the objects' store makes repeated checks cheap.

mod options;
mod records;
mod store;

pub use options::CompleteOptions;
pub use store::CompleteStore;
