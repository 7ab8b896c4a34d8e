//! Journals and receipts that Go wrote.

use std::fs;

use serde_json::Value;
use storehouse_formats::ucan::Receipt;
use storehouse_local::journal::{BatchReader, Journal};

use crate::support::{OPEN, batch_frames, copy_of, open, strict_frames, tempdir, vectors};

fn index() -> Value {
    serde_json::from_slice(&fs::read(vectors().join("index.json")).unwrap()).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_journal_of_go_is_opened_in_place() {
    let dir = copy_of("journal");
    fs::create_dir(dir.path().join("consolidation")).unwrap();
    let before = fs::read(dir.path().join(OPEN)).unwrap();
    let journal = open(dir.path()).await;
    assert!(journal.recovery().is_clean());

    let mut listed: Vec<_> = journal
        .list()
        .await
        .unwrap()
        .iter()
        .map(|batch| batch.cid.to_string())
        .collect();
    let mut expected = strings(&index()["journal_batches"]);
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
    // Go keeps no acknowledgements, so all of it is to be handed over.
    assert_eq!(
        journal.pending().await.unwrap(),
        journal.list().await.unwrap()
    );
    for batch in journal.list().await.unwrap() {
        assert!(batch_frames(&journal, &batch.cid).await.len() > 1);
    }

    assert_eq!(fs::read(dir.path().join(OPEN)).unwrap(), before);
    assert_eq!(journal.status().await.unwrap().size, before.len() as u64);
    let frames = strict_frames(&before);
    journal.append(b"one more".to_vec().into()).await.unwrap();
    let after = fs::read(dir.path().join(OPEN)).unwrap();
    assert!(after.starts_with(&before));
    let batch = journal.force_rotate().await.unwrap().unwrap();
    assert_eq!(
        batch_frames(&journal, &batch).await,
        [frames, vec![b"one more".to_vec()]].concat()
    );
}

/// What Go appended, appended here: the same bytes under the same name.
#[tokio::test]
async fn the_files_are_those_that_go_writes() {
    let index = index();
    let batches = strings(&index["journal_batches"])
        .into_iter()
        .map(|cid| ("journal", cid));
    let forced = [(
        "journal-forced",
        index["journal_forced_batch"].as_str().unwrap().to_owned(),
    )];
    for (folder, cid) in batches.chain(forced) {
        let file = fs::read(vectors().join(folder).join(format!("egress.{cid}.car"))).unwrap();
        let dir = tempdir();
        let journal = open(dir.path()).await;
        for frame in BatchReader::new(&file[..]).unwrap() {
            journal.append(frame.unwrap().archive).await.unwrap();
        }
        assert_eq!(
            journal.force_rotate().await.unwrap().unwrap().to_string(),
            cid
        );
        assert_eq!(
            fs::read(dir.path().join(format!("egress.{cid}.car"))).unwrap(),
            file
        );
        // A forced rotation of a header alone does nothing, and the header is Go's.
        assert_eq!(journal.force_rotate().await.unwrap(), None);
        let header = fs::read(vectors().join("journal-forced").join(OPEN)).unwrap();
        assert_eq!(fs::read(dir.path().join(OPEN)).unwrap(), header);
    }
}

#[test]
fn receipts_read_as_go_reads_them() {
    let index = index();
    let receipts = index["receipts"].as_array().unwrap();
    assert_eq!(receipts.len(), 24);
    for expected in receipts {
        let file = expected["file"].as_str().unwrap();
        let receipt = Receipt::decode(fs::read(vectors().join(file)).unwrap().into()).unwrap();
        assert_eq!(receipt.cid().to_string(), expected["cid"], "{file}");
        assert_eq!(receipt.ran().to_string(), expected["ran"], "{file}");
        let issuer = receipt.issuer().map(ToString::to_string);
        assert_eq!(issuer.as_deref(), expected["issuer"].as_str(), "{file}");
        assert_eq!(receipt.is_ok(), expected["out"] == "ok", "{file}");
        let signature: String = receipt
            .signature()
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(signature, expected["signature"], "{file}");
        let line = receipt.to_string();
        assert!(
            line.contains(expected["cid"].as_str().unwrap()) && !line.contains('\n'),
            "{line}"
        );
    }
}

#[test]
fn every_receipt_in_the_batches_is_one_of_gos() {
    let index = index();
    let known: Vec<_> = index["receipts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|receipt| receipt["cid"].as_str().unwrap().to_owned())
        .collect();
    let mut seen = 0;
    for cid in strings(&index["journal_batches"]) {
        let batch =
            fs::File::open(vectors().join("journal").join(format!("egress.{cid}.car"))).unwrap();
        let mut frames = BatchReader::new(batch).unwrap();
        for frame in &mut frames {
            assert!(known.contains(&frame.unwrap().receipt().unwrap().cid().to_string()));
            seen += 1;
        }
        assert_eq!(frames.cid().unwrap().to_string(), cid);
    }
    assert!(seen > 5, "{seen}");
}

/// Cut short, or with any byte changed, an archive is an error. Only codec and hash function in a
/// CID are not covered by a hash: changed in that of a block which the receipt does not need, they
/// make another CID of the same bytes, which may be by a function that nothing here knows.
#[test]
fn a_damaged_receipt_is_an_error() {
    let whole = fs::read(vectors().join("receipt-archive/003.car")).unwrap();
    let good = Receipt::decode(whole.clone().into()).unwrap();
    let mut taken = 0;
    for at in 0..whole.len() {
        assert!(
            Receipt::decode(whole[..at].to_vec().into()).is_err(),
            "cut at {at}"
        );
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        if let Ok(receipt) = Receipt::decode(damaged.clone().into()) {
            assert_eq!(receipt.cid(), good.cid(), "byte {at}");
            let (codec, function) = ([0x01, 0x71 ^ 0x10], [0x71, 0x12 ^ 0x10]);
            let changed = &damaged[at - 1..=at];
            assert!(changed == codec || changed == function, "byte {at}");
            taken += 1;
        }
    }
    assert!(taken < 20, "{taken}");
}
