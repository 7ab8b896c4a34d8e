//! Evidence that stores keep what they acknowledge: kills, injected errors, full disks and flipped
//! bits, against a model.
//!
//! A *child* is a process that opens one store, tells all that is in it, writes at random and tells
//! of each write when it begins and when it is acknowledged. The parent keeps a [`model`] of what
//! may be there, ends the child in some way, and compares what the next child finds with the model.
//!
//! - [`kill`]: SIGKILL at random.
//! - [`inject`]: errors of system calls, one at every call or at random, and few file descriptors.
//! - [`full`]: a disk that is full from some step on.
//! - [`lives`]: thousands of short sessions, a trickle, and everything deleted.
//! - [`flips`]: flipped bits.
//! - [`power`]: power cuts, where file systems may be mounted.
//!
//! The binary `harness` runs each of them by hand and repeats a failure by its seed; the tests run
//! short forms.

pub mod child;
pub mod content;
pub mod event;
pub mod flips;
pub mod form;
pub mod full;
pub mod inject;
pub mod kill;
pub mod lives;
pub mod model;
pub mod power;
pub mod random;
pub mod session;
pub mod shim;
pub mod spec;
pub mod stores;
mod template;
mod unsynced;
