//! Bodies of requests: how long they are, and that they keep coming.

mod collect;
mod length;
mod stalled;
mod upload;

pub(crate) use collect::{busy, collect};
pub(crate) use length::declared;
pub(crate) use stalled::{Pace, Stalled};
pub(crate) use upload::Upload;
