//! Environment variables over a table of settings.

use toml::{Table, Value};

use crate::{Error, Result, StoreName};

/// What the variables of this crate start with.
pub(super) const PREFIX: &str = "STOREHOUSE_REPO_";

/// What a setting's value is.
#[derive(Clone, Copy)]
enum ValueKind {
    Text,
    Flag,
    Number,
}

type Names = &'static [(&'static str, ValueKind)];

const REPO: Names = &[
    ("BACKEND", ValueKind::Text),
    ("DATA_DIR", ValueKind::Text),
    ("MIN_FREE", ValueKind::Text),
    ("TEMP_DIR", ValueKind::Text),
];
const S3: Names = &[
    ("ENDPOINT", ValueKind::Text),
    ("BUCKET_PREFIX", ValueKind::Text),
    ("INSECURE", ValueKind::Flag),
    ("REGION", ValueKind::Text),
    ("CA_FILE", ValueKind::Text),
    ("PROFILE", ValueKind::Text),
    ("ANONYMOUS", ValueKind::Flag),
    ("ADDRESSING", ValueKind::Text),
    ("CREATE_BUCKET", ValueKind::Flag),
    ("CONNECT_TIMEOUT", ValueKind::Text),
    ("STALL_TIMEOUT", ValueKind::Text),
    ("MAX_ATTEMPTS", ValueKind::Number),
    ("RETRY_BUDGET", ValueKind::Text),
    ("PART_SIZE", ValueKind::Text),
    ("PART_MEMORY", ValueKind::Text),
    ("MAX_REQUESTS", ValueKind::Number),
    ("STORAGE_CLASS", ValueKind::Text),
    ("SSE", ValueKind::Text),
    ("SSE_KMS_KEY_ID", ValueKind::Text),
    ("SWEEP_UPLOADS_AFTER", ValueKind::Text),
];
const CREDENTIALS: Names = &[
    ("ACCESS_KEY_ID", ValueKind::Text),
    ("SECRET_ACCESS_KEY", ValueKind::Text),
    ("SESSION_TOKEN", ValueKind::Text),
];
const STORE: Names = &[
    ("BACKEND", ValueKind::Text),
    ("PATH", ValueKind::Text),
    ("BUCKET", ValueKind::Text),
];
const FLATFS: Names = &[("LOG", ValueKind::Flag)];
const KEYSTORE: Names = &[
    ("PASSPHRASE", ValueKind::Text),
    ("PASSPHRASE_FILE", ValueKind::Text),
    ("ALLOW_UNSEALED", ValueKind::Flag),
    ("ALLOW_GROUP_ACCESS", ValueKind::Flag),
];
const JOURNAL: Names = &[
    ("ROTATE_BYTES", ValueKind::Number),
    ("ROTATE_SECONDS", ValueKind::Number),
    ("SYNC", ValueKind::Text),
    ("SYNC_BYTES", ValueKind::Number),
    ("SYNC_MILLIS", ValueKind::Number),
    ("RETAIN_SECONDS", ValueKind::Number),
    ("RETAIN_BYTES", ValueKind::Number),
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
            (ValueKind::Text, _) => Value::String(text),
            (ValueKind::Flag, "true" | "1") => Value::Boolean(true),
            (ValueKind::Flag, "false" | "0") => Value::Boolean(false),
            (ValueKind::Flag, _) => return Err(Error::setting(name, "is neither true nor false")),
            (ValueKind::Number, digits) => match digits
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
fn repo(setting: &str) -> Option<(Vec<String>, ValueKind)> {
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

fn s3(setting: &str) -> Option<(Vec<String>, ValueKind)> {
    match setting.strip_prefix("CREDENTIALS_") {
        None => named(S3, setting),
        Some(rest) => Some(within("credentials", named(CREDENTIALS, rest)?)),
    }
}

fn store(setting: &str) -> Option<(Vec<String>, ValueKind)> {
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

fn named(names: Names, name: &str) -> Option<(Vec<String>, ValueKind)> {
    names
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(known, kind)| (vec![known.to_lowercase()], *kind))
}

fn within(section: &str, (mut path, kind): (Vec<String>, ValueKind)) -> (Vec<String>, ValueKind) {
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
