//! XML as S3 speaks it: small trees of elements with text, read without trust and written with
//! escapes.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Deeper than any answer of S3's.
const MAX_DEPTH: usize = 16;

/// An element, without its attributes and its name's namespace.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The root element of a document; `None` if this is no well-formed XML (HTML mostly is none).
    pub(super) fn parse(document: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(document).ok()?;
        let mut reader = Reader::from_str(text);
        // The bottom of the stack stands for the document.
        let mut stack = vec![Self::default()];
        loop {
            match reader.read_event().ok()? {
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
                    let c = match reference.resolve_char_ref().ok()? {
                        Some(c) => c,
                        None => entity(&reference.decode().ok()?)?,
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

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of this name; `None` if there is none or it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.children
            .iter()
            .find(|child| child.name == name)
            .map(|child| child.text.as_str())
            .filter(|text| !text.is_empty())
    }

    /// Whether the first child of this name says `true`.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }
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
pub(super) fn escape(text: &str) -> String {
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
            "<a>&#xFFFFFFFF;</a>",
            deep.as_str(),
            "<html><body><p>Hi<br></body></html>",
        ] {
            assert!(
                Element::parse(text.as_bytes()).is_none(),
                "{:?}",
                &text[..text.len().min(20)]
            );
        }
        assert!(Element::parse(b"<a>\xff</a>").is_none());
    }

    #[test]
    fn what_is_escaped_reads_back() {
        let text = r#" <&>"' é🗝 %3A + "#;
        let document = format!("<K>{}</K>", escape(text));
        assert_eq!(Element::parse(document.as_bytes()).unwrap().text, text);
    }
}
