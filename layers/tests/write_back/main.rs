//! `TieredStore` with `write_back`: what was acknowledged is read at once, survives a kill at every
//! step, and gets to the slow tier in order.

mod fixtures;
mod kill;
mod plain;
mod waits;
