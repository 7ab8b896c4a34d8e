//! storehouse's own types of stores.

mod backends;
mod compressed;
mod dedup;
mod encrypted;
mod expiring;
mod layers;
mod mirror;
mod remembered;
mod spread;
mod table;
mod verify;

pub(super) use table::TYPES;
