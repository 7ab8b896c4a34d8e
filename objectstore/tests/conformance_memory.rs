//! The suite over memory.

use std::sync::Arc;

use storehouse_conformance::{Fixture, Pace, Profile};
use storehouse_objectstore::{Memory, ObjectStore};

async fn memory() -> Fixture {
    let store = Memory::new();
    Fixture::new(store.clone())
        .opens(move || {
            let store = store.reopen();
            async move { Ok(store) }
        })
        .profile(Profile {
            pace: Pace::MEMORY,
            holds_bodies: true,
            batches: true,
            ..Profile::default()
        })
}

async fn boxed_dyn() -> Fixture {
    memory()
        .await
        .wrapped(|store| Box::new(store) as Box<dyn ObjectStore>)
}

async fn arc_dyn() -> Fixture {
    memory()
        .await
        .wrapped(|store| Arc::new(store) as Arc<dyn ObjectStore>)
}

storehouse_conformance::tests!(over_memory, memory);
storehouse_conformance::tests!(over_box_dyn, boxed_dyn);
storehouse_conformance::tests!(over_arc_dyn, arc_dyn);
