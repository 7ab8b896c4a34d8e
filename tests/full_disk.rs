//! All stores of a node on a file system of their own, which is really full: they open, read,
//! delete and hand batches over, in whichever way the process before them ended.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use futures_util::TryStreamExt;
use storehouse::blobstore::{Digest, HashFunction, ListBlobs};
use storehouse::formats::ucan::{Capability, DelegationBuilder, ReceiptBuilder, Signer};
use storehouse::local::journal::Journal;
use storehouse::local::keystore::{Ed25519Key, KeyName, KeyStore, PutKey};
use storehouse::records::{
    Acceptance, Allocation, BlobRef, Consolidation, Delegation, Ipld, Receipt,
};
use storehouse::{Config, Stores};

/// Where the child of a test finds its directory.
const DIR: &str = "STOREHOUSE_TEST_DIR";

fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", test, "--nocapture"])
        .env(DIR, dir);
    command
}

fn child_dir() -> PathBuf {
    PathBuf::from(std::env::var_os(DIR).expect("this is the part of a child process"))
}

#[test]
#[ignore = "needs to mount a file system, which not every machine lets a user do"]
fn a_full_file_system() {
    let dir = tempfile::tempdir().unwrap();
    let child = child("on_a_full_file_system", dir.path());
    let mount = "mount -t tmpfs -o size=192m storehouse \"$STOREHOUSE_TEST_DIR\" && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args([
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        mount,
        "sh",
    ]);
    command.arg(child.get_program()).args(child.get_args());
    let output = command.env(DIR, dir.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Takes all space that there is.
fn fill(path: &Path) {
    let mut file = fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    while file.write_all(&[1; 64 << 10]).is_ok() {}
    while file.write_all(&[1]).is_ok() {}
}

async fn open(dir: &Path, records: &str, log: bool) -> Stores {
    let data_dir = dir.join(format!("{records}-{log}"));
    let mut config = format!("[repo]\nmin_free = 0\ndata_dir = {data_dir:?}\n");
    for store in [
        "allocations",
        "acceptances",
        "delegations",
        "receipts",
        "consolidations",
    ] {
        config += &format!("[repo.stores.{store}]\nbackend = {records:?}\n");
    }
    config += &format!("[repo.flatfs]\nlog = {log}\n");
    let opened = Stores::open(&Config::from_toml(&config).unwrap()).await;
    opened.unwrap_or_else(|e| panic!("{records} {log}: {e} {:?}", std::error::Error::source(&e)))
}

/// A blob, a key, and a record of each kind, by a number.
struct Content {
    bytes: Vec<u8>,
    allocation: Allocation,
    acceptance: Acceptance,
    delegation: Delegation,
    receipt: Receipt,
    consolidation: Consolidation,
    key: KeyName,
}

impl Content {
    fn new(number: u8) -> Self {
        let bytes = vec![number; 10_000];
        let blob = BlobRef {
            digest: Digest::of(HashFunction::Sha2_256, &bytes),
            size: 10_000,
        };
        let signer = Signer::from_seed(&[1; 32]);
        let capability = Capability::new("blob/accept", signer.did().to_string());
        let delegation = DelegationBuilder::new(signer.did().clone(), vec![capability])
            .nonce(number.to_string())
            .sign(&signer)
            .unwrap();
        let receipt = ReceiptBuilder::for_invocation(&delegation, Ok::<_, Ipld>(Ipld::Null))
            .sign(&signer)
            .unwrap();
        let space: storehouse::records::Did = "did:web:example.com".parse().unwrap();
        Self {
            bytes,
            allocation: Allocation {
                space: space.clone(),
                blob: blob.clone(),
                expires: 4_000_000_000,
                cause: delegation.cid(),
            },
            acceptance: Acceptance::new(space, blob, delegation.cid(), 1).unwrap(),
            consolidation: Consolidation {
                track_invocation: delegation.clone(),
                consolidate_invocation: receipt.cid(),
            },
            delegation,
            receipt,
            key: format!("key-{number}").parse().unwrap(),
        }
    }

    fn digest(&self) -> &Digest {
        &self.allocation.blob.digest
    }

    async fn put(&self, stores: &Stores) {
        let records = stores.records();
        let blob = self.bytes.clone();
        stores.blobs().put(self.digest(), blob).await.unwrap();
        records.allocations.put(&self.allocation).await.unwrap();
        records.acceptances.put(&self.acceptance).await.unwrap();
        records.delegations.put(&self.delegation).await.unwrap();
        records.receipts.put(&self.receipt).await.unwrap();
        let batch = self.delegation.cid();
        records
            .consolidations
            .put(&batch, &self.consolidation)
            .await
            .unwrap();
        let secret = Ed25519Key::generate().unwrap().to_secret();
        let keys = stores.local().keys();
        keys.put(&self.key, &secret, PutKey::Create).await.unwrap();
        let journal = stores.local().journal();
        journal
            .append(self.receipt.as_bytes().to_vec().into())
            .await
            .unwrap();
        journal.force_rotate().await.unwrap();
    }

    /// Whether all of it is there, or none of it.
    async fn is_there(&self, stores: &Stores) -> bool {
        let records = stores.records();
        let (cid, space) = (self.delegation.cid(), &self.allocation.space);
        let found = [
            stores.blobs().exists(self.digest()).await.unwrap(),
            records.allocations.get(self.digest(), space).await.is_ok(),
            records.acceptances.get(self.digest(), space).await.is_ok(),
            records.delegations.get(&cid).await.is_ok(),
            records.receipts.get_by_ran(&cid).await.unwrap().is_some(),
            records.consolidations.get(&cid).await.is_ok(),
            stores.local().keys().has(&self.key).await.unwrap(),
        ];
        assert!(found.iter().all(|there| *there == found[0]), "{found:?}");
        found[0]
    }

    async fn delete(&self, stores: &Stores) {
        let records = stores.records();
        let (cid, space) = (self.delegation.cid(), &self.allocation.space);
        stores.blobs().delete(self.digest()).await.unwrap();
        records
            .allocations
            .delete(self.digest(), space)
            .await
            .unwrap();
        records
            .acceptances
            .delete(self.digest(), space)
            .await
            .unwrap();
        records.delegations.delete(&cid).await.unwrap();
        records.receipts.delete(&self.receipt.cid()).await.unwrap();
        records.consolidations.delete(&cid).await.unwrap();
        stores.local().keys().delete(&self.key).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "the part of a child process"]
async fn on_a_full_file_system() {
    let dir = child_dir();
    let filler = dir.join("filler");
    for (records, log) in [("redb", false), ("redb", true)] {
        let content = [0, 1, 2].map(Content::new);
        let stores = open(&dir, records, log).await;
        for content in &content {
            content.put(&stores).await;
        }
        fill(&filler);
        // Full while it is open: puts say so, and room can be made.
        let more = Content::new(9);
        let bytes = vec![9; 4 << 20];
        let digest = Digest::of(HashFunction::Sha2_256, &bytes);
        let refused = stores.blobs().put(&digest, bytes).await.unwrap_err();
        assert!(refused.is_full(), "{records} {log}: {refused:?}");
        content[0].delete(&stores).await;
        stores.close().await.unwrap();
        drop(stores);

        // Full when it is opened.
        fill(&filler);
        let stores = open(&dir, records, log).await;
        assert!(!content[0].is_there(&stores).await);
        assert!(content[1].is_there(&stores).await && content[2].is_there(&stores).await);
        let listed: Vec<_> = stores
            .blobs()
            .list(ListBlobs::default())
            .try_collect()
            .await
            .unwrap();
        assert_eq!(listed.len(), 2, "{records} {log}");
        content[1].delete(&stores).await;
        let journal = stores.local().journal();
        let pending = journal.pending().await.unwrap();
        assert_eq!(pending.len(), 3);
        journal.acknowledge(&pending[0].cid).await.unwrap();
        journal.remove(&pending[0].cid).await.unwrap();
        stores.close().await.unwrap();
        drop(stores);

        // And once more; then there is room again.
        fill(&filler);
        let stores = open(&dir, records, log).await;
        assert!(!content[1].is_there(&stores).await && content[2].is_there(&stores).await);
        assert_eq!(stores.local().journal().pending().await.unwrap().len(), 2);
        fs::remove_file(&filler).unwrap();
        more.put(&stores).await;
        assert!(more.is_there(&stores).await && content[2].is_there(&stores).await);
        stores.close().await.unwrap();
    }
}
