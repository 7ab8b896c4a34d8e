//! The suite over S3: s3s-fs in this process, or the server that the environment names (see
//! `support`).

mod support;

use storehouse_conformance::{Fixture, Nesting, Pace, Profile};
use storehouse_s3::{S3, S3Options};
use support::{Kind, Server, remove};

/// What each server does otherwise.
fn profile(kind: Kind) -> Profile {
    // Two parts on their way, one that is filled, and what the connections hold.
    let s3 = Profile {
        pace: Pace::SERVER,
        put_window: 16 << 20,
        ..Profile::default()
    };
    match kind {
        // It looks before it writes, without a lock, keeps an object's tag in a file of its own,
        // and keys are its paths. Its bookkeeping files have their object's whole key in their
        // names; see `support::fs`.
        Kind::S3sFs => Profile {
            nesting: Nesting::Collide,
            atomic_conditions: false,
            linearizable: false,
            refuses: |key| key.len() > 80,
            ..s3
        },
        Kind::MinIo => Profile {
            nesting: Nesting::HiddenFromListings,
            // It holds a lock on an object while it sends it.
            writers_wait: true,
            refuses: |key| key.split('/').any(|segment| segment.len() > 255),
            ..s3
        },
        // Keys are its paths.
        Kind::VersityGw => Profile {
            nesting: Nesting::Collide,
            refuses: |key| key.split('/').any(|segment| segment.len() > 255),
            ..s3
        },
        Kind::Garage | Kind::Other => s3,
    }
}

/// A bucket that is emptied and removed with its fixture.
struct Bucket(S3Options);

impl Drop for Bucket {
    fn drop(&mut self) {
        let options = self.0.clone();
        let removed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async { remove(&S3::open(options).await.unwrap()).await });
        });
        // A case that failed has something more important to say.
        if removed.join().is_err() && !std::thread::panicking() {
            panic!("the bucket could not be removed");
        }
    }
}

async fn s3() -> Fixture {
    let server = Server::start().await;
    let options = server.bucket();
    let store = S3::open(options.clone()).await.unwrap();
    let (looking, opening) = ((server.clone(), store.clone()), options.clone());
    let fixture = Fixture::new(store)
        .opens(move || S3::open(opening.clone()))
        .leftovers(move || {
            let (server, store) = looking.clone();
            async move { server.leftovers(&store).await }
        })
        .profile(profile(server.kind));
    match server.kind {
        // Its directory goes, and it goes with the case's runtime.
        Kind::S3sFs => fixture.keeps(server),
        _ => fixture.keeps(Bucket(options)),
    }
}

storehouse_conformance::tests!(over_s3, s3);
