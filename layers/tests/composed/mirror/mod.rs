//! `MirrorStore`.

mod damage;
mod model;
mod reads;
mod scrubs;
mod suite;
mod support;
mod writes;
