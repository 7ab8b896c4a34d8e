//! From the section `[stores]` to a tree of plans, checked as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::Value;

use super::named::NamedStores;
use super::nearest::meant;
use super::plan::{BackendPlan, PlanKind, StorePlan};
use super::settings::{StoreRef, StoreSettings};
use super::types::StoreTypes;
use crate::{Error, Result};

/// How deep stores may lie within each other, in one table or by names. No stack that makes sense
/// comes near; without it a text could use up the thread's stack.
const MAX_DEPTH: usize = 32;

/// All named stores by their plans. Every name in it is there, and none is over itself.
#[derive(Debug)]
pub(crate) struct StoreTree {
    pub(super) named: BTreeMap<String, Node>,
}

/// One store of the tree.
#[derive(Debug)]
pub(super) struct Node {
    /// The full name of its table, such as `stores.blobs.slow`.
    pub(super) path: String,
    pub(super) type_name: String,
    pub(super) plan: StorePlan,
    pub(super) children: Vec<(String, Edge)>,
}

/// What a store is over.
#[derive(Debug)]
pub(super) enum Edge {
    Inline(Node),
    Named(String),
}

/// What lies at the ends of a stack.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Leaves {
    pub(crate) all_s3: bool,
    pub(crate) any_flatfs: bool,
    pub(crate) all_memory: bool,
}

impl StoreTree {
    /// Reads and checks all named stores, and opens none.
    pub(crate) fn parse(stores: &NamedStores, types: &StoreTypes) -> Result<Self> {
        let mut named = BTreeMap::new();
        for (name, value) in stores.tables() {
            let path = format!("stores.{name}");
            let Value::Table(table) = value else {
                let reason = "is no table; a store has a type and settings";
                return Err(Error::setting(path, reason));
            };
            named.insert(name.clone(), node(path, table.clone(), types, 0)?);
        }
        let tree = Self { named };
        tree.named
            .values()
            .try_for_each(|top| tree.names_exist(top))?;
        let mut known = BTreeMap::new();
        for name in tree.named.keys() {
            tree.depth(name, &mut Vec::new(), &mut known)?;
        }
        tree.directories_apart()?;
        Ok(tree)
    }

    /// Whether there is a store of this name; if not, an error about `setting`.
    pub(crate) fn must_have(&self, setting: &str, name: &str) -> Result<()> {
        if self.named.contains_key(name) {
            return Ok(());
        }
        let names = || self.named.keys().map(String::as_str);
        let reason = if self.named.is_empty() {
            format!("is {name:?}, and the section [stores] has no store")
        } else {
            format!(
                "is {name:?}, which is no store of the section [stores]{}",
                meant(name, names())
            )
        };
        Err(Error::setting(setting, reason))
    }

    fn names_exist(&self, node: &Node) -> Result<()> {
        node.children
            .iter()
            .try_for_each(|(field, edge)| match edge {
                Edge::Inline(inner) => self.names_exist(inner),
                Edge::Named(name) => self.must_have(&format!("{}.{field}", node.path), name),
            })
    }

    /// How many stores lie over each other from `name` down by names. `above` are the names on the
    /// way to it, and `known` is what was found out: each name is looked at once.
    fn depth<'a>(
        &'a self,
        name: &'a str,
        above: &mut Vec<&'a str>,
        known: &mut BTreeMap<&'a str, usize>,
    ) -> Result<usize> {
        if let Some(depth) = known.get(name) {
            return Ok(*depth);
        }
        if let Some(at) = above.iter().position(|other| *other == name) {
            let mut way = above[at..].to_vec();
            way.push(name);
            let reason = format!("is over itself: {}", way.join(" over "));
            return Err(Error::setting(format!("stores.{name}"), reason));
        }
        above.push(name);
        let mut deepest = 0;
        if above.len() <= MAX_DEPTH {
            let mut below = Vec::new();
            if let Some(top) = self.named.get(name) {
                names_below(top, &mut below);
            }
            for inner in below {
                deepest = deepest.max(self.depth(inner, above, known)?);
            }
        }
        if above.len() + deepest > MAX_DEPTH {
            let reason = format!("has more than {MAX_DEPTH} stores over each other");
            return Err(Error::setting(format!("stores.{}", above[0]), reason));
        }
        above.pop();
        known.insert(name, deepest + 1);
        Ok(deepest + 1)
    }

    fn directories_apart(&self) -> Result<()> {
        let all = self.directories();
        for (at, (setting, path)) in all.iter().enumerate() {
            let mine = absolute(path);
            for (other, taken) in &all[..at] {
                let theirs = absolute(taken);
                if mine.starts_with(&theirs) || theirs.starts_with(&mine) {
                    let reason = format!(
                        "{} and {}, where {other} lies, are one directory or one within the other; \
                         name the store to use it twice",
                        path.display(),
                        taken.display()
                    );
                    return Err(Error::setting(setting.clone(), reason));
                }
            }
        }
        Ok(())
    }

    /// The directories that stores of the tree write to, with the full name of the store.
    pub(crate) fn directories(&self) -> Vec<(String, PathBuf)> {
        let mut found = Vec::new();
        for top in self.named.values() {
            visit(top, &mut |node| {
                if let Some(path) = node.plan.directory() {
                    found.push((node.path.clone(), path.to_owned()));
                }
            });
        }
        found
    }

    /// What lies at the ends of the stack of this name.
    pub(crate) fn leaves(&self, name: &str) -> Leaves {
        let mut leaves = Leaves {
            all_s3: true,
            any_flatfs: false,
            all_memory: true,
        };
        self.look(name, &mut leaves, &mut BTreeSet::new());
        leaves
    }

    fn look<'a>(&'a self, name: &'a str, leaves: &mut Leaves, seen: &mut BTreeSet<&'a str>) {
        let Some(top) = self.named.get(name).filter(|_| seen.insert(name)) else {
            return;
        };
        visit(top, &mut |node| match &node.plan.kind {
            PlanKind::Layer(_) => {}
            #[cfg(feature = "encrypted")]
            PlanKind::Encrypted(_) => {}
            PlanKind::Backend(BackendPlan::Memory) => leaves.all_s3 = false,
            PlanKind::Backend(BackendPlan::S3 { .. }) => leaves.all_memory = false,
            PlanKind::Backend(BackendPlan::Flatfs { .. }) => {
                *leaves = Leaves {
                    all_s3: false,
                    any_flatfs: true,
                    all_memory: false,
                };
            }
            PlanKind::Backend(_) | PlanKind::Leaf { .. } => {
                leaves.all_s3 = false;
                leaves.all_memory = false;
            }
        });
        let mut below = Vec::new();
        names_below(top, &mut below);
        for inner in below {
            self.look(inner, leaves, seen);
        }
    }
}

fn node(path: String, mut table: toml::Table, types: &StoreTypes, depth: usize) -> Result<Node> {
    if depth == MAX_DEPTH {
        let reason = format!("has more than {MAX_DEPTH} stores over each other");
        return Err(Error::setting(path, reason));
    }
    let type_name = match table.remove("type") {
        Some(Value::String(name)) => name,
        Some(_) => return Err(Error::setting(format!("{path}.type"), "is no text")),
        None => {
            let reason = "is not set; it says what the store is, like \"memory\"";
            return Err(Error::setting(format!("{path}.type"), reason));
        }
    };
    let mut plan = types.plan(&type_name, StoreSettings::new(path.clone(), table))?;
    let mut children = Vec::new();
    for (field, store) in std::mem::take(&mut plan.children) {
        let edge = match store {
            StoreRef::Named(name) => Edge::Named(name),
            StoreRef::Inline(table) => {
                let path = format!("{path}.{field}");
                Edge::Inline(node(path, table, types, depth + 1)?)
            }
        };
        children.push((field, edge));
    }
    Ok(Node {
        path,
        type_name,
        plan,
        children,
    })
}

fn names_below<'a>(node: &'a Node, found: &mut Vec<&'a str>) {
    for (_, edge) in &node.children {
        match edge {
            Edge::Inline(inner) => names_below(inner, found),
            Edge::Named(name) => found.push(name),
        }
    }
}

fn visit<'a>(node: &'a Node, each: &mut dyn FnMut(&'a Node)) {
    each(node);
    for (_, edge) in &node.children {
        if let Edge::Inline(inner) = edge {
            visit(inner, each);
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
