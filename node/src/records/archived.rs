//! What claims and receipts have in common.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use storehouse::formats::dag_json::JsonError;
use storehouse::formats::{self, Cid};
use storehouse::genericstore::{Codec, GenericStore, Raw};
use storehouse::objectstore::ObjectStore;
use storehouse::records::{self, Delegation, Receipt, RecordCodec};

use crate::api_error::ApiError;
use crate::app_state::AppState;
use crate::json as view;
use crate::signers::Signers;

type Store<R, C> = GenericStore<R, C, Arc<dyn ObjectStore>>;

/// A kind of archive that is found by a CID.
pub(super) trait Archived: Send + 'static {
    const PATH: &'static str;
    type Record: Send + Sync + 'static;
    type Codec: Codec<Self::Record>;
    fn records(node: &AppState) -> &Store<Self::Record, Self::Codec>;
    /// Stores an archive if none of its CID is there, and says whether it did.
    fn put<'a>(
        node: &'a AppState,
        record: &'a Self::Record,
    ) -> BoxFuture<'a, records::Result<bool>>;
    fn decode(archive: Bytes) -> formats::Result<Self::Record>;
    fn cid(record: &Self::Record) -> Cid;
    fn check_signature(record: &Self::Record, signers: &Signers) -> Result<(), ApiError>;
    fn to_json(record: &Self::Record) -> Result<Vec<u8>, JsonError>;
}

/// Delegations and invocations.
pub(super) struct Claims;

impl Archived for Claims {
    const PATH: &'static str = "/claims";
    type Record = Delegation;
    type Codec = RecordCodec;

    fn records(node: &AppState) -> &Store<Delegation, RecordCodec> {
        node.records().delegations.records()
    }

    fn put<'a>(node: &'a AppState, claim: &'a Delegation) -> BoxFuture<'a, records::Result<bool>> {
        Box::pin(node.records().delegations.put(claim))
    }

    fn decode(archive: Bytes) -> formats::Result<Delegation> {
        Delegation::decode(archive)
    }

    fn cid(claim: &Delegation) -> Cid {
        claim.cid()
    }

    fn check_signature(claim: &Delegation, signers: &Signers) -> Result<(), ApiError> {
        signers.check_claim(claim)
    }

    fn to_json(claim: &Delegation) -> Result<Vec<u8>, JsonError> {
        view::claim(claim)
    }
}

/// Receipts.
pub(super) struct Receipts;

impl Archived for Receipts {
    const PATH: &'static str = "/receipts";
    type Record = Receipt;
    type Codec = RecordCodec;

    fn records(node: &AppState) -> &Store<Receipt, RecordCodec> {
        node.records().receipts.records()
    }

    fn put<'a>(node: &'a AppState, receipt: &'a Receipt) -> BoxFuture<'a, records::Result<bool>> {
        Box::pin(put_receipt(node, receipt))
    }

    fn decode(archive: Bytes) -> formats::Result<Receipt> {
        Receipt::decode(archive)
    }

    fn cid(receipt: &Receipt) -> Cid {
        receipt.cid()
    }

    fn check_signature(receipt: &Receipt, signers: &Signers) -> Result<(), ApiError> {
        signers.check_receipt(receipt)
    }

    fn to_json(receipt: &Receipt) -> Result<Vec<u8>, JsonError> {
        view::receipt(receipt)
    }
}

/// The bytes of the archive that is stored under this CID.
pub(super) async fn stored_bytes<A: Archived>(
    node: &AppState,
    cid: &Cid,
) -> records::Result<Bytes> {
    let records = A::records(node);
    let (store, namespace) = (records.object_store().clone(), records.namespace().clone());
    let bytes: Store<Bytes, Raw> = GenericStore::new(store, Raw, namespace);
    Ok(bytes.get(&cid.to_string()).await?)
}

/// Stores a receipt. The one that its invocation leads to may have come unchecked, and have no
/// valid signature. If this one has, the invocation leads to it from now on, new or not.
async fn put_receipt(node: &AppState, receipt: &Receipt) -> records::Result<bool> {
    let (receipts, signers) = (&node.records().receipts, &node.signers);
    let is_new = receipts.put(receipt).await?;
    let is_better = |found: &Receipt| signers.holds(receipt) && !signers.holds(found);
    let is_led_to = match receipts.get_by_ran(&receipt.ran()).await {
        Ok(Some(found)) => !is_better(&found),
        Ok(None) => false,
        Err(e) if e.is_record() => false,
        Err(e) => return Err(e),
    };
    if is_led_to {
        return Ok(is_new);
    }
    // What is stored stays as it is, if it can be: this archive may have fewer proofs.
    let stored = match receipts.get(&receipt.cid()).await {
        Ok(stored) if !is_better(&stored) => Some(stored),
        Ok(_) => None,
        Err(e) if e.is_record() || e.is_not_found() => None,
        Err(e) => return Err(e),
    };
    receipts.replace(stored.as_ref().unwrap_or(receipt)).await?;
    Ok(is_new)
}
