//! Stores that chain, under load, killed: `examples/stack/stack.toml` over a real S3 server.
//!
//! A child process writes, replaces, deletes and reads objects through the stack, while its bottom
//! fails now and then on purpose, until it is killed. The next one first compares all objects with
//! what was acknowledged. `.ci/with-minio cargo run --release --example stack` runs it.

#[path = "stack/work.rs"]
mod work;

use std::error::Error;
use std::io::{BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use storehouse::layers::{Fault, FaultStore, Faults};
use storehouse::objectstore::{BoxError, ErrorClass, ObjectStore, ObjectStoreExt, Operation};
use storehouse::{Config, StorePlan, StoreRef, StoreTypes, Stores, describe};

use work::{Acknowledged, OBJECTS, content, key, may_be, version_of};

const CONFIG: &str = include_str!("stack/stack.toml");

/// How often the child is killed, unless the first argument says otherwise.
const ROUNDS: u64 = 5;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("child") => child(Path::new(
            &args.next().ok_or("a file of what was acknowledged")?,
        )),
        Some(rounds) => parent(rounds.parse()?),
        None => parent(ROUNDS),
    }
}

/// Starts and kills children.
fn parent(rounds: u64) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("acknowledged");
    let mut acknowledged: Acknowledged = (0..OBJECTS).map(|object| (object, 0)).collect();
    let mut written = 0;
    for round in 0..=rounds {
        work::save(&file, &acknowledged)?;
        let last = round == rounds;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["child".as_ref(), file.as_os_str()])
            .env("STACK_DIR", dir.path())
            .env("STACK_ONLY_COMPARE", if last { "1" } else { "" })
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("no output")?);
        let before: u64 = acknowledged.values().sum();
        let reading = std::thread::spawn(move || {
            work::read(lines, &mut acknowledged);
            acknowledged
        });
        if last {
            if !child.wait()?.success() {
                return Err("what was found is not what was acknowledged".into());
            }
            println!("{rounds} kills, {written} writes acknowledged: lost 0, wrong 0");
            return Ok(());
        }
        // Not the same moment each time, and no clock to seed from.
        std::thread::sleep(Duration::from_millis(1500 + round * 377 % 1000));
        if let Some(ended) = child.try_wait()? {
            return Err(format!("the child ended by itself: {ended}").into());
        }
        child.kill()?;
        child.wait()?;
        acknowledged = reading.join().map_err(|_| "the reader panicked")?;
        let now = acknowledged.values().sum::<u64>();
        if now == before {
            return Err("nothing was acknowledged, so nothing was shown".into());
        }
        written += now - before;
    }
    Ok(())
}

/// Compares, then works until it is killed.
#[tokio::main]
async fn child(file: &Path) -> Result<()> {
    let types = StoreTypes::default().register("fault", |mut settings| {
        let one_in: u64 = settings.need("one_in")?;
        let store: StoreRef = settings.need("store")?;
        settings.done()?;
        Ok(StorePlan::layer("store", store, move |inner| {
            Ok::<_, BoxError>(FaultStore::with_faults(inner, faults(one_in)))
        }))
    })?;
    let config = Config::from_toml_with(CONFIG, &types)?;
    let stores = Stores::open(&config).await?;
    let stack = Arc::clone(stores.named("stack").ok_or("stack.toml has no stack")?);
    let mut acknowledged = Acknowledged::new();
    work::read(
        BufReader::new(std::fs::File::open(file)?),
        &mut acknowledged,
    );
    let mut versions = Vec::new();
    for (object, version) in acknowledged {
        let found = found(&stack, object).await?;
        if !may_be(object, version, found) {
            eprintln!(
                "{}: {found:?} is there, and {version} was acknowledged",
                key(object)
            );
            std::process::exit(1);
        }
        versions.push((
            object,
            if found == content(object, version).map(|_| version) {
                version
            } else {
                version + 1
            },
        ));
    }
    if std::env::var_os("STACK_ONLY_COMPARE").is_some_and(|set| !set.is_empty()) {
        eprint!("{}", describe(&config)?);
        stores.close().await?;
        return Ok(());
    }
    let tasks = versions.into_iter().map(|(object, version)| {
        let stack = Arc::clone(&stack);
        tokio::spawn(async move { write(&stack, object, version).await })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    Ok(())
}

/// Writes one version after another, says each that is acknowledged, and reads it and others.
async fn write(stack: &Arc<dyn ObjectStore>, object: u64, mut version: u64) -> Result<()> {
    loop {
        version += 1;
        match content(object, version) {
            Some(content) => drop(stack.put(&key(object), content).await?),
            None => stack.delete(&key(object)).await?,
        }
        writeln!(std::io::stdout(), "{object} {version}")?;
        if found(stack, object).await? != content(object, version).map(|_| version) {
            return Err(format!("{}: not what was just written", key(object)).into());
        }
        // Another one's object may be of any version, and must be whole.
        found(stack, (object + version) % OBJECTS).await?;
    }
}

/// The version of an object that is there.
///
/// # Errors
/// If its bytes are no version's.
async fn found(stack: &Arc<dyn ObjectStore>, object: u64) -> Result<Option<u64>> {
    let mut asked = 0;
    loop {
        match stack.get_bytes(&key(object), 1 << 20).await {
            Ok(bytes) => {
                return match version_of(object, &bytes) {
                    Some(version) => Ok(Some(version)),
                    None => Err(format!("{}: bytes that nobody wrote", key(object)).into()),
                };
            }
            Err(e) if e.is_not_found() => return Ok(None),
            // A connection broke, and before the get could go on another version took the place of
            // the one that it had begun with.
            Err(e) if e.is_transient() && asked < 20 => asked += 1,
            Err(e) => return Err(e.into()),
        }
    }
}

/// Brief errors before operations, and connections that break in a body.
fn faults(one_in: u64) -> Faults {
    let faults = Faults::seeded(u64::from(std::process::id()));
    for operation in [
        Operation::Get,
        Operation::Put,
        Operation::Head,
        Operation::Delete,
    ] {
        faults.add(
            Fault::error(ErrorClass::Transient)
                .on(operation)
                .one_in(one_in)
                .always(),
        );
    }
    faults.add(Fault::cut(1000).on(Operation::Get).one_in(one_in).always());
    faults
}
