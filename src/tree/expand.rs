//! Variables in the texts of settings.

use toml::Value;

use crate::{Error, Result};

/// Replaces `${NAME}` and `${NAME:-default}` in every text of `value`; `$$` is a dollar sign.
///
/// A variable that is not set, or is empty, gives its default; without one it is an error. What a
/// variable holds is taken as it is: it cannot add settings. `path` is the name of `value`.
pub(super) fn expand(
    path: &str,
    value: &mut Value,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<()> {
    match value {
        Value::String(text) if text.contains('$') => {
            *text = expanded(path, text, variable)?;
            Ok(())
        }
        Value::Array(items) => items
            .iter_mut()
            .enumerate()
            .try_for_each(|(at, item)| expand(&format!("{path}[{at}]"), item, variable)),
        Value::Table(table) => table
            .iter_mut()
            .try_for_each(|(name, inner)| expand(&format!("{path}.{name}"), inner, variable)),
        _ => Ok(()),
    }
}

fn expanded(path: &str, text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some(end) = after.find('}') else {
                return Err(Error::setting(path, "has \"${\" without \"}\""));
            };
            let (name, default) = match after[..end].split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (&after[..end], None),
            };
            if !is_name(name) {
                let reason =
                    "has \"${…}\" with no name of a variable in it; a dollar sign is \"$$\"";
                return Err(Error::setting(path, reason));
            }
            match (variable(name).filter(|held| !held.is_empty()), default) {
                (Some(held), _) => out.push_str(&held),
                (None, Some(default)) => out.push_str(default),
                (None, None) => {
                    let reason = format!("needs the environment variable {name}, which is not set");
                    return Err(Error::setting(path, reason));
                }
            }
            rest = &after[end + 1..];
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::expanded;

    fn with(text: &str) -> Result<String, String> {
        let held = |name: &str| match name {
            "DIR" => Some("/data".to_owned()),
            "ODD" => Some("${DIR}\"\n[x]".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        expanded("stores.a.path", text, &held).map_err(|e| e.to_string())
    }

    #[test]
    fn variables_are_replaced_once_and_cannot_be_forgotten() {
        for (text, wanted) in [
            ("${DIR}/blobs", "/data/blobs"),
            ("a${DIR}b${DIR}c", "a/datab/datac"),
            ("${NONE:-/srv}/blobs", "/srv/blobs"),
            ("${EMPTY:-x}", "x"),
            ("${NONE:-}", ""),
            ("$$5 and $5, $", "$5 and $5, $"),
            ("$${DIR}", "${DIR}"),
            // What a variable holds is not looked at again.
            ("${ODD}", "${DIR}\"\n[x]"),
        ] {
            assert_eq!(with(text).as_deref(), Ok(wanted), "{text}");
        }
        for (text, wanted) in [
            (
                "${NONE}",
                "stores.a.path: needs the environment variable NONE, which is not set",
            ),
            (
                "${EMPTY}",
                "stores.a.path: needs the environment variable EMPTY, which is not set",
            ),
            ("${DIR", "stores.a.path: has \"${\" without \"}\""),
        ] {
            assert_eq!(with(text).as_deref(), Err(&wanted.to_owned()), "{text}");
        }
        for text in ["${}", "${a b}", "${1}", "${:-x}"] {
            assert!(with(text).is_err(), "{text}");
        }
    }
}
