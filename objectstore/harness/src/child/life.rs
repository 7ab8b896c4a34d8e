//! From opening to the end.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::{Signal, getpid, kill_process};

use super::limits::{arm, leave_descriptors, limit_descriptors, restore_descriptors, uses};
use super::load::Load;
use super::report::tell;
use crate::content::version_of;
use crate::event::Event;
use crate::model::{Found, Model};
use crate::spec::{Arm, Spec};
use crate::stores::Store;

/// How often opening is tried while errors are to be expected.
const TRIES: u64 = 3;

/// Lives as the spec says.
///
/// # Errors
/// If the process cannot be set up; what goes wrong with the store is told.
pub fn live(spec: &Spec) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(alive(spec))?;
    if spec.close {
        tell(&Event::End);
        return Ok(());
    }
    tell(&Event::End);
    Ok(kill_process(getpid(), Signal::KILL)?)
}

async fn alive(spec: &Spec) -> std::io::Result<()> {
    let mut limit = None;
    let mut begin = |now| -> std::io::Result<()> {
        if spec.arm == now {
            arm(true)?;
            if let Some(spare) = spec.spare {
                limit = Some(leave_descriptors(spare)?);
            }
        }
        Ok(())
    };
    begin(Arm::Open)?;
    if let Some(limit) = spec.descriptors {
        limit_descriptors(limit)?;
    }
    let start = Instant::now();
    let Some(store) = open(spec).await else {
        return Ok(());
    };
    let took = start.elapsed();
    let model = if spec.read {
        read(spec, &*store).await
    } else {
        unknown(spec)
    };
    if spec.check {
        check(&*store).await;
    }
    begin(Arm::Load)?;
    let load = Load {
        store: Arc::clone(&store),
        spec: spec.clone(),
        model: Mutex::new(model),
        next: AtomicU64::new(spec.first),
    };
    let load = Arc::new(load);
    load.run(spec.ops).await;
    if spec.arm == Arm::Open || spec.arm == Arm::Load {
        if let Some(before) = limit.take() {
            restore_descriptors(before)?;
        }
        arm(false)?;
        tell(&Event::Relieved);
        if spec.after > 0 {
            load.recover().await;
        }
    }
    load.run(Some(spec.after)).await;
    if spec.clear {
        load.clear().await;
    }
    tokio::time::sleep(Duration::from_millis(spec.linger)).await;
    let (memory, descriptors) = uses()?;
    tell(&Event::Uses(memory, descriptors, took.as_micros() as u64));
    if spec.close {
        if spec.arm == Arm::Close {
            arm(true)?;
        }
        if let Err(error) = store.close().await {
            tell(&Event::NotClosed(error));
        }
    }
    Ok(())
}

async fn open(spec: &Spec) -> Option<Arc<dyn Store>> {
    for _ in 0..if spec.errors { TRIES } else { 1 } {
        match spec.store.open(&spec.dir, spec.size, spec.salvage).await {
            Ok(store) => {
                tell(&Event::Open);
                return Some(store);
            }
            Err(error) => tell(&Event::OpenFailed(error)),
        }
    }
    None
}

fn keys(spec: &Spec) -> impl Iterator<Item = String> {
    (0..spec.writers)
        .flat_map(|writer| (0..spec.keys).map(move |number| format!("w{writer}-{number}")))
}

fn unknown(spec: &Spec) -> Model {
    let mut model = Model::default();
    keys(spec).for_each(|key| model.forget(&key));
    model
}

/// Reads all there is. Keys that cannot be read may hold anything.
async fn read(spec: &Spec, store: &dyn Store) -> Model {
    let (mut found, mut model) = (Found::default(), Model::default());
    let listed = match store.all().await {
        Ok(all) => {
            for (key, object) in all {
                let seen = found.objects.contains_key(&key) || found.unreadable.contains_key(&key);
                if seen && !store.traits().appends {
                    tell(&Event::Wrong(format!("{key} is listed twice")));
                }
                note(&mut found, key, object);
            }
            true
        }
        Err(error) => {
            tell(&Event::NotRead(error));
            if store.traits().appends {
                return unknown(spec);
            }
            false
        }
    };
    if !store.traits().appends {
        for key in keys(spec) {
            if found.objects.contains_key(&key) || found.unreadable.contains_key(&key) {
                continue;
            }
            match store.read(&key).await {
                Ok(None) => {}
                Ok(Some(_)) if listed => {
                    tell(&Event::Wrong(format!("{key} is there, but not listed")))
                }
                Ok(Some(object)) => note(&mut found, key, Ok(object)),
                Err(error) => note(&mut found, key, Err(error)),
            }
        }
    }
    tell(&Event::AllRead);
    model.settle(&found);
    found.unreadable.keys().for_each(|key| model.forget(key));
    model
}

/// Tells what a key has.
fn note(found: &mut Found, key: String, object: Result<Bytes, String>) {
    match object.map(|object| version_of(&key, &object)) {
        Ok(Ok(version)) => {
            tell(&Event::Is(key.clone(), version));
            found.objects.insert(key, version);
        }
        Ok(Err(what)) => tell(&Event::Wrong(format!("{key} has {what}"))),
        Err(error) => {
            tell(&Event::Unreadable(key.clone(), error.clone()));
            found.unreadable.insert(key, error);
        }
    }
}

async fn check(store: &dyn Store) {
    match store.check().await {
        Ok(damage) => {
            damage
                .into_iter()
                .for_each(|damage| tell(&Event::Damage(damage)));
            tell(&Event::Checked);
        }
        Err(error) => tell(&Event::NotChecked(error)),
    }
}
