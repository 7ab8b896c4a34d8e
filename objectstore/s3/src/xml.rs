//! XML as S3 speaks it: small trees of elements with text, read without trust and written with
//! escapes.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Deeper than any answer of S3's.
const MAX_DEPTH: usize = 16;

/// More elements than any answer of S3's: a page of 1,000 entries has some 15,000. An element takes
/// some 100 bytes of memory and can be four bytes of text.
const MAX_ELEMENTS: usize = 64 * 1024;

/// What stands for a character that XML cannot carry.
const REPLACEMENT: char = '\u{fffd}';

/// An element, without its attributes and its name's namespace.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// The root element of a document; `None` if this is no well-formed XML (HTML mostly is none),
    /// or more of it than S3 ever sends.
    ///
    /// Bytes that are no UTF-8 and references to characters that XML cannot carry become U+FFFD:
    /// servers write names of objects without looking.
    pub(crate) fn parse(document: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(document);
        let mut reader = Reader::from_str(&text);
        // The bottom of the stack stands for the document.
        let mut stack = vec![Self::default()];
        let mut elements = 0;
        loop {
            let event = reader.read_event().ok()?;
            if matches!(event, Event::Start(_) | Event::Empty(_)) {
                elements += 1;
                if elements > MAX_ELEMENTS {
                    return None;
                }
            }
            match event {
                Event::Start(start) => {
                    if stack.len() > MAX_DEPTH {
                        return None;
                    }
                    stack.push(Self::named(start.local_name().as_ref())?);
                }
                Event::Empty(empty) => stack
                    .last_mut()?
                    .children
                    .push(Self::named(empty.local_name().as_ref())?),
                Event::End(_) => {
                    let element = stack.pop()?;
                    stack.last_mut()?.children.push(element);
                }
                Event::Text(text) => stack.last_mut()?.text.push_str(&text.decode().ok()?),
                Event::CData(text) => stack.last_mut()?.text.push_str(&text.decode().ok()?),
                Event::GeneralRef(reference) => {
                    let name = reference.decode().ok()?;
                    let c = match name.strip_prefix('#') {
                        Some(number) => character(number)?,
                        None => entity(&name)?,
                    };
                    stack.last_mut()?.text.push(c);
                }
                Event::Eof => break,
                Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Comment(_) => {}
            }
        }
        let document = stack.pop()?;
        if !stack.is_empty() || document.children.len() != 1 {
            return None;
        }
        document.children.into_iter().next()
    }

    fn named(name: &[u8]) -> Option<Self> {
        Some(Self {
            name: std::str::from_utf8(name).ok()?.to_owned(),
            ..Self::default()
        })
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of this name; `None` if there is none or it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.children
            .iter()
            .find(|child| child.name == name)
            .map(|child| child.text.as_str())
            .filter(|text| !text.is_empty())
    }

    /// Whether the first child of this name says `true`.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }
}

/// The character with this number, in decimal or as `x` and hexadecimal.
fn character(number: &str) -> Option<char> {
    let number = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => number.parse().ok()?,
    };
    Some(char::from_u32(number).unwrap_or(REPLACEMENT))
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

/// `text` as the content of an element.
pub(crate) fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_servers_write() {
        let document = br#"<?xml version="1.0"?><R xmlns="x"><K> a&amp;b&#x2F;&lt;&quot;%3A+ </K><E/><t:T>true</t:T><K>2</K></R>"#;
        let root = Element::parse(document).unwrap();
        assert_eq!(root.name, "R");
        assert_eq!(root.get("K"), Some(" a&b/<\"%3A+ "));
        assert_eq!(root.get("E"), None);
        assert!(root.is_true("T"));
        assert_eq!(root.all("K").count(), 2);
    }

    #[test]
    fn garbage_is_none() {
        let deep = "<a>".repeat(100_000);
        for text in [
            "",
            "x",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a>&nope;</a>",
            "<a>&#xFFFFFFFFFF;</a>",
            "<a>&#;</a>",
            deep.as_str(),
            "<html><body><p>Hi<br></body></html>",
        ] {
            assert!(
                Element::parse(text.as_bytes()).is_none(),
                "{:?}",
                &text[..text.len().min(20)]
            );
        }
        let wide = format!("<a>{}</a>", "<a/>".repeat(MAX_ELEMENTS));
        assert!(Element::parse(wide.as_bytes()).is_none());
    }

    #[test]
    fn names_that_xml_cannot_carry_do_not_spoil_the_rest() {
        for (name, text) in [
            (&b"a&#x1;b"[..], "a\u{1}b"),
            (b"a&#xD800;b", "a\u{fffd}b"),
            (b"a&#0;b", "a\0b"),
            (b"a\x01b", "a\u{1}b"),
            (b"a\xffb", "a\u{fffd}b"),
        ] {
            let document = [b"<R><K>", name, b"</K><L>l</L></R>"].concat();
            let root = Element::parse(&document).unwrap();
            assert_eq!((root.get("K"), root.get("L")), (Some(text), Some("l")));
        }
    }

    #[test]
    fn what_is_escaped_reads_back() {
        let text = r#" <&>"' é🗝 %3A + "#;
        let document = format!("<K>{}</K>", escape(text));
        assert_eq!(Element::parse(document.as_bytes()).unwrap().text, text);
    }
}
