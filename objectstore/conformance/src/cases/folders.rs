//! Rule 19: listings by folders.

use futures_util::TryStreamExt;

use super::super::Fixture;
use super::super::check::{OrFail, ensure_eq, story};
use super::super::names;
use storehouse_objectstore::{Entry, ErrorClass, Key, ListOptions, Listed};

async fn filled(fixture: &Fixture) -> Vec<Key> {
    let keys = names::accepted(fixture, names::RELATED);
    for (len, key) in keys.iter().enumerate() {
        fixture.put(19, key, vec![0; len]).await;
    }
    keys
}

/// The listing with the same options, rolled up.
async fn expected(fixture: &Fixture, options: &ListOptions) -> Vec<Listed> {
    let delimiter = options.delimiter.unwrap_or('/');
    let all = fixture.list(19, options.clone().limit(None)).await;
    let mut items: Vec<Listed> = Vec::new();
    for entry in all {
        let rest = &entry.key.as_str()[options.prefix.len()..];
        let item = match rest.split_once(delimiter) {
            None => Listed::Object(entry),
            Some((folder, _)) => Listed::Prefix(format!("{}{folder}{delimiter}", options.prefix)),
        };
        if items.last() != Some(&item) {
            items.push(item);
        }
    }
    items.truncate(options.limit.unwrap_or(usize::MAX));
    items
}

async fn delimited(fixture: &Fixture, options: ListOptions) -> Vec<Listed> {
    let asked = format!("list_delimited {options:?}");
    let listing = fixture.store().list_delimited(options);
    listing.try_collect().await.or_fail(19, asked)
}

/// Times may differ in precision between two listings of a server.
fn brief(items: &[Listed]) -> Vec<(String, Option<u64>)> {
    let size = |item: &Listed| match item {
        Listed::Object(Entry { metadata, .. }) => Some(metadata.size),
        Listed::Prefix(_) => None,
    };
    items
        .iter()
        .map(|item| (item.to_string(), size(item)))
        .collect()
}

async fn assert_rolls_up(fixture: &Fixture, options: ListOptions) {
    let expected = expected(fixture, &options).await;
    let items = delimited(fixture, options.clone()).await;
    ensure_eq!(
        19,
        brief(&items),
        brief(&expected),
        "list_delimited {options:?}"
    );
}

pub(in super::super) async fn roll_up(fixture: Fixture) {
    let keys = filled(&fixture).await;
    for prefix in [
        "",
        "a",
        "a/",
        "a/b",
        "a/b/",
        "dir",
        "dir/",
        "none",
        "ключ/",
        "a-",
    ] {
        let options = ListOptions::default().prefix(prefix);
        assert_rolls_up(&fixture, options.clone()).await;
        for limit in [0, 1, 2, 100] {
            assert_rolls_up(&fixture, options.clone().limit(limit)).await;
        }
        for after in keys.iter().step_by(5) {
            assert_rolls_up(&fixture, options.clone().start_after(after.clone())).await;
        }
    }
}

pub(in super::super) async fn at_other_delimiters(fixture: Fixture) {
    filled(&fixture).await;
    let capabilities = fixture.store().capabilities().clone();
    for delimiter in ['-', 'b', '%', '\u{1f5dd}'] {
        for prefix in ["", "a", "a-"] {
            let options = ListOptions::default().prefix(prefix).delimiter(delimiter);
            let possible = capabilities.order.is_by_key()
                || capabilities.keys.flaw(&format!("a{delimiter}a")).is_some();
            if possible {
                assert_rolls_up(&fixture, options).await;
                continue;
            }
            let listing = fixture.store().list_delimited(options);
            match listing.try_collect::<Vec<_>>().await {
                Err(error) if error.class() == ErrorClass::InvalidInput => {}
                other => panic!(
                    "rule 19: a store that does not list by key rolls up at {delimiter:?}: {}",
                    story(&other)
                ),
            }
        }
    }
}

pub(in super::super) async fn resume_at_every_item(fixture: Fixture) {
    filled(&fixture).await;
    for prefix in ["", "a", "a/"] {
        let options = ListOptions::default().prefix(prefix);
        let all = delimited(&fixture, options.clone()).await;
        for (place, item) in all.iter().enumerate() {
            let after = item.resume_after();
            assert!(
                after.is_some(),
                "rule 19: {item} has no key to resume after"
            );
            let rest = delimited(&fixture, options.clone().start_after(after)).await;
            ensure_eq!(
                19,
                brief(&rest),
                brief(&all[place + 1..]),
                "list_delimited after {item}"
            );
        }
    }
}

pub(in super::super) async fn of_many_keys(fixture: Fixture) {
    let deep = "a-folder/x";
    let by_slash = Key::new(deep).is_ok_and(|key| fixture.store().capabilities().accepts_key(&key));
    if !by_slash {
        return;
    }
    let many = fixture.known().pace.many.min(400);
    for n in 0..many {
        let key = Key::new(format!("folder/{n:05}")).or_fail(1, "a key");
        fixture.put(19, &key, "x").await;
    }
    for name in ["before", "folder-", "folder0", "g/1", "g/2"] {
        let key = Key::new(name).or_fail(1, "a key");
        fixture.put(19, &key, "x").await;
    }
    let items = delimited(&fixture, ListOptions::default()).await;
    let names: Vec<_> = items.iter().map(Listed::to_string).collect();
    ensure_eq!(
        19,
        names,
        ["before", "folder-", "folder/", "folder0", "g/"],
        "a folder of {many} keys among others"
    );
    let inside = delimited(&fixture, ListOptions::default().prefix("folder/")).await;
    ensure_eq!(19, inside.len(), many, "the objects in a folder");
}
