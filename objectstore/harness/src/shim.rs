//! The library that makes system calls fail, `shim/inject.c`: built when it is needed, preloaded
//! into a child, ruled through a file that both have open.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::stores::names;
use crate::unsynced::Unsynced;

/// The environment variable that names the control file.
pub(crate) const CONTROL: &str = "STOREHOUSE_HARNESS_CONTROL";

/// The environment variable that names the file of what is not synced.
const UNDO: &str = "STOREHOUSE_HARNESS_UNDO";

/// The environment variable that names the directory below which calls fail.
const DIRECTORY: &str = "STOREHOUSE_HARNESS_DIR";

/// `struct control`: numbers of 64 bits, a path of 256 bytes, and 16 bits for each traced call.
const NUMBERS: usize = 11;
const PATH: usize = 256;
const TRACED: usize = 200_000;
const SIZE: usize = NUMBERS * 8 + PATH + TRACED * 2;

names! {
    /// What a call fails with.
    Fault {
        /// The device fails.
        Eio = "EIO",
        /// The disk is full.
        Enospc = "ENOSPC",
        /// The process has too many files open.
        Emfile = "EMFILE",
        /// The system has too many files open.
        Enfile = "ENFILE",
        /// A signal came.
        Eintr = "EINTR",
        /// There is no memory.
        Enomem = "ENOMEM",
        /// Half the bytes are transferred.
        Short = "short",
        /// The process is killed.
        Kill = "kill",
    }
}

names! {
    /// The kinds of calls.
    Class {
        /// `open` and the like, with `creat` and `opendir`.
        Open = "open",
        /// `read`, `pread`, `readv` and the like.
        Read = "read",
        /// `write`, `pwrite`, `writev` and the like.
        Write = "write",
        /// `fsync`, `fdatasync`, `syncfs`, `sync_file_range`.
        Sync = "sync",
        /// `rename` and the like.
        Rename = "rename",
        /// `link`, `linkat`.
        Link = "link",
        /// `unlink`, `unlinkat`, `rmdir`.
        Unlink = "unlink",
        /// `ftruncate`, `fallocate`.
        Truncate = "truncate",
        /// `mmap` of a file.
        Mmap = "mmap",
        /// `mkdir`, `mkdirat`.
        Mkdir = "mkdir",
    }
}

/// Which calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// None; they are counted.
    Never,
    /// The call of this number, from 1 on.
    Nth(u64),
    /// The call of this number and all that follow.
    FromNth(u64),
    /// This number of calls in a million, at random.
    Rate(u64),
    /// None, but syncs do nothing.
    SyncsLie,
}

/// What the shim does.
#[derive(Clone, Debug)]
pub struct Injection {
    /// Which calls fail.
    pub when: When,
    /// Of which kinds.
    pub classes: Vec<Class>,
    /// With what; with anything that fits the call if `None`. A call that it does not fit goes on.
    pub fault: Option<Fault>,
    /// What the choice at random follows from.
    pub seed: u64,
}

/// What the shim did.
#[derive(Clone, Debug, Default)]
pub struct Injected {
    /// Calls while it was armed.
    pub calls: u64,
    /// The number of those that failed.
    pub failed: u64,
    /// The first that did: kind, error and path.
    pub first: Option<String>,
    /// What each of the calls, the first 200,000 of them, may fail with.
    pub trace: Vec<Call>,
}

/// A call that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    class: u8,
    fits: u8,
}

/// The built shim with its control file.
#[derive(Debug)]
pub struct Shim {
    library: PathBuf,
    path: PathBuf,
    control: File,
    /// What a power cut would take, if that is noted.
    unsynced: Option<PathBuf>,
}

impl Fault {
    const fn number(self) -> u64 {
        match self {
            Self::Eio => 5,
            Self::Enospc => 28,
            Self::Emfile => 24,
            Self::Enfile => 23,
            Self::Eintr => 4,
            Self::Enomem => 12,
            Self::Short => 0x10000,
            Self::Kill => 0x20000,
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Eio => 1,
            Self::Enospc => 2,
            Self::Emfile => 4,
            Self::Enfile => 8,
            Self::Eintr => 16,
            Self::Short => 32,
            Self::Enomem => 64,
            Self::Kill => 128,
        }
    }
}

impl Class {
    const fn number(self) -> u8 {
        self as u8 + 1
    }
}

impl Call {
    /// What it may fail with.
    pub fn faults(self) -> impl Iterator<Item = Fault> {
        Fault::ALL
            .iter()
            .copied()
            .filter(move |fault| self.fits & fault.bit() != 0)
    }

    /// Its kind.
    #[must_use]
    pub fn class(self) -> Option<Class> {
        Class::ALL
            .iter()
            .copied()
            .find(|class| class.number() == self.class)
    }
}

impl Default for Injection {
    fn default() -> Self {
        Self {
            when: When::Never,
            classes: Class::ALL.to_vec(),
            fault: None,
            seed: 0,
        }
    }
}

impl Shim {
    /// Builds it in a directory, with the C compiler `cc`.
    ///
    /// # Errors
    /// If that fails.
    pub fn build(dir: &Path) -> io::Result<Self> {
        let (source, library) = (dir.join("inject.c"), dir.join("inject.so"));
        fs::write(&source, include_str!("../shim/inject.c"))?;
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status()?;
        if !status.success() {
            return Err(io::Error::other(format!(
                "cc cannot build the shim: {status}"
            )));
        }
        let path = dir.join("control");
        let control = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        control.set_len(SIZE as u64)?;
        Ok(Self {
            library,
            path,
            control,
            unsynced: None,
        })
    }

    /// Sets what the next child meets, once it arms the shim.
    ///
    /// # Errors
    /// If the control file cannot be written.
    pub fn set(&self, injection: &Injection) -> io::Result<()> {
        let (mode, nth, rate) = match injection.when {
            When::Never => (0, 0, 0),
            When::Nth(nth) => (1, nth, 0),
            When::FromNth(nth) => (2, nth, 0),
            When::Rate(rate) => (3, 0, rate),
            When::SyncsLie => (4, 0, 0),
        };
        let classes = injection
            .classes
            .iter()
            .fold(0, |bits, class| bits | 1_u64 << class.number());
        let error = injection.fault.map_or(0, Fault::number);
        let numbers = [
            0,
            mode,
            classes,
            nth,
            error,
            rate,
            injection.seed,
            0,
            0,
            0,
            0_u64,
        ];
        let mut bytes: Vec<u8> = numbers
            .iter()
            .flat_map(|number| number.to_ne_bytes())
            .collect();
        bytes.resize(NUMBERS * 8 + PATH, 0);
        self.control.write_all_at(&bytes, 0)
    }

    /// What became of it.
    ///
    /// # Errors
    /// If the control file cannot be read.
    pub fn injected(&self) -> io::Result<Injected> {
        let mut bytes = vec![0; SIZE];
        self.control.read_exact_at(&mut bytes, 0)?;
        let number = |at: usize| {
            bytes[at * 8..]
                .first_chunk()
                .map_or(0, |number| u64::from_ne_bytes(*number))
        };
        let (calls, failed) = (number(7), number(8));
        let path = &bytes[NUMBERS * 8..NUMBERS * 8 + PATH];
        let path =
            String::from_utf8_lossy(path.split(|byte| *byte == 0).next().unwrap_or_default())
                .into_owned();
        let fault = Fault::ALL.iter().find(|fault| fault.number() == number(10));
        let class = Class::ALL
            .iter()
            .find(|class| u64::from(class.number()) == number(9));
        let first = fault
            .zip(class)
            .map(|(fault, class)| format!("{fault} of {class} at {path}"));
        let traced = bytes[NUMBERS * 8 + PATH..]
            .chunks_exact(2)
            .take(calls as usize);
        let trace = traced
            .map(|call| u16::from_ne_bytes([call[0], call[1]]))
            .map(|call| Call {
                class: (call >> 8) as u8,
                fits: call as u8,
            });
        Ok(Injected {
            calls,
            failed,
            first,
            trace: trace.collect(),
        })
    }

    /// Has the next child note what a power cut would take, from its start on.
    ///
    /// # Errors
    /// If the file for that cannot be made.
    pub(crate) fn note_unsynced(&mut self) -> io::Result<()> {
        let path = self.path.with_extension("unsynced");
        File::create(&path)?;
        self.unsynced = Some(path);
        Ok(())
    }

    /// What it would take.
    pub(crate) fn unsynced(&self) -> io::Result<Unsynced> {
        self.unsynced
            .as_deref()
            .map_or(Ok(Unsynced::default()), Unsynced::read)
    }

    /// Has a child load it.
    pub(crate) fn preload(&self, command: &mut Command, dir: &Path) {
        command
            .env("LD_PRELOAD", &self.library)
            .env(CONTROL, &self.path)
            .env(DIRECTORY, dir);
        if let Some(unsynced) = &self.unsynced {
            command.env(UNDO, unsynced);
        }
    }
}
