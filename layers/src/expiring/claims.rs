//! Which keys are written and which are swept: never one at the same time.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use storehouse_objectstore::Key;
use tokio::sync::watch;

/// The keys that something is done to.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<BTreeMap<Key, Claim>>);

#[derive(Debug)]
enum Claim {
    /// This number of writes, at least one.
    Writes(usize),
    /// A look and a delete. The sender is dropped at their end.
    Sweep(watch::Receiver<()>),
}

impl Claims {
    /// Claims a key for a write, until the guard is dropped. Waits while it is swept, and never for
    /// other writes; so it is no lock to be held while waiting on the caller.
    pub(super) async fn write(&self, key: &Key) -> Writing<'_> {
        loop {
            let mut swept = match self.claims().entry(key.clone()).or_insert(Claim::Writes(0)) {
                Claim::Writes(count) => {
                    *count += 1;
                    break;
                }
                Claim::Sweep(ended) => ended.clone(),
            };
            // The error is the end that is waited for.
            let _ = swept.changed().await;
        }
        Writing {
            claims: self,
            key: key.clone(),
        }
    }

    /// Claims a key for a sweep, until the guard is dropped; `None` if something is done to it.
    pub(super) fn sweep(&self, key: &Key) -> Option<Sweeping<'_>> {
        let mut claims = self.claims();
        if claims.contains_key(key) {
            return None;
        }
        let (ended, waiting) = watch::channel(());
        claims.insert(key.clone(), Claim::Sweep(waiting));
        Some(Sweeping {
            claims: self,
            key: key.clone(),
            _ended: ended,
        })
    }

    fn claims(&self) -> MutexGuard<'_, BTreeMap<Key, Claim>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A write of a key.
#[derive(Debug)]
pub(super) struct Writing<'a> {
    claims: &'a Claims,
    key: Key,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut claims = self.claims.claims();
        match claims.get_mut(&self.key) {
            Some(Claim::Writes(count)) if *count > 1 => *count -= 1,
            _ => {
                claims.remove(&self.key);
            }
        }
    }
}

/// A sweep of a key.
#[derive(Debug)]
pub(super) struct Sweeping<'a> {
    claims: &'a Claims,
    key: Key,
    _ended: watch::Sender<()>,
}

impl Drop for Sweeping<'_> {
    fn drop(&mut self) {
        self.claims.claims().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_write_waits_for_a_sweep_and_a_sweep_for_nothing() {
        let (claims, key) = (Claims::default(), Key::new("k").unwrap());
        let first = claims.write(&key).now_or_never().unwrap();
        let second = claims.write(&key).now_or_never().unwrap();
        drop(first);
        assert!(claims.sweep(&key).is_none());
        drop(second);
        let sweep = claims.sweep(&key).unwrap();
        assert!(claims.sweep(&key).is_none());
        let mut waiting = std::pin::pin!(claims.write(&key));
        assert!(waiting.as_mut().now_or_never().is_none());
        let other = Key::new("other").unwrap();
        assert!(claims.write(&other).now_or_never().is_some());
        drop(sweep);
        assert!(waiting.as_mut().now_or_never().is_some());
        assert!(claims.claims().is_empty());
    }
}
