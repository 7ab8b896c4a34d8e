//! The suite over every layer, over memory and over flatfs: a module a layer.

mod attribute;
mod cache;
mod complete;
mod existence;
mod expiring;
mod fixtures;
mod paced;
mod pass_through;
mod redb;
mod retry;
mod tiered;
