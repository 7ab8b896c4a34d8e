use crate::dag_cbor::{DecodeError, Problem, Reader};
use ipld_core::ipld::Ipld;

/// What may be done with what.
#[derive(Clone, Debug, PartialEq)]
pub struct Capability {
    /// The ability: `blob/accept`, `test/*`.
    pub can: String,
    /// The resource, often a DID.
    pub with: String,
    /// Caveats, or the arguments of an invocation.
    pub nb: Option<Ipld>,
}

/// A capability as it lies in its block.
pub(super) struct RawCapability<'a> {
    can: &'a str,
    with: &'a str,
    nb: Option<&'a [u8]>,
}

impl<'a> RawCapability<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (mut can, mut with, mut nb) = (None, None, None);
        reader.fields(|reader, key| {
            match key {
                b"can" => {
                    let text = reader.text()?;
                    reader.set("can", &mut can, text)?;
                }
                b"with" => {
                    let text = reader.text()?;
                    reader.set("with", &mut with, text)?;
                }
                b"nb" => {
                    let value = reader.raw()?;
                    reader.set("nb", &mut nb, value)?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let missing = |name| Reader::error_at(reader.offset(), Problem::MissingField(name));
        Ok(Self {
            can: can.ok_or_else(|| missing("can"))?,
            with: with.ok_or_else(|| missing("with"))?,
            nb,
        })
    }
}

impl From<RawCapability<'_>> for Capability {
    fn from(raw: RawCapability<'_>) -> Self {
        let nb = raw.nb.and_then(|nb| Reader::new(nb).ipld().ok());
        Self {
            can: raw.can.to_owned(),
            with: raw.with.to_owned(),
            nb,
        }
    }
}

impl Capability {
    /// As a map of what is there.
    pub(super) fn to_ipld(&self) -> Ipld {
        let fields = [
            ("can", Some(Ipld::String(self.can.clone()))),
            ("nb", self.nb.clone()),
            ("with", Some(Ipld::String(self.with.clone()))),
        ];
        Ipld::Map(
            fields
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .collect(),
        )
    }
}
