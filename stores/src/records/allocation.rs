use bytes::Bytes;
use serde::{Deserialize, Serialize};
use storehouse_formats::Cid;
use storehouse_formats::dag_cbor::{DecodeError, Reader, Writer};

use super::BlobRef;
use super::fields::{not, read_did, required};
use crate::{Did, Result};

/// Room that was promised for a blob in a space, until it expires.
///
/// On the wire a map of `blob` (a map of `size` and `digest`), `cause`, `space` and `expires`, in
/// this order; all must be there and nothing else. Any values make an allocation: what is checked
/// is checked by their types.
///
/// ```
/// use storehouse_blobstore::{Digest, HashFunction};
/// use storehouse_stores::{Allocation, BlobRef};
///
/// let allocation = Allocation {
///     space: "did:web:example.com".parse()?,
///     blob: BlobRef { digest: Digest::of(HashFunction::Sha2_256, b"hello"), size: 5 },
///     expires: 100,
///     cause: "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua".parse()?,
/// };
/// assert_eq!(Allocation::decode(&allocation.encode())?, allocation);
/// assert!(allocation.is_valid_at(99) && !allocation.is_valid_at(100));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allocation {
    /// The space.
    pub space: Did,
    /// The blob.
    pub blob: BlobRef,
    /// When it becomes invalid, in seconds since the start of 1970, UTC.
    pub expires: u64,
    /// The invocation that asked for it.
    pub cause: Cid,
}

impl Allocation {
    /// Whether it is still valid at `now`, in seconds since the start of 1970, UTC: `expires` is
    /// the first second at which it is not.
    #[must_use]
    pub fn is_valid_at(&self, now: u64) -> bool {
        now < self.expires
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::with_capacity(
            96 + self.blob.digest.as_bytes().len() + self.space.as_bytes().len(),
        );
        writer.map(4);
        writer.text("blob");
        self.blob.write(&mut writer);
        writer.text("cause");
        writer.link(&self.cause);
        writer.text("space");
        writer.bytes(self.space.as_bytes());
        writer.text("expires");
        writer.uint(self.expires);
        writer.into_bytes().into()
    }

    /// The allocation that `bytes` are.
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format).
    #[inline]
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        read(bytes).map_err(not("an allocation"))
    }
}

fn read(bytes: &[u8]) -> Result<Allocation, DecodeError> {
    let mut reader = Reader::new(bytes);
    let (mut blob, mut cause, mut space, mut expires) = (None, None, None, None);
    reader.fields(|reader, key| {
        match key {
            b"blob" => {
                let value = BlobRef::read(reader, false)?;
                reader.set("blob", &mut blob, value)?;
            }
            b"cause" => {
                let link = reader.link()?;
                reader.set("cause", &mut cause, link)?;
            }
            b"space" => {
                let did = read_did(reader, "space")?;
                reader.set("space", &mut space, did)?;
            }
            b"expires" => {
                let seconds = reader.uint()?;
                reader.set("expires", &mut expires, seconds)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    reader.finish()?;
    Ok(Allocation {
        space: required("space", space)?,
        blob: required("blob", blob)?,
        expires: required("expires", expires)?,
        cause: required("cause", cause)?,
    })
}
