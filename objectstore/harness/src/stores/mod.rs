//! The stores under test behind one trait.

mod journal;
mod keystore;
mod kind;
mod objects;
mod op;

pub(crate) use self::kind::names;
pub use self::kind::{Kind, Size};
pub use self::op::{Mode, Op, OpOutcome, Read, Store, Traits};
