//! Decoders and any bytes: no panic, and what is decoded is what was encoded.

mod common;
#[path = "common/decoders.rs"]
mod decoders;
#[path = "common/seeds.rs"]
mod seeds;

use decoders::DECODERS;
use proptest::prelude::*;
use seeds::{Numbers, mutated, seeds};
use storehouse_blobstore::{Digest, HashFunction};
use storehouse_stores::{Acceptance, Allocation, BlobRef, Cid, Did, Promise};

#[test]
fn every_good_input_and_every_end_of_it() {
    for (name, decoder) in DECODERS {
        for seed in seeds(&common::vectors(), name) {
            decoder(&seed);
            for end in (0..seed.len()).step_by(seed.len() / 200 + 1) {
                decoder(&seed[..end]);
            }
        }
    }
}

#[test]
fn damaged_inputs() {
    for (name, decoder) in DECODERS {
        let seeds = seeds(&common::vectors(), name);
        let mut numbers = Numbers(0x5eed);
        // Those that go through files take longer.
        let inputs = if name.starts_with("leveldb") {
            300
        } else {
            3000
        };
        for _ in 0..inputs {
            decoder(&mutated(&mut numbers, &seeds));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(data in prop::collection::vec(any::<u8>(), 0..512)) {
        for (name, decoder) in DECODERS {
            if !name.starts_with("leveldb") {
                decoder(&data);
            }
        }
    }

    #[test]
    fn encode_then_decode_is_the_identity(allocation in allocations(), executed_at in 0..=Acceptance::MAX, promise: Option<String>) {
        prop_assert_eq!(&Allocation::decode(&allocation.encode()).unwrap(), &allocation);
        let text = serde_json::to_string(&allocation).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Allocation>(&text).unwrap(), &allocation);
        let Allocation { space, mut blob, cause, .. } = allocation;
        blob.size %= Acceptance::MAX;
        let mut acceptance = Acceptance::new(space, blob, cause.clone(), executed_at).unwrap();
        if let Some(selector) = promise {
            acceptance = acceptance.with_pdp_accept(Promise { selector, link: cause });
        }
        prop_assert_eq!(Acceptance::decode(&acceptance.encode()).unwrap(), acceptance);
    }
}

fn allocations() -> impl Strategy<Value = Allocation> {
    let did = prop_oneof![
        any::<[u8; 32]>().prop_map(|key| Did::from_ed25519(&key)),
        "[a-z0-9]{1,8}:[a-zA-Z0-9._-]{1,40}(%[0-9A-F]{2})?"
            .prop_filter_map("did:key is another form", |text| format!("did:{text}")
                .parse()
                .ok()),
    ];
    let digest = prop_oneof![Just(HashFunction::Sha2_256), Just(HashFunction::Sha2_512)]
        .prop_flat_map(|function| {
            any::<[u8; 8]>().prop_map(move |bytes| Digest::of(function, &bytes))
        });
    let cid = any::<[u8; 32]>().prop_map(storehouse_formats::car::dag_cbor_cid);
    (did, digest, any::<u64>(), any::<u64>(), cid).prop_map(
        |(space, digest, size, expires, cause): (Did, Digest, u64, u64, Cid)| Allocation {
            space,
            blob: BlobRef { digest, size },
            expires,
            cause,
        },
    )
}
