//! Attributes of an object, in one extended attribute of its file.
//!
//! The extended attribute `user.storehouse` is text, one line a value: `storehouse 1`, then
//! `http <field> <value>`, `user <name> <value>`, and `+ <value>` for a further value of the same
//! name, and `expires <milliseconds since 1970>`. A file without it has no attributes. A program
//! that copies the file without extended attributes loses them, and nothing else.

use std::fs::File;
use std::io;
use std::time::{Duration, SystemTime};

use rustix::fs::{XattrFlags, fgetxattr, fremovexattr, fsetxattr};
use rustix::io::Errno;
use storehouse_objectstore::{Attributes, HttpField};

const NAME: &str = "user.storehouse";

const FIRST_LINE: &str = "storehouse 1";

/// The most that the attributes of an object in a file may take, in bytes (inclusive), as
/// [`Attributes::size`] counts. ext4 has a block of 4 KiB for all extended attributes of a file,
/// and short values take up to three bytes each besides their own.
pub const MAX_ATTRIBUTES: u64 = 900;

/// The longest extended attribute that is read, in bytes.
const MAX_TEXT: usize = 4096;

/// No extended attribute of this name.
fn is_missing(error: Errno) -> bool {
    #[cfg(target_os = "linux")]
    let missing = error == Errno::NODATA;
    #[cfg(not(target_os = "linux"))]
    let missing = error == Errno::NOATTR;
    missing
}

/// Whether the file system of `file` keeps attributes.
///
/// ```
/// use storehouse_engine::files::{keeps_attributes, write_attributes};
/// use storehouse_objectstore::Attributes;
///
/// let file = tempfile::tempfile()?;
/// let attributes = Attributes::default().with_content_type("text/plain")?;
/// assert_eq!(write_attributes(&file, &attributes).is_ok(), keeps_attributes(&file));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn keeps_attributes(file: &File) -> bool {
    match fgetxattr(file, NAME, &mut [0_u8; 0]) {
        Ok(_) => true,
        Err(e) => is_missing(e),
    }
}

/// Writes the attributes of a new file. None are written if there are none.
///
/// ```
/// use storehouse_engine::files::{keeps_attributes, read_attributes, write_attributes};
/// use storehouse_objectstore::Attributes;
///
/// let file = tempfile::tempfile()?;
/// if keeps_attributes(&file) {
///     let attributes = Attributes::default().with_content_type("text/plain")?;
///     write_attributes(&file, &attributes)?;
///     assert_eq!(read_attributes(&file)?, attributes);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The system's.
pub fn write_attributes(file: &File, attributes: &Attributes) -> io::Result<()> {
    if attributes.is_empty() {
        return Ok(());
    }
    let text = to_text(attributes);
    Ok(fsetxattr(file, NAME, text.as_bytes(), XattrFlags::empty())?)
}

/// Removes the attributes of a file that is not visible yet.
///
/// ```
/// use storehouse_engine::files::{
///     keeps_attributes, read_attributes, remove_attributes, write_attributes,
/// };
/// use storehouse_objectstore::Attributes;
///
/// let file = tempfile::tempfile()?;
/// if keeps_attributes(&file) {
///     write_attributes(&file, &Attributes::default().with_content_type("text/plain")?)?;
///     remove_attributes(&file)?;
///     assert!(read_attributes(&file)?.is_empty());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The system's.
pub fn remove_attributes(file: &File) -> io::Result<()> {
    match fremovexattr(file, NAME) {
        Err(e) if !is_missing(e) => Err(e.into()),
        _ => Ok(()),
    }
}

/// The attributes of a file; none on a file system that keeps none.
///
/// ```
/// use storehouse_engine::files::read_attributes;
///
/// assert!(read_attributes(&tempfile::tempfile()?)?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The system's; also if another program wrote what says no attributes.
pub fn read_attributes(file: &File) -> io::Result<Attributes> {
    let mut text = [0; MAX_TEXT];
    match fgetxattr(file, NAME, &mut text) {
        Ok(len) => {
            let text = text.get(..len).and_then(|text| str::from_utf8(text).ok());
            text.and_then(of_text).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    "its extended attribute user.storehouse says no attributes",
                )
            })
        }
        Err(Errno::OPNOTSUPP) => Ok(Attributes::default()),
        Err(e) if is_missing(e) => Ok(Attributes::default()),
        Err(e) => Err(e.into()),
    }
}

fn to_text(attributes: &Attributes) -> String {
    let mut text = format!("{FIRST_LINE}\n");
    let mut line = |parts: &[&str]| {
        text.push_str(&parts.join(" "));
        text.push('\n');
    };
    for field in HttpField::ALL {
        if let Some(value) = attributes.http(field) {
            line(&["http", field.name(), value]);
        }
    }
    for (name, values) in attributes.all_user() {
        for (n, value) in values.iter().enumerate() {
            match n {
                0 => line(&["user", name, value]),
                _ => line(&["+", value]),
            }
        }
    }
    let since = attributes
        .expires()
        .and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    if let Some(since) = since {
        line(&["expires", &since.as_millis().to_string()]);
    }
    text
}

fn of_text(text: &str) -> Option<Attributes> {
    let mut lines = text.strip_suffix('\n')?.split('\n');
    if lines.next() != Some(FIRST_LINE) {
        return None;
    }
    let mut attributes = Attributes::default();
    let mut user: Option<(&str, Vec<&str>)> = None;
    for line in lines {
        let (kind, rest) = line.split_once(' ')?;
        if kind == "+" {
            user.as_mut()?.1.push(rest);
            continue;
        }
        attributes = with_user(attributes, user.take())?;
        match kind {
            "http" => {
                let (name, value) = rest.split_once(' ')?;
                let field = HttpField::ALL.into_iter().find(|f| f.name() == name)?;
                attributes = attributes.with_http(field, value).ok()?;
            }
            "user" => {
                let (name, value) = rest.split_once(' ')?;
                user = Some((name, vec![value]));
            }
            "expires" => {
                let since = Duration::from_millis(rest.parse().ok()?);
                attributes = attributes.with_expires(SystemTime::UNIX_EPOCH.checked_add(since)?);
            }
            _ => return None,
        }
    }
    with_user(attributes, user)
}

fn with_user(attributes: Attributes, user: Option<(&str, Vec<&str>)>) -> Option<Attributes> {
    match user {
        Some((name, values)) => attributes.with_user(name, values).ok(),
        None => Some(attributes),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attributes() -> impl Strategy<Value = Attributes> {
        let value = || "[!-~]([ -~]{0,20}[!-~])?";
        let user =
            prop::collection::vec(("[a-z-]{1,9}", prop::collection::vec(value(), 1..4)), 0..5);
        let http = prop::collection::vec((0..5_usize, value()), 0..4);
        (
            user,
            http,
            prop::option::of(0..u64::from(u32::MAX) * 1_000_000),
        )
            .prop_map(|(user, http, expires)| {
                let mut all = Attributes::default();
                for (name, values) in user {
                    all = all.clone().with_user(name, values).unwrap_or(all);
                }
                for (field, value) in http {
                    all = all.with_http(HttpField::ALL[field], value).unwrap();
                }
                match expires {
                    Some(ms) => {
                        all.with_expires(SystemTime::UNIX_EPOCH + Duration::from_millis(ms))
                    }
                    None => all,
                }
            })
    }

    proptest! {
        #[test]
        fn there_and_back(attributes in attributes()) {
            prop_assert_eq!(of_text(&to_text(&attributes)), Some(attributes));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(storehouse 1\n)?(((http|user|\\+|expires) )?[ -~]{0,20}\n){0,5}") {
            let _ = of_text(&text);
        }
    }

    #[test]
    fn the_largest_fit() {
        let many = vec!["v"; MAX_ATTRIBUTES as usize - 1];
        let attributes = Attributes::default().with_user("a", many).unwrap();
        assert_eq!(attributes.size(), MAX_ATTRIBUTES);
        assert!(
            to_text(&attributes).len() < 3900,
            "{}",
            to_text(&attributes).len()
        );
        let file = tempfile::tempfile().unwrap();
        if keeps_attributes(&file) {
            write_attributes(&file, &attributes).unwrap();
            assert_eq!(read_attributes(&file).unwrap(), attributes);
            remove_attributes(&file).unwrap();
            assert!(read_attributes(&file).unwrap().is_empty());
            fsetxattr(&file, NAME, b"else", XattrFlags::empty()).unwrap();
            assert!(read_attributes(&file).is_err());
        }
    }
}
