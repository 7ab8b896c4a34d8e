//! The journal: against Go's files, against crashes, full disks and damage, and against a model.

mod damage;
mod full;
mod kill;
mod model;
mod rotation;
mod rotator;
mod support;
mod torn;
mod vectors;
