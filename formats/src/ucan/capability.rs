use crate::dag_cbor::{DecodeError, Problem, RawValue, Reader, Writer};

/// What may be done with what.
///
/// ```
/// use storehouse_formats::Ipld;
/// use storehouse_formats::ucan::Capability;
///
/// let capability = Capability::new("blob/accept", "did:web:example.com")
///     .nb(Ipld::List(vec![Ipld::Integer(5)]));
/// assert_eq!(capability.can, "blob/accept");
/// assert_eq!(capability.nb.unwrap().as_bytes(), b"\x81\x05".as_slice());
/// # Ok::<(), storehouse_formats::dag_cbor::DecodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capability {
    /// The ability: `blob/accept`, `test/*`.
    pub can: String,
    /// The resource, often a DID.
    pub with: String,
    /// Caveats, or the arguments of an invocation.
    pub nb: Option<RawValue>,
}

impl Capability {
    /// The ability `can` on the resource `with`.
    ///
    /// ```
    /// use storehouse_formats::Ipld;
    /// use storehouse_formats::ucan::Capability;
    ///
    /// let capability = Capability::new("blob/accept", "did:web:example.com").nb(Ipld::Null);
    /// assert_eq!(capability.nb.unwrap().to_ipld()?, Ipld::Null);
    /// # Ok::<(), storehouse_formats::dag_cbor::DecodeError>(())
    /// ```
    #[must_use]
    pub fn new(can: impl Into<String>, with: impl Into<String>) -> Self {
        Self {
            can: can.into(),
            with: with.into(),
            nb: None,
        }
    }

    /// With these caveats or arguments.
    #[must_use]
    pub fn nb(mut self, nb: impl Into<RawValue>) -> Self {
        self.nb = Some(nb.into());
        self
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.map(2 + usize::from(self.nb.is_some()));
        if let Some(nb) = &self.nb {
            writer.text("nb");
            writer.raw(nb.as_bytes());
        }
        writer.text("can");
        writer.text(&self.can);
        writer.text("with");
        writer.text(&self.with);
    }
}

/// A capability as it lies in its block.
pub(super) struct RawCapability<'a> {
    pub(super) can: &'a str,
    pub(super) with: &'a str,
    pub(super) nb: Option<&'a [u8]>,
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
