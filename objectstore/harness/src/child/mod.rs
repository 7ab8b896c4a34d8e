//! The child process: a life of one store, told line by line on standard output.

mod life;
mod limits;
mod load;
mod report;

pub use self::life::live;
