//! storehouse's own types of stores.

mod backends;
mod compressed;
mod layers;
mod spread;
mod table;

pub(super) use table::TYPES;
