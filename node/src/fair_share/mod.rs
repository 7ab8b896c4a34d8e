//! Permits of which no client can take all.

mod client;
mod per_client;
mod share;

pub(crate) use client::Client;
pub(crate) use per_client::PerClient;
pub(crate) use share::{FairShare, SharePermit};
