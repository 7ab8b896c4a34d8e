use serde::{Deserialize, Serialize};
use storehouse_blobstore::Digest;
use storehouse_formats::dag_cbor::{DecodeError, Problem, Reader, Writer};

use super::fields::required;

/// A blob that a record is about, by digest and size.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRef {
    /// Its digest.
    pub digest: Digest,
    /// Its size, in bytes.
    pub size: u64,
}

impl BlobRef {
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.map(2);
        writer.text("size");
        writer.uint(self.size);
        writer.text("digest");
        writer.bytes(self.digest.as_bytes());
    }

    /// Other fields are refused, or passed over if `lenient`.
    pub(super) fn read(reader: &mut Reader<'_>, lenient: bool) -> Result<Self, DecodeError> {
        let (mut digest, mut size) = (None, None);
        reader.fields(|reader, key| {
            match key {
                b"digest" => {
                    let start = reader.offset();
                    let parsed = Digest::from_bytes(reader.bytes()?).map_err(|e| {
                        Reader::error_at(
                            start,
                            Problem::Field {
                                field: "digest",
                                reason: e.to_string(),
                            },
                        )
                    })?;
                    reader.set("digest", &mut digest, parsed)?;
                }
                b"size" => {
                    let number = reader.uint()?;
                    reader.set("size", &mut size, number)?;
                }
                _ if lenient => drop(reader.raw()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self {
            digest: required("digest", digest)?,
            size: required("size", size)?,
        })
    }
}
