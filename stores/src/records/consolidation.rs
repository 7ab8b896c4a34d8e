use bytes::Bytes;
use serde::{Deserialize, Serialize};
use storehouse_formats::Cid;
use storehouse_formats::dag_cbor::{DecodeError, Reader, Writer};

use super::fields::{not, required};
use crate::{Delegation, Result};

/// A batch of retrieval receipts that was handed in: the invocation that tracked it, and the one
/// that consolidates it.
///
/// On the wire a map of `trackInvocation` (the invocation's archive, as a byte string) and
/// `consolidateInvocationCID`, in this order. When read, fields that are not known are passed over,
/// as Piri does. Which batch it was is in its key alone.
///
/// ```
/// use storehouse_formats::ucan::{Capability, DelegationBuilder, Signer};
/// use storehouse_stores::{Cid, Consolidation};
///
/// let signer = Signer::from_seed(&[1; 32]);
/// let track = Capability::new("space/egress/track".to_owned(), signer.did().to_string());
/// let track_invocation = DelegationBuilder::new(signer.did().clone(), vec![track]).sign(&signer)?;
/// let consolidate_invocation: Cid =
///     "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua".parse()?;
/// let consolidation = Consolidation { track_invocation, consolidate_invocation };
/// assert_eq!(Consolidation::decode(&consolidation.encode())?, consolidation);
/// assert!(Consolidation::decode(&"other".into()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consolidation {
    /// The invocation of `space/egress/track` that was sent.
    pub track_invocation: Delegation,
    /// The invocation of `space/egress/consolidate` that came back.
    pub consolidate_invocation: Cid,
}

impl Consolidation {
    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let archive = self.track_invocation.as_bytes();
        let mut writer = Writer::with_capacity(100 + archive.len());
        writer.map(2);
        writer.text("trackInvocation");
        writer.bytes(archive);
        writer.text("consolidateInvocationCID");
        writer.link(&self.consolidate_invocation);
        writer.into_bytes().into()
    }

    /// The consolidation that `bytes` are. Nothing is copied.
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format); those of [`Delegation::decode`].
    pub fn decode(bytes: &Bytes) -> Result<Self> {
        let (archive, consolidate_invocation) = read(bytes).map_err(not("a consolidation"))?;
        Ok(Self {
            track_invocation: Delegation::decode(bytes.slice_ref(archive))?,
            consolidate_invocation,
        })
    }
}

fn read(bytes: &[u8]) -> Result<(&[u8], Cid), DecodeError> {
    let mut reader = Reader::new(bytes);
    let (mut track, mut consolidate) = (None, None);
    reader.fields(|reader, key| {
        match key {
            b"trackInvocation" => {
                let archive = reader.bytes()?;
                reader.set("trackInvocation", &mut track, archive)?;
            }
            b"consolidateInvocationCID" => {
                let link = reader.link()?;
                reader.set("consolidateInvocationCID", &mut consolidate, link)?;
            }
            _ => drop(reader.raw()?),
        }
        Ok(true)
    })?;
    reader.finish()?;
    Ok((
        required("trackInvocation", track)?,
        required("consolidateInvocationCID", consolidate)?,
    ))
}
