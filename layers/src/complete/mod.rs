//! Does what it names exist: a record is there only if all objects that it names are.
//!
//! For records that are of no use without their objects, such as the outputs that a build cache
//! names, where objects are evicted. A function of the caller's finds the keys of the objects in a
//! record's bytes.
//!
//! | operation | requests of the records' store | of the objects' store | memory |
//! |---|---|---|---|
//! | get, head, get of ranges | one get of the whole record | a head for each object that it names, [`CompleteOptions::at_once`] at a time | the record |
//! | put, delete, delete_many | the same | | |
//! | copy | a get and a copy of that version | as a get of the source | the record |
//! | list, list_delimited | one listing; a get for each record that does not come with it, 16 at once | as a get of each record | 16 records |
//! | the same without [`CompleteOptions::filter_lists`] | the same | | |
//! | batch | one batch | | |
//! | events | those of the records' store | | |
//! | presigned requests | none: they would give records that are not complete | | |
//!
//! A crash loses nothing acknowledged: nothing is written but to the records' store.
//!
//! # What is there
//!
//! For readers a record whose objects are not all there is not found: not by a get with conditions
//! or ranges, not as the source of a copy, and not in listings. It is there once they are. An
//! object counts as missing only if its store says that it is not found. Any other error, of the
//! record or of an object, is an error of the operation, of the same class: so a server that is
//! down makes nothing disappear.
//!
//! Writers go by what the records' store holds, as two stores have no common moment to judge by: a
//! create finds an incomplete record there, a replace replaces it, and a put does not ask for
//! objects, so that records may be put before them. A listing stops with an error at a record that
//! cannot be judged: [`CompleteOptions::filter_lists`] turned off lists it.
//!
//! An object may be removed right after it was found. Let the objects' store keep what was asked
//! for long enough to be read, and put objects before the records that name them. An
//! [`ExistenceStore`](crate::ExistenceStore) around the objects' store makes asking again cheap.

mod options;
mod records;
mod store;

pub use options::CompleteOptions;
pub use store::CompleteStore;
