//! Attributes: what an object says of itself beside its bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::{Error, Result};

/// Attributes of an object: what HTTP says of a body, values of the user's own, and a time after
/// which the object is no longer wanted. They are written with the object, by
/// [`PutOptions::attributes`](crate::PutOptions::attributes), and come back in
/// [`Metadata`](crate::Metadata).
///
/// Each is checked when it is set, so that every store can hold it: a value has at least one byte,
/// all of it printable ASCII without a space at either end; a name is a token of RFC 9110, kept in
/// lower case. [`Capabilities::max_attributes`](crate::Capabilities::max_attributes) says how much
/// a store keeps. A clone is cheap.
///
/// ```
/// use storehouse_objectstore::Attributes;
///
/// let attributes = Attributes::default()
///     .with_content_type("image/jpeg")?
///     .with_user("Colour", ["red", "blue"])?;
/// assert_eq!(attributes.content_type(), Some("image/jpeg"));
/// assert_eq!(attributes.user("colour"), ["red", "blue"]);
/// assert!(Attributes::default().with_content_type("text/plain\r\nX-Evil: 1").is_err());
/// # Ok::<(), storehouse_objectstore::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Attributes(Option<Arc<Fields>>);

/// A header field of HTTP that is an attribute of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HttpField {
    /// `Content-Type`: the media type of the bytes.
    ContentType,
    /// `Content-Encoding`: what the bytes are encoded with, such as `gzip`.
    ContentEncoding,
    /// `Content-Language`: for whom the content is written.
    ContentLanguage,
    /// `Content-Disposition`: how a browser shows or saves the content.
    ContentDisposition,
    /// `Cache-Control`: who may keep copies, and for how long.
    CacheControl,
}

#[derive(Clone, Default, PartialEq, Eq)]
struct Fields {
    http: BTreeMap<HttpField, String>,
    user: BTreeMap<String, Vec<String>>,
    /// Milliseconds since 1970.
    expires: Option<u64>,
}

impl HttpField {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::ContentType,
        Self::ContentEncoding,
        Self::ContentLanguage,
        Self::ContentDisposition,
        Self::CacheControl,
    ];

    /// The field's name in HTTP, in lower case.
    ///
    /// ```
    /// assert_eq!(storehouse_objectstore::HttpField::CacheControl.name(), "cache-control");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ContentType => "content-type",
            Self::ContentEncoding => "content-encoding",
            Self::ContentLanguage => "content-language",
            Self::ContentDisposition => "content-disposition",
            Self::CacheControl => "cache-control",
        }
    }
}

impl Attributes {
    /// The most that the attributes of one object may take in any store, in bytes (inclusive), as
    /// [`Attributes::size`] counts.
    pub const MAX_SIZE: u64 = 64 * 1024;

    /// Whether there are none.
    ///
    /// ```
    /// assert!(storehouse_objectstore::Attributes::default().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The bytes of all names and values, and 8 for an expiry.
    ///
    /// ```
    /// use storehouse_objectstore::Attributes;
    ///
    /// let one = Attributes::default().with_user("colour", ["red", "blue"])?;
    /// assert_eq!(one.size(), 6 + 3 + 4);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn size(&self) -> u64 {
        let Some(fields) = &self.0 else {
            return 0;
        };
        let http: usize = fields
            .http
            .iter()
            .map(|(field, value)| field.name().len() + value.len())
            .sum();
        let user: usize = fields
            .user
            .iter()
            .map(|(name, values)| name.len() + values.iter().map(String::len).sum::<usize>())
            .sum();
        (http + user) as u64 + if fields.expires.is_some() { 8 } else { 0 }
    }

    /// The value of a field of HTTP.
    ///
    /// ```
    /// use storehouse_objectstore::{Attributes, HttpField};
    ///
    /// let attributes = Attributes::default().with_http(HttpField::CacheControl, "no-store")?;
    /// assert_eq!(attributes.http(HttpField::CacheControl), Some("no-store"));
    /// assert_eq!(attributes.http(HttpField::ContentType), None);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn http(&self, field: HttpField) -> Option<&str> {
        self.0.as_ref()?.http.get(&field).map(String::as_str)
    }

    /// The media type of the bytes.
    ///
    /// ```
    /// use storehouse_objectstore::Attributes;
    ///
    /// let text = Attributes::default().with_content_type("text/plain")?;
    /// assert_eq!(text.content_type(), Some("text/plain"));
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.http(HttpField::ContentType)
    }

    /// The values under a name of the user's own, in any case of letters; none if there are none.
    ///
    /// ```
    /// use storehouse_objectstore::Attributes;
    ///
    /// let attributes = Attributes::default().with_user("origin", ["camera 2"])?;
    /// assert_eq!(attributes.user("Origin"), ["camera 2"]);
    /// assert!(attributes.user("other").is_empty());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn user(&self, name: &str) -> &[String] {
        let values = |fields: &'_ Arc<Fields>| fields.user.contains_key(&name.to_ascii_lowercase());
        match &self.0 {
            Some(fields) if values(fields) => &fields.user[&name.to_ascii_lowercase()],
            _ => &[],
        }
    }

    /// All names and values of the user's own, in byte order of names.
    ///
    /// ```
    /// use storehouse_objectstore::Attributes;
    ///
    /// let attributes = Attributes::default().with_user("b", ["1"])?.with_user("a", ["2", "3"])?;
    /// let names: Vec<_> = attributes.all_user().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["a", "b"]);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    pub fn all_user(&self) -> impl Iterator<Item = (&str, &[String])> {
        let user = self.0.iter().flat_map(|fields| &fields.user);
        user.map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// The time from which on the object is not wanted any more, in whole milliseconds. A store
    /// keeps it and does nothing about it; a layer may.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use storehouse_objectstore::Attributes;
    ///
    /// let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123);
    /// assert_eq!(Attributes::default().with_expires(at).expires(), Some(at));
    /// ```
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        let millis = self.0.as_ref()?.expires?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))
    }

    /// With this value of a field of HTTP, in place of another.
    ///
    /// # Errors
    /// [`Error::InvalidAttribute`].
    ///
    /// ```
    /// use storehouse_objectstore::{Attributes, HttpField};
    ///
    /// let gzip = Attributes::default().with_http(HttpField::ContentEncoding, "gzip")?;
    /// # assert!(!gzip.is_empty());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    pub fn with_http(self, field: HttpField, value: impl Into<String>) -> Result<Self> {
        let value = checked_value(field.name(), value.into())?;
        self.with(|fields| {
            fields.http.insert(field, value);
        })
    }

    /// With this media type.
    ///
    /// # Errors
    /// [`Error::InvalidAttribute`].
    ///
    /// ```
    /// let json = storehouse_objectstore::Attributes::default().with_content_type("text/json")?;
    /// # assert!(!json.is_empty());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    pub fn with_content_type(self, value: impl Into<String>) -> Result<Self> {
        self.with_http(HttpField::ContentType, value)
    }

    /// With these values under a name of the user's own, in place of others under it; without the
    /// name if there are none.
    ///
    /// # Errors
    /// [`Error::InvalidAttribute`], also for a name that begins with `storehouse-`: these are kept
    /// for the stores.
    ///
    /// ```
    /// use storehouse_objectstore::Attributes;
    ///
    /// let attributes = Attributes::default().with_user("tags", ["a", "b"])?;
    /// assert_eq!(attributes.with_user("Tags", [""; 0])?, Attributes::default());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    pub fn with_user<V: Into<String>>(
        self,
        name: impl AsRef<str>,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Self> {
        let name = checked_name(name.as_ref())?;
        let checked = |value: V| checked_value(&name, value.into());
        let values: Vec<String> = values.into_iter().map(checked).collect::<Result<_>>()?;
        self.with(|fields| {
            if values.is_empty() {
                fields.user.remove(&name);
            } else {
                fields.user.insert(name, values);
            }
        })
    }

    /// With this expiry, rounded down to milliseconds; a time before 1970 is taken as 1970.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
    /// let tomorrow = SystemTime::now() + Duration::from_secs(24 * 3600);
    /// let attributes = storehouse_objectstore::Attributes::default().with_expires(tomorrow);
    /// # assert!(attributes.expires().is_some());
    /// ```
    #[must_use]
    pub fn with_expires(self, at: SystemTime) -> Self {
        let since = at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let mut fields = self.fields();
        Arc::make_mut(&mut fields).expires = Some(millis);
        Self(Some(fields))
    }

    /// The attributes as bytes, for stores that keep them beside an object; read by
    /// [`Attributes::from_bytes`]. Without any there are none.
    ///
    /// ```text
    /// 1 (u8, the version), then for each attribute: tag (u8), length (u32), value
    /// tags 1 to 5: the fields of HTTP in the order of HttpField::ALL
    /// tag 6: the expiry, milliseconds since 1970 (u64)
    /// tag 7: a name of the user's own: its length (u8), itself; of each value the same (u32)
    /// ```
    ///
    /// Numbers are little endian.
    ///
    /// ```
    /// use storehouse_objectstore::Attributes;
    ///
    /// let attributes = Attributes::default().with_user("colour", ["red", "blue"])?;
    /// assert_eq!(Attributes::from_bytes(&attributes.to_bytes()), Some(attributes));
    /// assert_eq!(Attributes::from_bytes(&[]), Some(Attributes::default()));
    /// assert_eq!(Attributes::from_bytes(b"other"), None);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Some(fields) = &self.0 else {
            return Vec::new();
        };
        let mut bytes = vec![FORMAT];
        let mut add = |tag: u8, value: &[u8]| {
            bytes.push(tag);
            add_text(&mut bytes, value);
        };
        for (tag, field) in (1..).zip(HttpField::ALL) {
            if let Some(value) = fields.http.get(&field) {
                add(tag, value.as_bytes());
            }
        }
        if let Some(millis) = fields.expires {
            add(EXPIRES, &millis.to_le_bytes());
        }
        for (name, values) in &fields.user {
            // A name has at most 128 bytes.
            let mut value = vec![name.len() as u8];
            value.extend_from_slice(name.as_bytes());
            for text in values {
                add_text(&mut value, text.as_bytes());
            }
            add(USER, &value);
        }
        bytes
    }

    /// What [`Attributes::to_bytes`] made; `None` for anything else. An attribute with a tag of a
    /// later version is passed over.
    ///
    /// ```
    /// use storehouse_objectstore::Attributes;
    ///
    /// let bytes = Attributes::default().with_content_type("text/plain")?.to_bytes();
    /// let attributes = Attributes::from_bytes(&bytes).unwrap();
    /// assert_eq!(attributes.content_type(), Some("text/plain"));
    /// assert!(Attributes::from_bytes(&bytes[..bytes.len() - 1]).is_none());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let Some((version, mut rest)) = bytes.split_first() else {
            return Some(Self::default());
        };
        let mut attributes = Self::default();
        if *version != FORMAT {
            return None;
        }
        while let Some((tag, behind)) = rest.split_first() {
            let (value, behind) = take_text(behind)?;
            rest = behind;
            attributes = match *tag {
                0 => return None,
                EXPIRES => {
                    let millis = Duration::from_millis(u64::from_le_bytes(value.try_into().ok()?));
                    attributes.with_expires(SystemTime::UNIX_EPOCH.checked_add(millis)?)
                }
                USER => {
                    let (len, behind) = value.split_first()?;
                    let (name, mut values) = behind.split_at_checked(usize::from(*len))?;
                    let mut texts = Vec::new();
                    while !values.is_empty() {
                        let (text, behind) = take_text(values)?;
                        texts.push(str::from_utf8(text).ok()?);
                        values = behind;
                    }
                    attributes
                        .with_user(str::from_utf8(name).ok()?, texts)
                        .ok()?
                }
                tag => match HttpField::ALL.get(usize::from(tag) - 1) {
                    Some(field) => attributes
                        .with_http(*field, str::from_utf8(value).ok()?)
                        .ok()?,
                    None => attributes,
                },
            };
        }
        Some(attributes)
    }

    fn fields(self) -> Arc<Fields> {
        self.0.unwrap_or_default()
    }

    fn with(self, change: impl FnOnce(&mut Fields)) -> Result<Self> {
        let mut fields = self.fields();
        change(Arc::make_mut(&mut fields));
        // Equal attributes compare equal, however they were made.
        let changed = Self((*fields != Fields::default()).then_some(fields));
        if changed.size() > Self::MAX_SIZE {
            return Err(Error::InvalidAttribute {
                name: "all together".into(),
                reason: "the attributes of one object take at most 64 KiB",
            });
        }
        Ok(changed)
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for field in HttpField::ALL {
            if let Some(value) = self.http(field) {
                map.entry(&field.name(), &value);
            }
        }
        map.entries(self.all_user());
        if let Some(expires) = self.expires() {
            map.entry(&"expires", &expires);
        }
        map.finish()
    }
}

/// The version of the form in bytes, and its tags.
const FORMAT: u8 = 1;
const EXPIRES: u8 = 6;
const USER: u8 = 7;

fn add_text(bytes: &mut Vec<u8>, text: &[u8]) {
    // All attributes together have at most 64 KiB.
    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
    bytes.extend_from_slice(text);
}

fn take_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)
}

fn checked_name(name: &str) -> Result<String> {
    let lower = name.to_ascii_lowercase();
    let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    let reason = if lower.is_empty() || lower.len() > 128 {
        "a name has 1 to 128 bytes"
    } else if !lower.bytes().all(token) {
        "a name is a token of RFC 9110: letters, digits and !#$%&'*+-.^_`|~"
    } else if lower.starts_with("storehouse-") {
        "names that begin with storehouse- are kept for the stores"
    } else {
        return Ok(lower);
    };
    Err(Error::InvalidAttribute {
        name: lower,
        reason,
    })
}

fn checked_value(name: &str, value: String) -> Result<String> {
    let reason = if value.is_empty() {
        "a value has at least one byte"
    } else if !value.bytes().all(|c| (b' '..=b'~').contains(&c)) {
        "a value is printable ASCII"
    } else if value.starts_with(' ') || value.ends_with(' ') {
        "a value has no space at its start or its end"
    } else {
        return Ok(value);
    };
    Err(Error::InvalidAttribute {
        name: name.into(),
        reason,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_bytes_are_read_back(
            user in prop::collection::btree_map("[a-z0-9._-]{1,20}", prop::collection::vec("[!-~]{1,9}", 1..4), 0..4),
            kind in prop::option::of("[a-z/]{1,20}"),
            millis in prop::option::of(0..u64::from(u32::MAX)),
        ) {
            let mut all = Attributes::default();
            for (name, values) in &user {
                if let Ok(with) = all.clone().with_user(name, values.clone()) {
                    all = with;
                }
            }
            if let Some(kind) = kind {
                all = all.with_content_type(kind).unwrap();
            }
            if let Some(millis) = millis {
                all = all.with_expires(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
            }
            let bytes = all.to_bytes();
            prop_assert_eq!(Attributes::from_bytes(&bytes), Some(all));
        }

        #[test]
        fn other_bytes_do_no_harm(mut bytes: Vec<u8>, tag in 0..9u8) {
            let _ = Attributes::from_bytes(&bytes);
            bytes.splice(0..0, [FORMAT, tag]);
            let _ = Attributes::from_bytes(&bytes);
        }
    }
}
