//! dag-json, as the text that UCANs are signed as.

use std::fmt::Write;

use ipld_core::ipld::Ipld;
use multibase::Base;

/// Appends `value`: no white space, keys in byte order, links as `{"/": cid}`, bytes as `{"/":
/// {"bytes": base64}}`.
pub(super) fn write(out: &mut String, value: &Ipld) {
    // Writing to a string cannot fail.
    match value {
        Ipld::Null => out.push_str("null"),
        Ipld::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Ipld::Integer(value) => drop(write!(out, "{value}")),
        Ipld::Float(value) => float(out, *value),
        Ipld::String(text) => string(out, text),
        Ipld::Bytes(bytes) => {
            let _ = write!(
                out,
                r#"{{"/":{{"bytes":"{}"}}}}"#,
                Base::Base64.encode(bytes)
            );
        }
        Ipld::Link(cid) => drop(write!(out, r#"{{"/":"{cid}"}}"#)),
        Ipld::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, item);
            }
            out.push(']');
        }
        Ipld::Map(map) => {
            out.push('{');
            for (index, (key, value)) in map.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                string(out, key);
                out.push(':');
                write(out, value);
            }
            out.push('}');
        }
    }
}

/// A float always has a point or an exponent, so that it is read as one.
fn float(out: &mut String, value: f64) {
    let start = out.len();
    let _ = write!(out, "{value}");
    if !out[start..].contains(['.', 'e']) {
        out.push_str(".0");
    }
}

fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 => drop(write!(out, "\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind() {
        let cid = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"
            .parse()
            .unwrap();
        let value = Ipld::Map(
            [
                (
                    "b".to_owned(),
                    Ipld::List(vec![
                        Ipld::Null,
                        Ipld::Bool(true),
                        Ipld::Integer(-3),
                        Ipld::Float(2.0),
                        Ipld::Float(0.5),
                    ]),
                ),
                ("aa".to_owned(), Ipld::Link(cid)),
                ("c\"\n\u{1}é".to_owned(), Ipld::Bytes(vec![1, 2])),
            ]
            .into(),
        );
        let mut text = String::new();
        write(&mut text, &value);
        assert_eq!(
            text,
            r#"{"aa":{"/":"bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"},"b":[null,true,-3,2.0,0.5],"c\"\n\u0001é":{"/":{"bytes":"AQI"}}}"#
        );
    }
}
