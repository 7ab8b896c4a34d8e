//! Messages of deserializers, without what they read.

/// The message of a deserializer without the value that it met: `invalid type: string "…", expected
/// a boolean`.
pub(crate) fn without_value(message: &str) -> String {
    if let Some((_, expected)) = message
        .strip_prefix("unknown variant `")
        .and_then(|rest| rest.rsplit_once("`, expected "))
    {
        return format!("unknown value, expected {expected}");
    }
    let parts = message
        .split_once(": ")
        .and_then(|(what, rest)| Some((what, rest.rsplit_once(", expected ")?)));
    match parts {
        Some((what, (found, expected))) if what.starts_with("invalid ") => {
            let kind = found.split(['`', '"']).next().unwrap_or_default().trim();
            format!("{what}: {kind}, expected {expected}")
        }
        _ => message.to_owned(),
    }
}
