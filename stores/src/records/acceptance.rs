use bytes::Bytes;
use serde::{Deserialize, Serialize};
use storehouse_formats::Cid;
use storehouse_formats::dag_cbor::{DecodeError, Problem, Reader, Writer};

use super::BlobRef;
use super::fields::{not, read_did, required};
use crate::{Did, Error, Result};

/// A blob that was taken into a space.
///
/// On the wire a map of `blob` (a map of `size` and `digest`), `cause`, `space`, `pdpAccept` if
/// there is one, and `executedAt`, in this order. When read, fields that are not known are passed
/// over, as Piri does.
///
/// ```
/// use storehouse_blobstore::{Digest, HashFunction};
/// use storehouse_stores::{Acceptance, BlobRef, Cid, Promise};
///
/// let blob = BlobRef { digest: Digest::of(HashFunction::Sha2_256, b"hello"), size: 5 };
/// let task: Cid = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua".parse()?;
/// let acceptance = Acceptance::new("did:web:example.com".parse()?, blob, task.clone(), 1_700_000_000)?
///     .with_pdp_accept(Promise::of_ok(task.clone()));
///
/// let read = Acceptance::decode(&acceptance.encode())?;
/// assert_eq!(read, acceptance);
/// assert_eq!(read.space().to_string(), "did:web:example.com");
/// assert_eq!((read.blob().size, read.executed_at()), (5, 1_700_000_000));
/// assert_eq!((read.cause(), read.pdp_accept().unwrap().selector.as_str()), (&task, ".out.ok"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Acceptance(Fields);

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    space: Did,
    blob: BlobRef,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pdp_accept: Option<Promise>,
    executed_at: u64,
    cause: Cid,
}

/// The promise that a task's result will be there: `{"ucan/await": [selector, link]}`.
///
/// ```
/// use storehouse_stores::{Cid, Promise};
///
/// let task: Cid = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua".parse()?;
/// let promise = Promise::of_ok(task.clone());
/// assert_eq!((promise.selector.as_str(), promise.link), (".out.ok", task));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promise {
    /// What of the result: `.out.ok`.
    pub selector: String,
    /// The task.
    pub link: Cid,
}

impl Promise {
    /// The promise of a task's good result: its `.out.ok`.
    #[must_use]
    pub fn of_ok(link: Cid) -> Self {
        Self {
            selector: ".out.ok".into(),
            link,
        }
    }

    fn write(&self, writer: &mut Writer) {
        writer.map(1);
        writer.text("ucan/await");
        writer.list(2);
        writer.text(&self.selector);
        writer.link(&self.link);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut promise = None;
        reader.fields(|reader, key| {
            if key != b"ucan/await" {
                reader.raw()?;
                return Ok(true);
            }
            let start = reader.offset();
            let items = reader.list()?;
            if items < 2 {
                let reason = format!("a selector and a link belong there, not {items} items");
                return Err(Reader::error_at(
                    start,
                    Problem::Field {
                        field: "ucan/await",
                        reason,
                    },
                ));
            }
            let value = Self {
                selector: reader.text()?.to_owned(),
                link: reader.link()?,
            };
            for _ in 2..items {
                reader.raw()?;
            }
            reader.set("ucan/await", &mut promise, value)?;
            Ok(true)
        })?;
        required("ucan/await", promise)
    }
}

impl Acceptance {
    /// The largest size and time: Piri reads them as signed integers.
    pub const MAX: u64 = i64::MAX as u64;

    /// An acceptance of `blob` into `space`, caused by the invocation `cause` and carried out at
    /// `executed_at`, in seconds since the start of 1970, UTC.
    ///
    /// # Errors
    /// [`Error::Invalid`] if size or time is more than [`Acceptance::MAX`] (inclusive).
    pub fn new(space: Did, blob: BlobRef, cause: Cid, executed_at: u64) -> Result<Self> {
        Fields {
            space,
            blob,
            pdp_accept: None,
            executed_at,
            cause,
        }
        .try_into()
    }

    /// With the promise of `pdp/accept`.
    #[must_use]
    pub fn with_pdp_accept(mut self, promise: Promise) -> Self {
        self.0.pdp_accept = Some(promise);
        self
    }

    /// The space.
    #[must_use]
    pub fn space(&self) -> &Did {
        &self.0.space
    }

    /// The blob.
    #[must_use]
    pub fn blob(&self) -> &BlobRef {
        &self.0.blob
    }

    /// The promise of `pdp/accept`, if there is one.
    #[must_use]
    pub fn pdp_accept(&self) -> Option<&Promise> {
        self.0.pdp_accept.as_ref()
    }

    /// When it was carried out, in seconds since the start of 1970, UTC.
    #[must_use]
    pub fn executed_at(&self) -> u64 {
        self.0.executed_at
    }

    /// The invocation that asked for it.
    #[must_use]
    pub fn cause(&self) -> &Cid {
        &self.0.cause
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::with_capacity(
            180 + self.0.blob.digest.as_bytes().len() + self.0.space.as_bytes().len(),
        );
        writer.map(4 + usize::from(self.0.pdp_accept.is_some()));
        writer.text("blob");
        self.0.blob.write(&mut writer);
        writer.text("cause");
        writer.link(&self.0.cause);
        writer.text("space");
        writer.bytes(self.0.space.as_bytes());
        if let Some(promise) = &self.0.pdp_accept {
            writer.text("pdpAccept");
            promise.write(&mut writer);
        }
        writer.text("executedAt");
        writer.uint(self.0.executed_at);
        writer.into_bytes().into()
    }

    /// The acceptance that `bytes` are.
    ///
    /// # Errors
    /// [`Error::Format`]; [`Error::Invalid`] as [`new`](Self::new).
    #[inline]
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        read(bytes).map_err(not("an acceptance"))?.try_into()
    }
}

impl TryFrom<Fields> for Acceptance {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        for (what, value) in [
            ("size of an accepted blob", fields.blob.size),
            ("time of an acceptance", fields.executed_at),
        ] {
            if value > Self::MAX {
                return Err(Error::invalid(
                    what,
                    format!("{value} is more than 2^63 - 1"),
                ));
            }
        }
        Ok(Self(fields))
    }
}

impl From<Acceptance> for Fields {
    fn from(acceptance: Acceptance) -> Self {
        acceptance.0
    }
}

fn read(bytes: &[u8]) -> Result<Fields, DecodeError> {
    let mut reader = Reader::new(bytes);
    let (mut blob, mut cause, mut space, mut pdp_accept, mut executed_at) =
        (None, None, None, None, None);
    reader.fields(|reader, key| {
        match key {
            b"blob" => {
                let value = BlobRef::read(reader, true)?;
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
            b"pdpAccept" => {
                let promise = Promise::read(reader)?;
                reader.set("pdpAccept", &mut pdp_accept, promise)?;
            }
            b"executedAt" => {
                let seconds = reader.uint()?;
                reader.set("executedAt", &mut executed_at, seconds)?;
            }
            _ => drop(reader.raw()?),
        }
        Ok(true)
    })?;
    reader.finish()?;
    Ok(Fields {
        space: required("space", space)?,
        blob: required("blob", blob)?,
        pdp_accept,
        executed_at: required("executedAt", executed_at)?,
        cause: required("cause", cause)?,
    })
}
