//! storehouse's own types of stores.

mod backends;
mod layers;
mod table;

pub(super) use table::TYPES;
