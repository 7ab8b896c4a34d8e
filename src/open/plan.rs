//! Which store goes where: what a configuration says, made whole and checked before anything is
//! opened.

use std::path::{Path, PathBuf};

use super::local::{JOURNAL_DIR, KEYSTORE_DIR};
use crate::config::{BackendKind, KeysConfig, RepoConfig, S3Config, StoreConfig};
use crate::tree::StoreTree;
use crate::{Backend, Error, Result, StoreName};

/// Where blobs lie under the data directory, as Piri has it.
const BLOBS_DIR: &str = "pdp/datastore";

/// Where records lie under the data directory. None of Piri's own directories: its databases stay
/// as they are.
const RECORDS_DIR: &str = "records";

/// The database that `datastore` stands for. The feature of that name stands for the same one.
const DATASTORE: BackendKind = BackendKind::Redb;

/// Where one store goes.
#[derive(Debug)]
pub(crate) struct StorePlan<'a> {
    pub(crate) name: StoreName,
    pub(crate) backend: Backend,
    /// The server, if it is on one.
    pub(crate) server: Option<&'a S3Config>,
    /// The setting that put it there.
    pub(crate) setting: String,
    /// Whether its own section put it there, not the rest of the configuration.
    pub(crate) chosen: bool,
    /// The keys in it, if they do not follow from the backend.
    pub(crate) keys: Option<KeysConfig>,
}

/// Where every store goes, in the order of [`StoreName::ALL`].
pub(crate) fn plan<'a>(
    repo: &'a RepoConfig,
    own: &[StoreName],
    tree: &StoreTree,
) -> Result<Vec<StorePlan<'a>>> {
    let plans: Vec<_> = StoreName::ALL
        .iter()
        .map(|&name| {
            if own.contains(&name) {
                Ok(StorePlan {
                    name,
                    backend: Backend::Own,
                    server: None,
                    setting: format!("repo.stores.{name}"),
                    chosen: true,
                    keys: None,
                })
            } else {
                plan_of(repo, name, tree)
            }
        })
        .collect::<Result<_>>()?;
    if repo.data_dir.is_none() {
        let on_s3 = repo.s3.is_some().then_some("repo.s3".to_owned());
        let kept = plans
            .iter()
            .find(|place| match &place.backend {
                Backend::Memory | Backend::Own => false,
                Backend::Named { name } => !tree.leaves(name).all_memory,
                _ => true,
            })
            .map(|place| place.setting.clone());
        if let Some(setting) = on_s3.or(kept) {
            return Err(Error::setting(
                "repo.data_dir",
                format!(
                    "is not set: with {setting}, the keystore and the journal still need a directory on this machine, and never go to S3"
                ),
            ));
        }
    }
    let local = repo
        .data_dir
        .as_deref()
        .map(|dir| [dir.join(KEYSTORE_DIR), dir.join(JOURNAL_DIR)]);
    apart(&plans, local.iter().flatten())?;
    apart_from_named(&plans, local.iter().flatten(), tree)?;
    Ok(plans)
}

fn plan_of<'a>(repo: &'a RepoConfig, name: StoreName, tree: &StoreTree) -> Result<StorePlan<'a>> {
    let own = repo.stores.get(name);
    let section = format!("repo.stores.{name}");
    if let Some((own, store)) = own.and_then(|own| Some((own, own.store.as_ref()?))) {
        return Ok(named(name, section, own, store, tree));
    }
    let usual = match (&repo.s3, &repo.data_dir) {
        (Some(_), _) => BackendKind::S3,
        (None, Some(_)) if name == StoreName::Blobs => BackendKind::Flatfs,
        (None, Some(_)) => BackendKind::Datastore,
        (None, None) => BackendKind::Memory,
    };
    let told = own.and_then(|own| own.kind(name));
    let kind = match told.unwrap_or(usual) {
        BackendKind::Datastore => DATASTORE,
        kind => kind,
    };
    let chosen = told.is_some();
    let directory = |usual: &str| match (own.and_then(|own| own.path.as_ref()), &repo.data_dir) {
        (Some(path), _) => Ok((path.clone(), format!("{section}.path"))),
        (None, Some(data_dir)) => Ok((data_dir.join(usual), "repo.data_dir".to_owned())),
        (None, None) => Err(Error::setting(
            format!("{section}.path"),
            format!(
                "is not set, and neither is repo.data_dir; {kind} needs one",
                kind = kind.as_str()
            ),
        )),
    };
    let usual_setting = if chosen {
        format!("{section}.backend")
    } else {
        "repo".to_owned()
    };
    Ok(match kind {
        BackendKind::Memory => StorePlan {
            name,
            backend: Backend::Memory,
            server: None,
            setting: usual_setting,
            chosen,
            keys: None,
        },
        BackendKind::Flatfs => {
            let (path, setting) = directory(BLOBS_DIR)?;
            StorePlan {
                name,
                backend: Backend::Flatfs { path },
                server: None,
                setting,
                chosen,
                keys: None,
            }
        }
        BackendKind::Datastore | BackendKind::Redb => {
            let (path, setting) = directory(RECORDS_DIR)?;
            StorePlan {
                name,
                backend: Backend::Redb { path },
                server: None,
                setting,
                chosen,
                keys: None,
            }
        }
        BackendKind::S3 => {
            let (server, setting) = match (own.and_then(|own| own.s3.as_ref()), &repo.s3) {
                (Some(server), _) => (server, format!("{section}.s3")),
                (None, Some(server)) => (server, "repo.s3".to_owned()),
                (None, None) => {
                    return Err(Error::setting(
                        format!("{section}.s3"),
                        "is not set, and neither is repo.s3; a store on S3 needs one",
                    ));
                }
            };
            let usual = || format!("{}{}", server.bucket_prefix, name.bucket());
            let bucket = own.and_then(|own| own.bucket.clone()).unwrap_or_else(usual);
            let backend = Backend::S3 {
                endpoint: server.endpoint.clone(),
                bucket,
            };
            StorePlan {
                name,
                backend,
                server: Some(server),
                setting,
                chosen,
                keys: None,
            }
        }
    })
}

/// A store that the section `[stores]` has.
fn named<'a>(
    name: StoreName,
    section: String,
    own: &StoreConfig,
    store: &str,
    tree: &StoreTree,
) -> StorePlan<'a> {
    let leaves = tree.leaves(store);
    let fitting = if leaves.all_s3 {
        KeysConfig::S3
    } else if leaves.any_flatfs && name == StoreName::Blobs {
        KeysConfig::Flatfs
    } else {
        KeysConfig::Plain
    };
    StorePlan {
        name,
        backend: Backend::Named {
            name: store.to_owned(),
        },
        server: None,
        setting: format!("{section}.store"),
        chosen: true,
        keys: Some(own.keys.unwrap_or(fitting)),
    }
}

/// No named store lies in a directory of the rest, and blobs share no store with records.
fn apart_from_named<'a>(
    plans: &[StorePlan<'_>],
    local: impl Iterator<Item = &'a PathBuf>,
    tree: &StoreTree,
) -> Result<()> {
    let plain: Vec<_> = plans
        .iter()
        .filter_map(|plan| Some((plan.name.as_str(), plan.backend.path()?)))
        .chain(local.map(|path| ("the keystore or the journal", path.as_path())))
        .collect();
    for (setting, path) in tree.directories() {
        for &(whose, taken) in &plain {
            overlap(&setting, &path, taken, whose)?;
        }
    }
    let blobs = plans.iter().find(|plan| plan.name == StoreName::Blobs);
    let Some(Backend::Named { name: of_blobs }) = blobs.map(|plan| &plan.backend) else {
        return Ok(());
    };
    let other = plans.iter().find(|plan| {
        plan.name != StoreName::Blobs
            && matches!(&plan.backend, Backend::Named { name } if name == of_blobs)
    });
    match other {
        None => Ok(()),
        Some(other) => Err(Error::setting(
            other.setting.clone(),
            format!(
                "is {of_blobs:?}, which has the blobs; give each a part of it, by type = \"prefix\""
            ),
        )),
    }
}

/// No store lies in another one's bucket or directory. Record stores may share a database, whose
/// keys tell them apart; in a bucket they would not.
fn apart<'a>(plans: &[StorePlan<'_>], local: impl Iterator<Item = &'a PathBuf>) -> Result<()> {
    for (at, later) in plans.iter().enumerate() {
        for earlier in &plans[..at] {
            // What was put there by name is at fault, not what always was there.
            let (place, other) = if later.chosen || !earlier.chosen {
                (later, earlier)
            } else {
                (earlier, later)
            };
            match (&place.backend, &other.backend) {
                (
                    Backend::S3 { endpoint, bucket },
                    Backend::S3 {
                        endpoint: server,
                        bucket: taken,
                    },
                ) => {
                    if bucket == taken && host(endpoint) == host(server) {
                        let reason = format!(
                            "is {bucket:?}, which {} have already; each store needs a bucket of its own",
                            other.name
                        );
                        return Err(Error::setting(
                            format!("repo.stores.{}.bucket", place.name),
                            reason,
                        ));
                    }
                }
                (Backend::Redb { path }, Backend::Redb { path: same })
                    if absolute(path) == absolute(same) => {}
                (_, theirs) => {
                    if let Some(taken) = theirs.path() {
                        outside(place, taken, other.name.as_str())?;
                    }
                }
            }
        }
    }
    for taken in local {
        plans
            .iter()
            .try_for_each(|place| outside(place, taken, "the keystore or the journal"))?;
    }
    Ok(())
}

fn outside(place: &StorePlan<'_>, taken: &Path, whose: &str) -> Result<()> {
    match place.backend.path() {
        Some(path) => overlap(&place.setting, path, taken, whose),
        None => Ok(()),
    }
}

/// Whether `path`, which `setting` says, and `taken` are one directory, or one within the other.
fn overlap(setting: &str, path: &Path, taken: &Path, whose: &str) -> Result<()> {
    let (mine, theirs) = (absolute(path), absolute(taken));
    if !mine.starts_with(&theirs) && !theirs.starts_with(&mine) {
        return Ok(());
    }
    let reason = format!(
        "{} and {}, where {whose} lie, are one directory or one within the other",
        path.display(),
        taken.display()
    );
    Err(Error::setting(setting, reason))
}

/// The path as the file system takes it, as far as that can be known without asking.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The server that an endpoint names, with or without a scheme.
fn host(endpoint: &str) -> &str {
    endpoint
        .split_once("://")
        .map_or(endpoint, |(_, host)| host)
        .trim_end_matches('/')
}
