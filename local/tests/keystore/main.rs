//! The keystore: files that stay private, names, sealing, damage, import, and secrets that never
//! get out.

mod ed25519;
mod files;
mod import;
mod kinds;
mod modes;
mod sealed;
mod secrets;
mod support;
