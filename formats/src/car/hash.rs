use ipld_core::cid::Cid;
use ipld_core::cid::multihash::Multihash;
use sha2::{Digest, Sha256, Sha512};

use super::CarProblem;

/// The multicodec of a CAR file.
pub const CAR_CODEC: u64 = 0x0202;
/// The multicodec of dag-cbor.
pub const DAG_CBOR: u64 = 0x71;
/// The multihash code of sha2-256.
pub const SHA2_256: u64 = 0x12;
const SHA2_512: u64 = 0x13;
const IDENTITY: u64 = 0x00;

/// The CIDv1 of a CAR file with this sha2-256.
#[must_use]
pub fn car_cid(sha256: [u8; 32]) -> Cid {
    cid_of(CAR_CODEC, sha256)
}

/// The CIDv1 of a dag-cbor block with this sha2-256.
#[must_use]
pub fn dag_cbor_cid(sha256: [u8; 32]) -> Cid {
    cid_of(DAG_CBOR, sha256)
}

/// The CIDv1 of this dag-cbor block, by its sha2-256.
#[must_use]
pub fn dag_cbor_cid_of(block: &[u8]) -> Cid {
    dag_cbor_cid(Sha256::digest(block).into())
}

fn cid_of(codec: u64, sha256: [u8; 32]) -> Cid {
    // A multihash holds up to 64 bytes, so wrapping 32 cannot fail; the default is never used.
    Cid::new_v1(
        codec,
        Multihash::wrap(SHA2_256, &sha256).unwrap_or_default(),
    )
}

/// Whether `data` is what `cid` names, by sha2-256, sha2-512 or identity.
///
/// # Errors
/// [`CarProblem::Hash`] if not, [`CarProblem::HashFunction`] if that cannot be told.
pub fn check_hash(cid: &Cid, data: &[u8]) -> Result<(), CarProblem> {
    let digest = cid.hash().digest();
    let same = match cid.hash().code() {
        SHA2_256 => Sha256::digest(data).as_slice() == digest,
        SHA2_512 => Sha512::digest(data).as_slice() == digest,
        IDENTITY => data == digest,
        code => return Err(CarProblem::HashFunction { code }),
    };
    if same {
        Ok(())
    } else {
        Err(CarProblem::Hash {
            cid: Box::new(*cid),
        })
    }
}
