//! What claims and receipts have in common.

use std::sync::Arc;

use bytes::Bytes;
use storehouse::formats::dag_json::JsonError;
use storehouse::formats::{self, Cid};
use storehouse::genericstore::{Codec, Error, GenericStore, Raw};
use storehouse::objectstore::{self, ObjectStore};
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

/// Stores an archive if none of its CID is there, and says whether it did.
pub(super) async fn put_if_absent<A: Archived>(
    node: &AppState,
    record: &A::Record,
) -> records::Result<bool> {
    let (records, key) = (A::records(node), A::cid(record).to_string());
    match records.put_if_absent(&key, record).await {
        Ok(_) => Ok(true),
        Err(e) if e.is_already_exists() => Ok(false),
        // A server that ignores conditions: the look and the put are two requests there.
        Err(Error::Store(objectstore::Error::Unsupported { .. })) => {
            let is_new = !records.exists(&key).await?;
            if is_new {
                records.put(&key, record).await?;
            }
            Ok(is_new)
        }
        Err(e) => Err(e.into()),
    }
}
