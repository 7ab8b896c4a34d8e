use blake2::Blake2b256;
use sha2::{Digest, Sha256, Sha512};

use super::CarProblem;
use crate::Cid;

/// The multicodec of a CAR file.
pub const CAR_CODEC: u64 = 0x0202;
/// The multicodec of dag-cbor.
pub const DAG_CBOR: u64 = 0x71;
/// The multihash code of sha2-256.
pub const SHA2_256: u64 = 0x12;
const SHA2_512: u64 = 0x13;
const BLAKE3: u64 = 0x1e;
const BLAKE2B_256: u64 = 0xb220;
const IDENTITY: u64 = 0x00;

/// The CIDv1 of a CAR file with this sha2-256.
///
/// ```
/// use storehouse_formats::car::{CAR_CODEC, car_cid};
///
/// # let sha256 = [7; 32];
/// let cid = car_cid(sha256); // of the whole file
/// assert_eq!((cid.codec(), cid.hash()), (CAR_CODEC, &sha256[..]));
/// ```
#[must_use]
pub fn car_cid(sha256: [u8; 32]) -> Cid {
    cid_of(CAR_CODEC, sha256)
}

/// The CIDv1 of a dag-cbor block with this sha2-256.
///
/// ```
/// use storehouse_formats::car::{DAG_CBOR, dag_cbor_cid};
///
/// # let sha256 = [7; 32];
/// let cid = dag_cbor_cid(sha256); // of the block
/// assert_eq!((cid.codec(), cid.hash()), (DAG_CBOR, &sha256[..]));
/// ```
#[must_use]
pub fn dag_cbor_cid(sha256: [u8; 32]) -> Cid {
    cid_of(DAG_CBOR, sha256)
}

/// The CIDv1 of this dag-cbor block, by its sha2-256.
///
/// ```
/// let cid = storehouse_formats::car::dag_cbor_cid_of(b"\xa0");
/// assert_eq!(cid.to_string(), "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua");
/// ```
#[must_use]
pub fn dag_cbor_cid_of(block: &[u8]) -> Cid {
    dag_cbor_cid(Sha256::digest(block).into())
}

fn cid_of(codec: u64, sha256: [u8; 32]) -> Cid {
    Cid::v1(codec, SHA2_256, &sha256)
}

/// Whether `data` was verified to be what `cid` names: `false` if its hash function is none of
/// sha2-256, sha2-512, blake2b-256, blake3 and identity.
///
/// ```
/// use storehouse_formats::Cid;
/// use storehouse_formats::car::{check_hash, dag_cbor_cid_of};
///
/// assert!(check_hash(&dag_cbor_cid_of(b"\xa0"), b"\xa0")?);
/// assert!(check_hash(&dag_cbor_cid_of(b"\xa0"), b"other").is_err());
/// // sha3-256
/// assert!(!check_hash(&Cid::v1(0x55, 0x16, &[0; 32]), b"any")?);
/// # Ok::<(), storehouse_formats::car::CarProblem>(())
/// ```
///
/// # Errors
/// [`CarProblem::Hash`] if it is something else.
pub fn check_hash(cid: &Cid, data: &[u8]) -> Result<bool, CarProblem> {
    let hash = cid.hash();
    let same = match cid.hash_code() {
        SHA2_256 => Sha256::digest(data).as_slice() == hash,
        SHA2_512 => Sha512::digest(data).as_slice() == hash,
        BLAKE2B_256 => Blake2b256::digest(data).as_slice() == hash,
        BLAKE3 => blake3::hash(data).as_bytes().as_slice() == hash,
        IDENTITY => data == hash,
        _ => return Ok(false),
    };
    if same {
        Ok(true)
    } else {
        Err(CarProblem::Hash {
            cid: Box::new(cid.clone()),
        })
    }
}
