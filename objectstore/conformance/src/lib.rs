//! The contract as a test suite: small named cases, each for one rule of
//! [`ObjectStore`](storehouse_objectstore::ObjectStore), run over any backend or wrapper.
//!
//! A backend is done when the suite is green. To test one, write a *factory*, an async function
//! that opens a fresh, empty store and returns it as a [`Fixture`], and hand it to [`tests!`],
//! which makes one `#[test]` of each case:
//!
//! ```
//! use storehouse_objectstore::Memory;
//! use storehouse_conformance::{Fixture, Pace, Profile};
//!
//! async fn memory() -> Fixture {
//!     let store = Memory::new();
//!     Fixture::new(store.clone())
//!         // How to open the same data a second time.
//!         .opens(move || {
//!             let store = store.reopen();
//!             async move { Ok(store) }
//!         })
//!         // What the suite may ask of it, and how it is known to differ from the contract.
//!         .profile(Profile { pace: Pace::MEMORY, holds_bodies: true, batches: true, ..Profile::default() })
//! }
//!
//! storehouse_conformance::tests!(over_memory, memory);
//! # // A doctest runs no `#[test]`s, so one case by its name.
//! # fn main() { storehouse_conformance::run("keys::text_is_kept", memory) }
//! ```
//!
//! This goes into a file of the `tests` folder of a crate that has this one as a dev-dependency.
//! The tests are then called `over_memory::keys::text_is_kept` and so on; [`CASES`] is the table of
//! all.
//!
//! A case never passes because a store cannot do something. What depends on the store's
//! [`Capabilities`](storehouse_objectstore::Capabilities) is asserted either way: an unsupported
//! mode must answer `Unsupported`, a key outside the alphabet `InvalidKey`. What else is known to
//! differ (servers have their ways) stands in the fixture's [`Profile`], and then the case asserts
//! the deviation, so that a profile that is out of date fails too.
//!
//! A failure's message starts with the rule: `rule 4: …`.

mod bodies;
mod case;
mod check;
mod content;
mod fixture;
mod names;
mod profile;
mod register;

mod cases;

pub use case::{CASES, Case, run};
pub use fixture::Fixture;
pub use profile::{Nesting, Pace, Profile};

#[doc(inline)]
pub use crate::__conformance_tests as tests;
#[doc(hidden)]
pub use crate::__for_each_conformance_case as __for_each_case;
