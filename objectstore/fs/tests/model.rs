//! Random writes, and random files of other programs, against a sorted map; with listings that are
//! cut and resumed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use futures_util::TryStreamExt;
use proptest::prelude::*;
use storehouse_fs::{Fs, FsOptions};
use storehouse_objectstore::{
    CopyOptions, Durability, Error, Key, ListOptions, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions,
};

#[derive(Clone, Debug)]
enum Step {
    Put(String, u8),
    Create(String, u8),
    Replace(String, u8),
    Delete(String),
    /// Copies, or renames.
    Copy {
        from: String,
        to: String,
        rename: bool,
        create: bool,
    },
    /// Lists a folder.
    Folder {
        after: Option<String>,
        prefix: String,
    },
    /// Another program writes a file.
    Write(String, u8),
    /// Another program removes one.
    Remove(String),
    List {
        after: String,
        prefix: String,
        limit: usize,
    },
    Reopen,
}

/// Few names, which lie under and beside each other.
fn name() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        8 => "[ab]",
        2 => "[ab][-0.~]",
        1 => Just("a%file".to_owned()),
        1 => Just("a%more".to_owned()),
        1 => Just(".storehouse".to_owned()),
        1 => Just("k".repeat(260)),
        1 => Just(format!("{}x", "k".repeat(260))),
        1 => Just("k".repeat(249)),
        1 => Just("é".repeat(150)),
    ];
    prop::collection::vec(segment, 1..4)
        .prop_map(|segments| segments.join("/"))
        .prop_filter("a key", |name| Key::new(name).is_ok())
}

/// Names that another program can use and that say themselves.
fn plain() -> impl Strategy<Value = String> {
    prop::collection::vec("[ab]|[ab][-0~]", 1..4).prop_map(|segments| segments.join("/"))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (name(), any::<u8>()).prop_map(|(name, n)| Step::Put(name, n)),
        2 => (name(), any::<u8>()).prop_map(|(name, n)| Step::Create(name, n)),
        2 => (name(), any::<u8>()).prop_map(|(name, n)| Step::Replace(name, n)),
        4 => name().prop_map(Step::Delete),
        4 => (name(), name(), any::<bool>(), any::<bool>())
            .prop_map(|(from, to, rename, create)| Step::Copy { from, to, rename, create }),
        2 => (prop::option::of(name()), "|[ab]|[ab]/|[ab]/[ab]")
            .prop_map(|(after, prefix)| Step::Folder { after, prefix }),
        3 => (plain(), any::<u8>()).prop_map(|(name, n)| Step::Write(name, n)),
        1 => plain().prop_map(Step::Remove),
        3 => (name(), "|[ab]|[ab]/|[ab]/[ab]|kkk|k{300}", 0..8_usize)
            .prop_map(|(after, prefix, limit)| Step::List { after, prefix, limit }),
        1 => Just(Step::Reopen),
    ]
}

/// Another program's write, where no object's file is in the way of its directories and no
/// directory in the way of its name. Says whether it happened.
fn write(dir: &Path, name: &str, n: u8) -> bool {
    let path = dir.join(name);
    let beside = dir.join(format!("{name}%file"));
    if beside.exists() || fs::create_dir_all(path.parent().unwrap()).is_err() {
        return false;
    }
    fs::write(&path, [n]).is_ok()
}

async fn run(steps: Vec<Step>, listed_names: usize) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let options = FsOptions::default().listed_names(listed_names);
    let open = || Fs::open(dir.path(), options);
    let mut store = open().await.unwrap();
    let mut model: BTreeMap<String, u8> = BTreeMap::new();
    let relaxed = PutOptions::default().durability(Durability::Relaxed);
    for step in steps {
        match &step {
            Step::Put(name, n) => {
                let key = Key::new(name).unwrap();
                store
                    .put_opts(&key, vec![*n].into(), relaxed.clone())
                    .await
                    .unwrap();
                model.insert(name.clone(), *n);
            }
            Step::Create(name, n) => {
                let options = relaxed.clone().mode(PutMode::Create);
                let put = store
                    .put_opts(&Key::new(name).unwrap(), vec![*n].into(), options)
                    .await;
                match model.get(name) {
                    Some(_) => {
                        prop_assert!(matches!(put, Err(Error::AlreadyExists { .. })), "{put:?}")
                    }
                    None => {
                        put.unwrap();
                        model.insert(name.clone(), *n);
                    }
                }
            }
            Step::Replace(name, n) => {
                let key = Key::new(name).unwrap();
                let etag = store.head(&key).await.map(|found| found.etag);
                prop_assert_eq!(etag.is_ok(), model.contains_key(name), "{:?}", step);
                let Ok(etag) = etag else { continue };
                let options = relaxed.clone().mode(PutMode::Replace(etag.clone()));
                store
                    .put_opts(&key, vec![*n].into(), options.clone())
                    .await
                    .unwrap();
                model.insert(name.clone(), *n);
                let again = store.put_opts(&key, vec![*n].into(), options).await;
                prop_assert!(
                    matches!(again, Err(Error::Precondition { .. })),
                    "{again:?}"
                );
            }
            Step::Delete(name) => {
                store.delete(&Key::new(name).unwrap()).await.unwrap();
                model.remove(name);
            }
            Step::Copy {
                from,
                to,
                rename,
                create,
            } => {
                let mode = if *create {
                    PutMode::Create
                } else {
                    PutMode::Overwrite
                };
                let options = CopyOptions::default()
                    .remove_source(*rename)
                    .durability(Durability::Relaxed)
                    .mode(mode);
                let (source, target) = (Key::new(from).unwrap(), Key::new(to).unwrap());
                let copied = store.copy_opts(&source, &target, options).await;
                match copied {
                    Err(Error::InvalidRequest { .. }) => prop_assert!(*rename && from == to),
                    Err(Error::NotFound { key, .. }) => {
                        prop_assert!(key == source && !model.contains_key(from));
                    }
                    Err(Error::AlreadyExists { key }) => {
                        prop_assert!(*create && key == target && model.contains_key(to));
                    }
                    other => {
                        other.unwrap();
                        let n = model[from];
                        prop_assert!(!*create || !model.contains_key(to));
                        if *rename {
                            model.remove(from);
                        }
                        model.insert(to.clone(), n);
                    }
                }
            }
            Step::Folder { after, prefix } => {
                let after = after.as_ref().map(|after| Key::new(after).unwrap());
                let options = ListOptions::default()
                    .prefix(prefix)
                    .start_after(after.clone());
                let listing = store.list_delimited(options);
                let listed: Vec<String> = listing
                    .map_ok(|item| item.to_string())
                    .try_collect()
                    .await
                    .unwrap();
                let after = after.as_ref().map_or("", Key::as_str);
                let keys = model.keys().map(String::as_str);
                let keys = keys.filter(|key| *key > after && key.starts_with(prefix.as_str()));
                let mut expected: Vec<String> = keys
                    .map(|key| match key[prefix.len()..].find('/') {
                        Some(at) => key[..=prefix.len() + at].to_owned(),
                        None => key.to_owned(),
                    })
                    .collect();
                expected.dedup();
                prop_assert_eq!(listed, expected, "{:?}", step);
            }
            Step::Write(name, n) => {
                if write(dir.path(), name, *n) {
                    model.insert(name.clone(), *n);
                }
            }
            Step::Remove(name) => {
                if fs::remove_file(dir.path().join(name)).is_ok() {
                    model.remove(name);
                }
            }
            Step::List {
                after,
                prefix,
                limit,
            } => {
                let options = ListOptions::default()
                    .start_after(Key::new(after).unwrap())
                    .prefix(prefix)
                    .limit(*limit);
                let listed: Vec<String> = store
                    .list(options)
                    .map_ok(|entry| entry.key.to_string())
                    .try_collect()
                    .await
                    .unwrap();
                let expected = model
                    .keys()
                    .filter(|key| *key > after && key.starts_with(prefix.as_str()));
                let expected: Vec<_> = expected.take(*limit).cloned().collect();
                prop_assert_eq!(listed, expected, "{:?}", step);
            }
            Step::Reopen => {
                store.close().await.unwrap();
                store = open().await.unwrap();
            }
        }
    }
    let mut found = BTreeMap::new();
    let mut listing = store.list(ListOptions::default());
    let mut last: Option<Key> = None;
    while let Some(entry) = listing.try_next().await.unwrap() {
        prop_assert!(
            last.as_ref().is_none_or(|last| *last < entry.key),
            "{last:?} {entry:?}"
        );
        let bytes = store.get_bytes(&entry.key, 10).await.unwrap();
        found.insert(entry.key.to_string(), bytes[0]);
        last = Some(entry.key);
    }
    prop_assert_eq!(found, model.clone());
    for name in model.keys() {
        store.delete(&Key::new(name).unwrap()).await.unwrap();
    }
    prop_assert_eq!(
        store
            .list(ListOptions::default())
            .try_collect::<Vec<_>>()
            .await
            .unwrap(),
        []
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn is_a_sorted_map(steps in prop::collection::vec(step(), 1..60), names in prop_oneof![Just(64_usize), Just(1000)]) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps, names))?;
    }
}
