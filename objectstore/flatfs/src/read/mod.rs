//! Reading: buffers, cached handles, and bodies streamed from a file.

mod buffers;
mod handle_cache;
mod stream;

pub(super) use buffers::Buffers;
pub(super) use handle_cache::{HandleCache, Vacancy};
pub(super) use stream::ReadStream;
