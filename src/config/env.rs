//! Environment variables over a table of settings.

use toml::{Table, Value};

use crate::{Error, Result};

/// What the variables of this crate start with.
pub(super) const PREFIX: &str = "STOREHOUSE_REPO_";

const REPO: &[&str] = &["DATA_DIR", "TEMP_DIR"];
const S3: &[&str] = &["ENDPOINT", "BUCKET_PREFIX", "INSECURE", "REGION", "CA_FILE"];
const CREDENTIALS: &[&str] = &["ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"];

/// Puts each variable in its place, over what is there. Variables without [`PREFIX`] are none of ours; an empty one counts as not set.
pub(super) fn lay_over(values: &mut Table, vars: impl IntoIterator<Item = (String, String)>) -> Result<()> {
    for (name, text) in vars {
        let Some(setting) = name.strip_prefix(PREFIX) else { continue };
        let Some(path) = place(setting) else {
            return Err(Error::setting(name, "is no setting of storehouse"));
        };
        if text.is_empty() {
            continue;
        }
        let value = match (setting, text.as_str()) {
            ("S3_INSECURE", "true" | "1") => Value::Boolean(true),
            ("S3_INSECURE", "false" | "0") => Value::Boolean(false),
            ("S3_INSECURE", _) => return Err(Error::setting(name, "is neither true nor false")),
            _ => Value::String(text),
        };
        set(values, &path, value);
    }
    Ok(())
}

/// The sections and the name of a setting, `S3_CREDENTIALS_ACCESS_KEY_ID` being `repo`, `s3`, `credentials`, `access_key_id`.
fn place(setting: &str) -> Option<Vec<String>> {
    let known = |names: &[&str], name: &str| names.contains(&name).then(|| name.to_lowercase());
    let (sections, name) = match setting.strip_prefix("S3_") {
        None => (vec!["repo"], known(REPO, setting)?),
        Some(rest) => match rest.strip_prefix("CREDENTIALS_") {
            None => (vec!["repo", "s3"], known(S3, rest)?),
            Some(rest) => (vec!["repo", "s3", "credentials"], known(CREDENTIALS, rest)?),
        },
    };
    Some(sections.into_iter().map(str::to_owned).chain([name]).collect())
}

fn set(values: &mut Table, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => {
            values.insert(name.clone(), value);
        }
        [section, rest @ ..] => {
            let inner = values.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
            // A section that is no table is left as it is: reading the whole then says so.
            if let Value::Table(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}
