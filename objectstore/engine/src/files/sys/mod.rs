//! What file stores ask of the operating system beyond plain POSIX calls.
//!
//! `calls` is the list of them. `linux` uses what Linux alone has, and does what `portable` does
//! where a kernel, a file system or a sandbox refuses. `pick` chooses. Both pass the same tests.

mod calls;
#[cfg(target_os = "linux")]
mod linux;
mod pick;
mod portable;

pub use calls::Sys;
pub use pick::pick;
