//! How the node is: its stores, the room on their disks, and what opening recovered.

pub(crate) mod endpoint;
mod report;
