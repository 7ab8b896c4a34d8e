//! Environment variables over a table of settings.

use toml::{Table, Value};

use crate::{Error, Result, StoreName};

/// What the variables of this crate start with.
pub(super) const PREFIX: &str = "STOREHOUSE_REPO_";

/// What a setting's value is.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Flag,
    Number,
}

type Names = &'static [(&'static str, Kind)];

const REPO: Names = &[("DATA_DIR", Kind::Text), ("TEMP_DIR", Kind::Text)];
const S3: Names = &[
    ("ENDPOINT", Kind::Text),
    ("BUCKET_PREFIX", Kind::Text),
    ("INSECURE", Kind::Flag),
    ("REGION", Kind::Text),
    ("CA_FILE", Kind::Text),
    ("PROFILE", Kind::Text),
    ("ANONYMOUS", Kind::Flag),
    ("ADDRESSING", Kind::Text),
    ("CREATE_BUCKET", Kind::Flag),
    ("CONNECT_TIMEOUT", Kind::Text),
    ("STALL_TIMEOUT", Kind::Text),
    ("MAX_ATTEMPTS", Kind::Number),
    ("RETRY_BUDGET", Kind::Text),
    ("PART_SIZE", Kind::Text),
    ("PART_MEMORY", Kind::Text),
    ("MAX_REQUESTS", Kind::Number),
    ("STORAGE_CLASS", Kind::Text),
    ("SSE", Kind::Text),
    ("SSE_KMS_KEY_ID", Kind::Text),
    ("SWEEP_UPLOADS_AFTER", Kind::Text),
];
const CREDENTIALS: Names = &[
    ("ACCESS_KEY_ID", Kind::Text),
    ("SECRET_ACCESS_KEY", Kind::Text),
    ("SESSION_TOKEN", Kind::Text),
];
const STORE: Names = &[
    ("BACKEND", Kind::Text),
    ("PATH", Kind::Text),
    ("BUCKET", Kind::Text),
];
const FLATFS: Names = &[("LOG", Kind::Flag)];
const KEYSTORE: Names = &[
    ("PASSPHRASE", Kind::Text),
    ("PASSPHRASE_FILE", Kind::Text),
    ("ALLOW_UNSEALED", Kind::Flag),
    ("ALLOW_GROUP_ACCESS", Kind::Flag),
];
const JOURNAL: Names = &[
    ("ROTATE_BYTES", Kind::Number),
    ("ROTATE_SECONDS", Kind::Number),
    ("SYNC", Kind::Text),
    ("SYNC_BYTES", Kind::Number),
    ("SYNC_MILLIS", Kind::Number),
    ("RETAIN_SECONDS", Kind::Number),
    ("RETAIN_BYTES", Kind::Number),
];

/// Puts each variable in its place, over what is there. Variables without [`PREFIX`] are none of
/// ours; an empty one counts as not set.
pub(super) fn lay_over(
    values: &mut Table,
    vars: impl IntoIterator<Item = (String, String)>,
) -> Result<()> {
    for (name, text) in vars {
        let Some(setting) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let Some((path, kind)) = repo(setting) else {
            return Err(Error::setting(name, "is no setting of storehouse"));
        };
        if text.is_empty() {
            continue;
        }
        let value = match (kind, text.as_str()) {
            (Kind::Text, _) => Value::String(text),
            (Kind::Flag, "true" | "1") => Value::Boolean(true),
            (Kind::Flag, "false" | "0") => Value::Boolean(false),
            (Kind::Flag, _) => return Err(Error::setting(name, "is neither true nor false")),
            (Kind::Number, digits) => match digits
                .parse::<u64>()
                .ok()
                .and_then(|number| i64::try_from(number).ok())
            {
                Some(number) => Value::Integer(number),
                None => {
                    return Err(Error::setting(
                        name,
                        "is no whole number of 0 to 9223372036854775807",
                    ));
                }
            },
        };
        set(values, &path, value);
    }
    Ok(())
}

/// The sections and the name of a setting, `S3_CREDENTIALS_ACCESS_KEY_ID` being `repo`, `s3`,
/// `credentials`, `access_key_id`.
fn repo(setting: &str) -> Option<(Vec<String>, Kind)> {
    let found = if let Some(rest) = setting.strip_prefix("S3_") {
        within("s3", s3(rest)?)
    } else if let Some(rest) = setting.strip_prefix("FLATFS_") {
        within("flatfs", named(FLATFS, rest)?)
    } else if let Some(rest) = setting.strip_prefix("KEYSTORE_") {
        within("keystore", named(KEYSTORE, rest)?)
    } else if let Some(rest) = setting.strip_prefix("JOURNAL_") {
        within("journal", named(JOURNAL, rest)?)
    } else if let Some(rest) = setting.strip_prefix("STORES_") {
        within("stores", store(rest)?)
    } else {
        named(REPO, setting)?
    };
    Some(within("repo", found))
}

fn s3(setting: &str) -> Option<(Vec<String>, Kind)> {
    match setting.strip_prefix("CREDENTIALS_") {
        None => named(S3, setting),
        Some(rest) => Some(within("credentials", named(CREDENTIALS, rest)?)),
    }
}

fn store(setting: &str) -> Option<(Vec<String>, Kind)> {
    StoreName::ALL.iter().find_map(|name| {
        let rest = setting
            .strip_prefix(&name.as_str().to_uppercase())?
            .strip_prefix('_')?;
        let found = match rest.strip_prefix("S3_") {
            None => named(STORE, rest)?,
            Some(rest) => within("s3", s3(rest)?),
        };
        Some(within(name.as_str(), found))
    })
}

fn named(names: Names, name: &str) -> Option<(Vec<String>, Kind)> {
    names
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(known, kind)| (vec![known.to_lowercase()], *kind))
}

fn within(section: &str, (mut path, kind): (Vec<String>, Kind)) -> (Vec<String>, Kind) {
    path.insert(0, section.to_owned());
    (path, kind)
}

fn set(values: &mut Table, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => {
            values.insert(name.clone(), value);
        }
        [section, rest @ ..] => {
            let inner = values
                .entry(section.clone())
                .or_insert_with(|| Value::Table(Table::new()));
            // A section that is no table is left as it is: reading the whole then says so.
            if let Value::Table(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}
