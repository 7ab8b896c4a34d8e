//! What may be in a store, by what it acknowledged.

use std::collections::{BTreeMap, HashMap};

/// What a write leaves under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The object of the write with this number.
    Version(u64),
    /// No object.
    Absent,
    /// Not known: the store could not be read.
    Unknown,
}

/// One write of one key.
#[derive(Clone, Copy, Debug)]
struct Step {
    op: u64,
    effect: Effect,
    /// Acknowledged or seen, rather than begun or failed.
    certain: bool,
}

/// What was written, with the writes that may or may not have happened.
///
/// Writes have increasing numbers, which are the versions of the objects that they put. Those of
/// one key follow each other.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// For each key its last certain step and all later ones.
    keys: BTreeMap<String, Vec<Step>>,
    /// What each write does, all of it or none.
    ops: HashMap<u64, Vec<(String, Effect)>>,
}

/// What was found in a store.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The versions found, by key.
    pub objects: BTreeMap<String, u64>,
    /// Keys whose objects could not be read, with the errors.
    pub unreadable: BTreeMap<String, String>,
}

const NOTHING: Step = Step {
    op: 0,
    effect: Effect::Absent,
    certain: true,
};

impl Model {
    /// A write begins.
    pub fn begin(&mut self, op: u64, writes: &[(String, Effect)]) {
        for (key, effect) in writes {
            let steps = self
                .keys
                .entry(key.clone())
                .or_insert_with(|| vec![NOTHING]);
            steps.push(Step {
                op,
                effect: *effect,
                certain: false,
            });
        }
        self.ops.insert(op, writes.to_vec());
    }

    /// A write was acknowledged.
    pub fn acknowledge(&mut self, op: u64) {
        for (key, _) in self.ops.get(&op).into_iter().flatten() {
            let Some(steps) = self.keys.get_mut(key) else {
                continue;
            };
            // A later write of the key may have been acknowledged before.
            if let Some(at) = steps.iter().position(|step| step.op == op) {
                steps[at].certain = true;
                steps.drain(..at);
            }
        }
    }

    /// A write was refused: a condition did not hold, and nothing happened.
    pub fn refuse(&mut self, op: u64) {
        for (key, _) in self.ops.remove(&op).unwrap_or_default() {
            if let Some(steps) = self.keys.get_mut(&key) {
                steps.retain(|step| step.op != op);
            }
        }
    }

    /// What may be under a key now.
    #[must_use]
    pub fn allowed(&self, key: &str) -> Vec<Effect> {
        self.keys.get(key).map_or_else(
            || vec![Effect::Absent],
            |steps| steps.iter().map(|step| step.effect).collect(),
        )
    }

    /// What is under a key, if that is certain.
    #[must_use]
    pub fn certain(&self, key: &str) -> Option<Effect> {
        match self.allowed(key)[..] {
            [effect] if effect != Effect::Unknown => Some(effect),
            _ => None,
        }
    }

    /// Whether `found` may be under the key.
    #[must_use]
    pub fn allows(&self, key: &str, found: Effect) -> bool {
        self.allowed(key)
            .iter()
            .any(|effect| *effect == found || *effect == Effect::Unknown)
    }

    /// All keys that were written.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// The objects that must be there: keys without any doubt.
    #[must_use]
    pub fn certain_objects(&self) -> usize {
        self.keys
            .keys()
            .filter(|key| matches!(self.certain(key), Some(Effect::Version(_))))
            .count()
    }

    /// Forgets what is under a key.
    pub fn forget(&mut self, key: &str) {
        self.keys.insert(
            key.to_owned(),
            vec![Step {
                op: 0,
                effect: Effect::Unknown,
                certain: true,
            }],
        );
    }

    /// Compares the whole of a store with the model; says what is wrong.
    #[must_use]
    pub fn compare(&self, found: &Found) -> Vec<String> {
        let mut wrong = Vec::new();
        let effect = |key: &str| {
            found
                .objects
                .get(key)
                .map_or(Effect::Absent, |version| Effect::Version(*version))
        };
        for key in found
            .objects
            .keys()
            .filter(|key| !self.keys.contains_key(*key))
        {
            wrong.push(format!(
                "{key} has {:?}, which was not written",
                effect(key)
            ));
        }
        for key in self
            .keys()
            .filter(|key| !found.unreadable.contains_key(*key))
        {
            if !self.allows(key, effect(key)) {
                wrong.push(format!(
                    "{key} has {:?} instead of {:?}",
                    effect(key),
                    self.allowed(key)
                ));
            }
        }
        for (key, version) in &found.objects {
            for (other, _) in self
                .ops
                .get(version)
                .into_iter()
                .flatten()
                .filter(|(other, _)| other != key)
            {
                let Some(steps) = self
                    .keys
                    .get(other)
                    .filter(|_| !found.unreadable.contains_key(other))
                else {
                    continue;
                };
                let Some(at) = steps.iter().position(|step| step.op == *version) else {
                    continue;
                };
                if !steps[at..].iter().any(|step| step.effect == effect(other)) {
                    wrong.push(format!(
                        "half of batch {version}: {key} has it, {other} has {:?}",
                        effect(other)
                    ));
                }
            }
        }
        wrong
    }

    /// Takes what was found for certain from now on. What could not be read stays as it was.
    pub fn settle(&mut self, found: &Found) {
        self.keys
            .retain(|key, _| found.unreadable.contains_key(key));
        for (key, version) in &found.objects {
            self.keys.insert(
                key.clone(),
                vec![Step {
                    op: *version,
                    effect: Effect::Version(*version),
                    certain: true,
                }],
            );
        }
        let Self { keys, ops } = self;
        let used: std::collections::HashSet<u64> =
            keys.values().flatten().map(|step| step.op).collect();
        ops.retain(|op, _| used.contains(op));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(model: &mut Model, op: u64, keys: &[&str]) {
        model.begin(
            op,
            &keys
                .iter()
                .map(|key| ((*key).to_owned(), Effect::Version(op)))
                .collect::<Vec<_>>(),
        );
    }

    fn found(objects: &[(&str, u64)]) -> Found {
        let objects = objects
            .iter()
            .map(|(key, version)| ((*key).to_owned(), *version))
            .collect();
        Found {
            objects,
            ..Found::default()
        }
    }

    #[test]
    fn acknowledged_writes_must_be_there() {
        let mut model = Model::default();
        put(&mut model, 1, &["a"]);
        assert!(model.compare(&found(&[])).is_empty());
        assert!(model.compare(&found(&[("a", 1)])).is_empty());
        model.acknowledge(1);
        assert_eq!(model.compare(&found(&[])).len(), 1);
        put(&mut model, 2, &["a"]);
        for (version, wrong) in [(1, 0), (2, 0), (3, 1)] {
            assert_eq!(
                model.compare(&found(&[("a", version)])).len(),
                wrong,
                "{version}"
            );
        }
        model.acknowledge(2);
        assert_eq!(
            model.compare(&found(&[("a", 1)])).len(),
            1,
            "an older version is back"
        );
        model.begin(3, &[("a".to_owned(), Effect::Absent)]);
        model.acknowledge(3);
        assert_eq!(
            model.compare(&found(&[("a", 2)])).len(),
            1,
            "what was deleted is back"
        );
        assert_eq!(
            model.compare(&found(&[("b", 9)])).len(),
            1,
            "nobody wrote this"
        );
    }

    #[test]
    fn batches_are_whole() {
        let mut model = Model::default();
        put(&mut model, 1, &["a", "b"]);
        assert!(model.compare(&found(&[("a", 1), ("b", 1)])).is_empty());
        assert!(model.compare(&found(&[])).is_empty());
        assert_eq!(model.compare(&found(&[("a", 1)])).len(), 1);
        // A later write of one of the keys, which may have happened.
        put(&mut model, 2, &["b"]);
        assert!(model.compare(&found(&[("a", 1), ("b", 2)])).is_empty());
        assert!(model.compare(&found(&[("b", 2)])).is_empty());
        assert_eq!(model.compare(&found(&[("b", 1)])).len(), 1);
    }

    #[test]
    fn refused_writes_did_not_happen() {
        let mut model = Model::default();
        put(&mut model, 1, &["a"]);
        model.refuse(1);
        assert_eq!(model.compare(&found(&[("a", 1)])).len(), 1);
    }

    #[test]
    fn acknowledgements_may_come_in_any_order() {
        let mut model = Model::default();
        put(&mut model, 1, &["a"]);
        model.begin(2, &[("a".to_owned(), Effect::Absent)]);
        model.acknowledge(2);
        model.acknowledge(1);
        assert_eq!(model.compare(&found(&[("a", 1)])).len(), 1);
        assert!(model.compare(&found(&[])).is_empty());
    }
}
