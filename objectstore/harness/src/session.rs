//! Running a child process and comparing what it tells with the model.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::event::Event;
use crate::model::{Found, Model};
use crate::shim::Shim;
use crate::spec::Spec;

/// How the binary is run by hand.
pub const COMMAND: &str = "cargo run -p storehouse-harness --";

/// A child that tells nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(60);

/// When a child ends.
#[derive(Clone, Copy, Debug)]
pub enum End<'a> {
    /// When it has done all.
    ByItself,
    /// By SIGKILL, this long after its start.
    KilledAfter(Duration),
    /// By SIGKILL, this long after it opened the store and read it.
    KilledInLoad(Duration),
    /// By the shim, or when it has done all.
    ByShim,
    /// By a power cut, this long after its start.
    CutAfter(Duration, &'a Cut),
    /// By a power cut, this long after it opened the store and read it.
    CutInLoad(Duration, &'a Cut),
}

impl End<'_> {
    fn cut(&self) -> Option<&Cut> {
        match self {
            Self::CutAfter(_, cut) | Self::CutInLoad(_, cut) => Some(cut),
            _ => None,
        }
    }
}

/// A file system whose power is cut, by a script: `SCRIPT cut MOUNT` makes the kernel forget all
/// that is not on the disk, `SCRIPT remount MOUNT` mounts it again.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The script.
    pub script: PathBuf,
    /// Where the file system is mounted.
    pub mount: PathBuf,
}

impl Cut {
    /// Runs the script.
    ///
    /// # Errors
    /// If it fails.
    pub fn run(&self, what: &str) -> io::Result<()> {
        let status = Command::new(&self.script)
            .arg(what)
            .arg(&self.mount)
            .status()?;
        if status.success() {
            return Ok(());
        }
        let script = self.script.display();
        Err(io::Error::other(format!("{script} {what}: {status}")))
    }
}

/// What came of a child.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What must not be. Empty if all is well.
    pub wrong: Vec<String>,
    /// Writes that were acknowledged.
    pub done: u64,
    /// Writes that failed, and those of them after errors and limits were gone.
    pub failed: u64,
    /// Writes that failed although no error was to be expected any more.
    pub failed_after: u64,
    /// An error of theirs.
    pub failure: Option<String>,
    /// Whether the last write failed, after errors and limits were gone.
    pub stuck: bool,
    /// An error of the latter.
    pub failure_after: Option<String>,
    /// Whether the store was opened.
    pub opened: bool,
    /// Errors of opening.
    pub open_failures: Vec<String>,
    /// Panics that were caught.
    pub panics: u64,
    /// What the store found damaged.
    pub damage: Vec<String>,
    /// What it took: the most memory, in KiB, file descriptors, and the time to open the store, in
    /// microseconds.
    pub uses: Option<(u64, u64, u64)>,
    /// What was read, if all was.
    pub found: Option<Found>,
    /// The number of the last write that began.
    pub last: u64,
}

/// Starts children.
#[derive(Clone, Debug)]
pub struct Harness {
    exe: PathBuf,
}

impl Harness {
    /// Children are this program, called with `child` and a [`Spec`].
    #[must_use]
    pub fn new(exe: impl Into<PathBuf>) -> Self {
        Self { exe: exe.into() }
    }

    /// Runs one child, and takes what it tells into the model.
    ///
    /// # Errors
    /// If the child cannot be started.
    pub fn run(
        &self,
        spec: &Spec,
        shim: Option<&Shim>,
        end: End<'_>,
        model: &mut Model,
    ) -> io::Result<Report> {
        let errors = tempfile::tempfile()?;
        let mut command = Command::new(&self.exe);
        command
            .arg("child")
            .args(spec.to_args())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone()?);
        if let Some(shim) = shim {
            shim.preload(&mut command, &spec.dir);
        }
        let mut child = command.spawn()?;
        let events = follow(&mut child);
        let mut session = Session {
            spec,
            model,
            report: Report::default(),
            found: Found::default(),
            ended: false,
            relieved: false,
            cut: false,
        };
        let status = session.listen(&mut child, &events, end)?;
        session.judge(status, matches!(end, End::ByItself), errors);
        Ok(session.report)
    }

    /// Opens a store without errors, compares all of it with the model, has it check itself and
    /// writes a little.
    ///
    /// # Errors
    /// If the child cannot be started.
    pub fn verify(&self, spec: &Spec, model: &mut Model) -> io::Result<Report> {
        let ops = Some(3 * spec.writers);
        let spec = Spec {
            check: true,
            ops,
            ..plain(spec)
        };
        self.run(&spec, None, End::ByItself, model)
    }
}

/// The same store without errors or writes.
#[must_use]
pub fn plain(spec: &Spec) -> Spec {
    Spec {
        store: spec.store,
        size: spec.size,
        dir: spec.dir.clone(),
        seed: spec.seed,
        first: spec.first,
        writers: spec.writers,
        keys: spec.keys,
        ..Spec::default()
    }
}

/// The size of all files below a directory, in bytes, and their number.
///
/// # Errors
/// If it cannot be read.
pub fn usage(dir: &Path) -> io::Result<(u64, u64)> {
    let (mut bytes, mut files) = (0, 0);
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            let below = usage(&entry.path())?;
            (bytes, files) = (bytes + below.0, files + below.1);
        } else {
            use std::os::unix::fs::MetadataExt;
            (bytes, files) = (bytes + metadata.blocks() * 512, files + 1);
        }
    }
    Ok((bytes, files))
}

/// The events of a child; the channel ends with them.
fn follow(child: &mut Child) -> Receiver<Event> {
    let (sender, events) = channel();
    if let Some(out) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut lines = BufReader::new(out);
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                // What has no end was cut off by a kill.
                let Some(whole) = line.strip_suffix('\n') else {
                    break;
                };
                let event = Event::parse(whole)
                    .unwrap_or_else(|| Event::Wrong(format!("the child says {whole:?}")));
                if sender.send(event).is_err() {
                    break;
                }
                line.clear();
            }
        });
    }
    events
}

struct Session<'a> {
    spec: &'a Spec,
    model: &'a mut Model,
    report: Report,
    found: Found,
    ended: bool,
    relieved: bool,
    cut: bool,
}

impl Session<'_> {
    /// Takes events until the child is gone.
    fn listen(
        &mut self,
        child: &mut Child,
        events: &Receiver<Event>,
        end: End<'_>,
    ) -> io::Result<ExitStatus> {
        let start = Instant::now();
        let mut kill = match end {
            End::KilledAfter(after) | End::CutAfter(after, _) => Some(start + after),
            _ => None,
        };
        let mut ready = false;
        loop {
            let wait = kill.map_or(SILENCE, |kill| {
                kill.saturating_duration_since(Instant::now())
            });
            match events.recv_timeout(wait) {
                Ok(event) => self.take(event),
                Err(RecvTimeoutError::Disconnected) => return child.wait(),
                Err(RecvTimeoutError::Timeout) => {
                    if kill.is_none() {
                        self.report
                            .wrong
                            .push(format!("the child hangs: no word for {SILENCE:?}"));
                    }
                    if let Some(cut) = end.cut() {
                        while let Ok(event) = events.try_recv() {
                            self.take(event);
                        }
                        self.cut = true;
                        if let Err(e) = cut.run("cut") {
                            child.kill()?;
                            return Err(e);
                        }
                    }
                    child.kill()?;
                    // What is in the pipe was told before.
                    while let Ok(event) = events.recv() {
                        self.take(event);
                    }
                    return child.wait();
                }
            }
            if !ready && self.report.found.is_some() {
                ready = true;
                if let End::KilledInLoad(after) | End::CutInLoad(after, _) = end {
                    kill = Some(Instant::now() + after);
                }
            }
        }
    }

    fn take(&mut self, event: Event) {
        // Without a disk everything fails, and what is acknowledged from then on may be or not: a
        // sync that the kernel gives up for the cut can return as if it had succeeded.
        if self.cut && !matches!(event, Event::Begin(..) | Event::Refused(_)) {
            return;
        }
        let expected = self.spec.errors && !self.relieved;
        let unreadable = expected && !self.spec.must_read;
        let report = &mut self.report;
        match event {
            Event::Open => report.opened = true,
            Event::OpenFailed(error) => {
                if !expected {
                    report
                        .wrong
                        .push(format!("the store cannot be opened: {error}"));
                }
                report.open_failures.push(error);
            }
            Event::Is(key, version) => drop(self.found.objects.insert(key, version)),
            Event::Unreadable(key, error) => {
                if !unreadable {
                    report.wrong.push(format!("{key} cannot be read: {error}"));
                }
                self.found.unreadable.insert(key, error);
            }
            Event::AllRead => {
                report.wrong.extend(self.model.compare(&self.found));
                self.model.settle(&self.found);
                report.found = Some(std::mem::take(&mut self.found));
            }
            Event::NotRead(error) if unreadable => drop(error),
            Event::NotRead(error) => report
                .wrong
                .push(format!("the store cannot be listed: {error}")),
            Event::Damage(damage) => {
                report.wrong.push(format!("the store says: {damage}"));
                report.damage.push(damage);
            }
            Event::Checked => {}
            Event::NotChecked(error) if expected => drop(error),
            Event::NotChecked(error) => report
                .wrong
                .push(format!("the store cannot check itself: {error}")),
            Event::Begin(op, writes) => {
                self.model.begin(op, &writes);
                report.last = report.last.max(op);
            }
            Event::Done(op) => {
                self.model.acknowledge(op);
                report.done += 1;
                report.stuck = false;
            }
            Event::Refused(op) => self.model.refuse(op),
            Event::Failed(op, error) => {
                if !self.spec.errors {
                    report.wrong.push(format!("write {op} failed: {error}"));
                }
                report.failed += 1;
                report.failed_after += u64::from(self.relieved);
                report.stuck = self.relieved;
                if self.relieved {
                    report.failure_after.get_or_insert_with(|| error.clone());
                }
                report.failure.get_or_insert(error);
            }
            Event::Relieved => self.relieved = true,
            Event::Uses(memory, descriptors, time) => {
                report.uses = Some((memory, descriptors, time))
            }
            Event::Wrong(what) => report.wrong.push(what),
            Event::NotClosed(error) if self.spec.errors => drop(error),
            Event::NotClosed(error) => report
                .wrong
                .push(format!("the store cannot be closed: {error}")),
            Event::End => self.ended = true,
        }
    }

    fn judge(&mut self, status: ExitStatus, by_itself: bool, errors: File) {
        use std::io::{Read, Seek};
        use std::os::unix::process::ExitStatusExt;
        let mut said = String::new();
        let mut errors = errors;
        // Best effort: it only explains.
        let _ = errors
            .rewind()
            .and_then(|()| errors.read_to_string(&mut said));
        if said.contains("panicked at") && self.ended {
            // Caught, and answered with an error: by libraries that take damage for a bug of
            // theirs.
            self.report.panics += 1;
        } else if said.contains("panicked at") {
            self.report.wrong.push(format!("a panic: {}", said.trim()));
        } else if self.cut {
            // It ends as it can.
        } else if by_itself && !self.ended {
            self.report.wrong.push(format!(
                "the child ended before its time ({status}): {}",
                said.trim()
            ));
        } else if !by_itself && status.signal() != Some(9) && !self.ended {
            self.report.wrong.push(format!(
                "the child ended by itself ({status}): {}",
                said.trim()
            ));
        }
    }
}
