//! A blob's life in records: allocated, accepted, claimed, receipted and consolidated, on whichever
//! backend is configured.
//!
//! ```text
//! cargo run --release --example records -- [--config TOML]
//! ```
//!
//! Every record is read back and compared. Without `--config` everything is in memory.

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use storehouse::blobstore::{Digest, HashFunction};
use storehouse::formats::ucan::{Capability, DelegationBuilder, Effects, ReceiptBuilder, Signer};
use storehouse::records::{
    Acceptance, Allocation, BlobRef, Cid, Consolidation, Did, Ipld, Promise,
};
use storehouse::{Config, Records, Stores};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let config = match arguments.as_slice() {
        [] => Ok(Config::default()),
        [option, file] if option == "--config" => std::fs::read_to_string(file)
            .map_err(Into::into)
            .and_then(|text| Config::from_toml(&text).map_err(Box::<dyn Error>::from)),
        _ => {
            eprintln!("usage: records [--config TOML]");
            return ExitCode::from(2);
        }
    };
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("Failed: {}", chain(&*e));
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Result<Config, Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
    let stores = Stores::open(&config?).await?;
    println!("backend       {}", stores.backend());
    life(stores.records()).await
}

async fn life(records: &Records) -> Result<(), Box<dyn Error>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    // Keys for this example alone: a node has its own in the keystore.
    let (node, uploader) = (Signer::from_seed(&[1; 32]), Signer::from_seed(&[2; 32]));
    let space: Did = "did:web:space.example.com".parse()?;
    let blob = BlobRef {
        digest: Digest::of(HashFunction::Sha2_256, b"hello"),
        size: 5,
    };

    // Somebody asks for room.
    let allocate = invocation("blob/allocate", &uploader, node.did(), &blob)?;
    let allocation = Allocation {
        space: space.clone(),
        blob: blob.clone(),
        expires: now + 3600,
        cause: allocate.cid(),
    };
    records.allocations.put(&allocation).await?;
    check(records.allocations.get(&blob.digest, &space).await? == allocation)?;
    check(
        records
            .allocations
            .get_any_non_expired(&blob.digest, now)
            .await?
            == Some(allocation.clone()),
    )?;
    println!("allocated     {} in {space}", blob.digest);

    // The blob came.
    let accept = invocation("blob/accept", &uploader, node.did(), &blob)?;
    let acceptance = Acceptance::new(space.clone(), blob.clone(), accept.cid(), now)?
        .with_pdp_accept(Promise::of_ok(allocate.cid()));
    records.acceptances.put(&acceptance).await?;
    check(records.acceptances.get(&blob.digest, &space).await? == acceptance)?;
    println!("accepted      by {}", accept.cid());

    // The node claims to have it.
    let claim = invocation("assert/location", &node, uploader.did(), &blob)?;
    records.delegations.put(&claim).await?;
    check(records.delegations.get(&claim.cid()).await? == claim)?;
    claim.verify_signature(None)?;
    println!("claimed       {}", claim.cid());

    // What came of the invocation, found by the invocation.
    let effects = Effects {
        fork: vec![claim.cid()],
        join: None,
    };
    let receipt = ReceiptBuilder::for_invocation(&accept, Ok::<_, Ipld>(&claim.cid()))
        .effects(effects)
        .sign(&node)?;
    records.receipts.put(&receipt).await?;
    check(records.receipts.get_by_ran(&accept.cid()).await?.as_ref() == Some(&receipt))?;
    receipt.verify_signature(None)?;
    println!("receipt       {receipt}");

    // A batch of such receipts was handed in.
    let batch: Cid = "bagbaieraxuevlafzaezruz54lefip4kvv2oackllkme2ogdbm3fy6be3h5za".parse()?;
    let track_invocation = invocation("space/egress/track", &node, uploader.did(), &blob)?;
    let consolidation = Consolidation {
        track_invocation,
        consolidate_invocation: receipt.cid(),
    };
    records.consolidations.put(&batch, &consolidation).await?;
    check(records.consolidations.get(&batch).await? == consolidation)?;
    println!("consolidated  {batch}");

    let expired = records.allocations.remove_expired(now + 3600).await?;
    check(expired >= 1 && !records.allocations.exists(&blob.digest).await?)?;
    println!("removed       {expired} expired allocations");
    Ok(())
}

fn invocation(
    can: &str,
    issuer: &Signer,
    audience: &Did,
    blob: &BlobRef,
) -> Result<storehouse::records::Delegation, Box<dyn Error>> {
    let arguments = BTreeMap::from([
        (
            "digest".to_owned(),
            Ipld::Bytes(blob.digest.as_bytes().to_vec()),
        ),
        ("size".to_owned(), Ipld::Integer(blob.size.into())),
    ]);
    let capability =
        Capability::new(can.to_owned(), issuer.did().to_string()).nb(Ipld::Map(arguments));
    Ok(DelegationBuilder::new(audience.clone(), vec![capability])
        .expiration(4_000_000_000)
        .sign(issuer)?)
}

fn check(same: bool) -> Result<(), &'static str> {
    if same {
        Ok(())
    } else {
        Err("a record reads back as another than was written")
    }
}

/// An error with its causes, outermost first.
fn chain(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |&e| e.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
