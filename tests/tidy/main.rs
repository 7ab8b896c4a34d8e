//! Rules about the tree itself. They live where they are seen: with the tests.

mod circles;
mod files;
mod maps;
mod packages;
mod prose;
