//! A receipt for every retrieval, off the requests' path: in the receipt store, and in the journal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::{StreamExt, stream};
use storehouse::formats::ucan::{
    Capability, DelegationBuilder, ReceiptBuilder, ReceiptForm, Signer,
};
use storehouse::local::journal::{Handled, Journal, Rotator};
use storehouse::local::keystore::{Ed25519Key, KeyName, KeyStore, PutKey};
use storehouse::objectstore::observe::LogLimit;
use storehouse::records::{Ipld, Receipt};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::retrieval::Retrieval;
use crate::app_state::AppState;
use crate::clock::now;
use crate::error::Result;
use crate::error_chain::chain;

/// The key that receipts are signed with.
const KEY: &str = "node";
/// What a receipt is of: Piri's ability for it.
const ABILITY: &str = "space/content/retrieve";
/// Retrievals that wait for their receipts.
const QUEUE: usize = 16 * 1024;
/// Receipts that are written together.
const TOGETHER: usize = 256;
/// Receipts that are on their way to a store at once.
const AT_ONCE: usize = 64;
/// How long to wait after a failure: at first, and at most.
const WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Receipts that could not be written are logged once a second.
static FAILED: LogLimit = LogLimit::new(Duration::from_secs(1));

/// The tasks that write receipts, and look after the journal.
#[derive(Debug)]
pub(crate) struct Receipts {
    retrievals: Sender<Retrieval>,
    stop: CancellationToken,
    writing: JoinHandle<()>,
    rotator: Rotator,
}

impl Receipts {
    /// Starts them. At the first start a key is generated.
    pub(crate) async fn start(node: &Arc<AppState>) -> Result<Self> {
        let signer = Arc::new(signer(node.keys()).await?);
        tracing::info!("receipts are signed by {}", signer.did());
        let (retrievals, queue) = channel(QUEUE);
        let stop = CancellationToken::new();
        let writer = Writer {
            node: Arc::clone(node),
            signer,
            started: nanoseconds(),
            count: 0,
        };
        let writing = tokio::spawn(writer.run(queue, stop.clone()));
        let rotator = Rotator::spawn(
            Arc::clone(node.journal()),
            node.rotator_options(),
            |batch| {
                // The consumer of batches takes them from `pending`; until then they stay.
                tracing::info!(
                    "a batch of receipts is ready: {} of {} bytes",
                    batch.cid,
                    batch.size
                );
                Box::pin(async { Handled::Later })
            },
            |error| tracing::error!("the journal: {error}"),
        );
        Ok(Self {
            retrievals,
            stop,
            writing,
            rotator,
        })
    }

    /// Where retrievals are told.
    pub(crate) fn retrievals(&self) -> Sender<Retrieval> {
        self.retrievals.clone()
    }

    /// Writes what was told until now, for at most that long.
    pub(crate) async fn stop(self, node: &AppState, limit: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(limit, self.writing).await.is_err() {
            tracing::error!(
                "receipts are lost: they could not be written in {} seconds",
                limit.as_secs()
            );
        }
        self.rotator.stop().await;
        if let Err(e) = node.journal().sync().await {
            tracing::error!("the journal: {}", chain(&e));
        }
    }
}

async fn signer(keys: &Arc<dyn KeyStore>) -> Result<Signer> {
    let name: KeyName = KEY.parse()?;
    if !keys.has(&name).await? {
        keys.put(&name, &Ed25519Key::generate()?.to_secret(), PutKey::Create)
            .await?;
    }
    let secret = Ed25519Key::from_secret(&keys.get(&name).await?)?.to_secret();
    let seed = secret.expose().try_into();
    let seed = seed.map_err(|_| storehouse::local::Error::InvalidKey {
        reason: "a seed has 32 bytes",
    })?;
    Ok(Signer::from_seed(seed))
}

struct Writer {
    node: Arc<AppState>,
    signer: Arc<Signer>,
    /// Nonces are this and a count, so that no two retrievals of any run are one.
    started: u128,
    count: u64,
}

/// A receipt, and what of it is yet to be written.
struct Due {
    receipt: Receipt,
    journal: bool,
    store: bool,
}

impl Writer {
    async fn run(mut self, mut queue: Receiver<Retrieval>, stop: CancellationToken) {
        let mut some = Vec::with_capacity(TOGETHER);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled(), if !queue.is_closed() => {
                    queue.close();
                    continue;
                }
                count = queue.recv_many(&mut some, TOGETHER) => {
                    if count == 0 {
                        return;
                    }
                }
            }
            let first = self.count;
            self.count += some.len() as u64;
            let (signer, started, retrievals) = (
                Arc::clone(&self.signer),
                self.started,
                std::mem::take(&mut some),
            );
            // Two signatures each: that is work for another thread.
            let signed = tokio::task::spawn_blocking(move || {
                let numbered = retrievals.iter().zip(first..);
                numbered
                    .map(|(retrieval, number)| {
                        sign(&signer, retrieval, &format!("{started:x}-{number:x}"))
                    })
                    .collect::<Vec<_>>()
            });
            let mut due = Vec::new();
            for receipt in signed.await.unwrap_or_default() {
                match receipt {
                    Ok(receipt) => due.push(Due {
                        receipt,
                        journal: true,
                        store: true,
                    }),
                    Err(e) => tracing::error!("a receipt cannot be made: {}", chain(&e)),
                }
            }
            self.write(due).await;
        }
    }

    /// Writes them, and does not give up: the journal and the store may come back, and until then
    /// retrievals wait.
    async fn write(&self, mut due: Vec<Due>) {
        let mut wait = WAIT.0;
        loop {
            let count = due.len();
            let tried = stream::iter(due)
                .map(|due| self.try_once(due))
                .buffer_unordered(AT_ONCE);
            due = tried
                .filter(|due| std::future::ready(due.journal || due.store))
                .collect()
                .await;
            metrics::counter!("node_receipts_total").increment((count - due.len()) as u64);
            if due.is_empty() {
                return;
            }
            metrics::counter!("node_receipt_failures_total").increment(due.len() as u64);
            tracing::error!(
                "{} receipts could not be written; trying again in {wait:?}",
                due.len()
            );
            tokio::time::sleep(wait).await;
            wait = (2 * wait).min(WAIT.1);
        }
    }

    async fn try_once(&self, mut due: Due) -> Due {
        let archive = due.receipt.in_form(ReceiptForm::Archive);
        let (journal, store) = tokio::join!(
            async {
                if due.journal {
                    self.node.journal().append(archive).await.map(drop)
                } else {
                    Ok(())
                }
            },
            async {
                if due.store {
                    self.node
                        .records()
                        .receipts
                        .put(&due.receipt)
                        .await
                        .map(drop)
                } else {
                    Ok(())
                }
            },
        );
        // Each was tried again together with many others.
        if let Err(e) = &journal
            && let Some(more) = FAILED.pass(Instant::now())
        {
            tracing::warn!(more, "the journal: {}", chain(e));
        }
        if let Err(e) = &store
            && let Some(more) = FAILED.pass(Instant::now())
        {
            tracing::warn!(more, "the receipt store: {}", chain(e));
        }
        (due.journal, due.store) = (journal.is_err(), store.is_err());
        due
    }
}

/// The receipt of a retrieval, with the invocation that it is of. The node invokes itself: who
/// asked is not known here.
fn sign(
    signer: &Signer,
    retrieval: &Retrieval,
    nonce: &str,
) -> storehouse::formats::Result<Receipt> {
    let Retrieval { digest, range } = retrieval;
    let blob = Ipld::Map(BTreeMap::from([(
        "digest".to_owned(),
        Ipld::Bytes(digest.as_bytes().to_vec()),
    )]));
    // Both ends inclusive, as Piri has them; a retrieval of no bytes has none.
    let ends: Vec<Ipld> = if range.is_empty() {
        Vec::new()
    } else {
        [range.start, range.end - 1]
            .map(|at| Ipld::Integer(at.into()))
            .to_vec()
    };
    let arguments = BTreeMap::from([
        ("blob".to_owned(), blob),
        ("range".to_owned(), Ipld::List(ends)),
    ]);
    let capability =
        Capability::new(ABILITY.to_owned(), signer.did().to_string()).nb(Ipld::Map(arguments));
    let invocation = DelegationBuilder::new(signer.did().clone(), vec![capability])
        .nonce(nonce)
        .sign(signer)?;
    let bytes = BTreeMap::from([(
        "bytes".to_owned(),
        Ipld::Integer((range.end - range.start).into()),
    )]);
    let now = i128::from(now());
    ReceiptBuilder::for_invocation(&invocation, Ok::<_, Ipld>(Ipld::Map(bytes)))
        .meta("time", Ipld::Integer(now))
        .sign(signer)
}

fn nanoseconds() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
}
