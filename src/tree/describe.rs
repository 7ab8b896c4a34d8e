//! What a configuration says, as a tree to read.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use futures_util::FutureExt;
use storehouse_objectstore::{Attributes, Capabilities, ListOrder, ObjectStore};

use super::parse::{Edge, Node};
use super::plan::{BackendPlan, PlanKind};
use crate::open::{MissingBackend, plan};
use crate::{Backend, Config, Result, StoreName};

/// The stores that a configuration asks for, as a tree: its `Display` has one line a store.
///
/// Made by [`describe`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description(String);

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Describes what [`Stores::open`](crate::Stores::open) would open, and opens nothing.
///
/// Each line has a store's name, its type and what it can do. What depends on a server, such as
/// conditional puts on S3, is shown as it is where the server honours all.
///
/// # Errors
/// As [`Config::check`].
///
/// ```
/// let config = storehouse::Config::from_toml(
///     "[stores]
///      near = { type = 'memory' }
///      blobs = { type = 'limit', operations = 8, store = 'near' }
///      [repo.stores]
///      blobs = { store = 'blobs' }",
/// )?;
/// let text = storehouse::describe(&config)?.to_string();
/// assert!(text.starts_with("blobs         the store \"blobs\"\n"), "{text}");
/// assert!(text.contains("stores.blobs  limit, 8 at once"), "{text}");
/// # Ok::<(), storehouse::Error>(())
/// ```
pub fn describe(config: &Config) -> Result<Description> {
    config.check()?;
    let mut out = String::new();
    let tree = config.tree()?;
    for place in plan(&config.repo, &[], &tree)? {
        line(&mut out, place.name, &place.backend);
    }
    let mut built = BTreeMap::new();
    let mut left = tree.named;
    let mut texts = BTreeMap::new();
    while let Some(name) = left.keys().next().cloned() {
        named(&mut left, &mut built, &mut texts, &name);
    }
    for text in texts.values() {
        out.push_str(text);
    }
    Ok(Description(out))
}

fn line(out: &mut String, name: StoreName, backend: &Backend) {
    // Writing to a text cannot fail.
    let _ = writeln!(out, "{name:<12}  {backend}");
}

type Built = BTreeMap<String, Option<Arc<dyn ObjectStore>>>;

/// Builds the store of this name over stand-ins, and writes its part.
fn named(
    left: &mut BTreeMap<String, Node>,
    built: &mut Built,
    texts: &mut BTreeMap<String, String>,
    name: &str,
) -> Option<Arc<dyn ObjectStore>> {
    if let Some(store) = built.get(name) {
        return store.clone();
    }
    let node = left.remove(name)?;
    let mut lines = Vec::new();
    let label = node.path.clone();
    let store = one(left, built, texts, node, &label, "", "", &mut lines);
    texts.insert(name.to_owned(), lines.concat());
    built.insert(name.to_owned(), store.clone());
    store
}

#[allow(clippy::too_many_arguments, reason = "the state of one walk")]
fn one(
    left: &mut BTreeMap<String, Node>,
    built: &mut Built,
    texts: &mut BTreeMap<String, String>,
    node: Node,
    label: &str,
    first: &str,
    rest: &str,
    lines: &mut Vec<String>,
) -> Option<Arc<dyn ObjectStore>> {
    let at = lines.len();
    lines.push(String::new());
    let mut below = Vec::new();
    let last = node.children.len().saturating_sub(1);
    for (position, (field, edge)) in node.children.into_iter().enumerate() {
        let (branch, under) = if position == last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        let (branch, under) = (format!("{rest}{branch}"), format!("{rest}{under}"));
        below.push(match edge {
            Edge::Inline(inner) => one(left, built, texts, inner, &field, &branch, &under, lines),
            Edge::Named(name) => {
                lines.push(format!("{branch}{field}  the store {name:?}\n"));
                named(left, built, texts, &name)
            }
        });
    }
    let mut about = node.plan.about;
    let store = build(node.plan.kind, below.into_iter().collect());
    if !about.is_empty() {
        about.insert_str(0, ", ");
    }
    let can = match &store {
        Some(store) => abilities(store.capabilities()),
        None => "known once it is open".to_owned(),
    };
    lines[at] = format!("{first}{label}  {}{about} ({can})\n", node.type_name);
    store
}

/// The store over stand-ins, if it can be built without waiting.
fn build(kind: PlanKind, below: Option<Vec<Arc<dyn ObjectStore>>>) -> Option<Arc<dyn ObjectStore>> {
    let stand_in = |capabilities| -> Option<Arc<dyn ObjectStore>> {
        Some(Arc::new(MissingBackend::stand_in(capabilities)))
    };
    match kind {
        PlanKind::Backend(plan) => stand_in(assumed(&plan)),
        PlanKind::Leaf { capabilities, .. } => stand_in(capabilities),
        PlanKind::Layer(build) => build(below?).now_or_never()?.ok(),
        #[cfg(feature = "encrypted")]
        PlanKind::Encrypted(keys) => {
            let store = storehouse_layers::EncryptedStore::new(below?.pop()?, keys.stand_in()?);
            Some(Arc::new(store))
        }
    }
}

/// What a backend can do, as far as it is known before it is open.
fn assumed(plan: &BackendPlan) -> Capabilities {
    let with_attributes = Capabilities::full().with_max_attributes(Attributes::MAX_SIZE);
    match plan {
        BackendPlan::Flatfs { .. } => {
            Capabilities::full().with_order(ListOrder::by_path(str::to_owned))
        }
        BackendPlan::Redb { .. } => with_attributes.with_max_size(16 << 20),
        BackendPlan::S3 { .. } => with_attributes.with_remote(true).with_verifies_sha256(true),
        BackendPlan::Fs { .. } | BackendPlan::Memory => with_attributes,
    }
}

/// What a store can do, in a few words.
fn abilities(can: &Capabilities) -> String {
    let mut words = Vec::new();
    words.push(match (can.create, can.replace) {
        (true, true) => "create, replace".to_owned(),
        (true, false) => "create".to_owned(),
        (false, true) => "replace".to_owned(),
        (false, false) => "no conditional puts".to_owned(),
    });
    words.push(format!("ordered {:?}", can.order));
    if can.remote {
        words.push("remote".to_owned());
    }
    if can.verifies_sha256 {
        words.push("verifies SHA-256".to_owned());
    }
    if can.max_size < i64::MAX as u64 {
        words.push(format!("up to {}", bytesize::ByteSize::b(can.max_size)));
    }
    words.join(", ")
}
