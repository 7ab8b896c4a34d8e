//! What a child process is to do, as its command line.

use std::path::PathBuf;
use std::str::FromStr;

use crate::stores::{Kind, Size, names};

names! {
    /// From when on the shim injects errors.
    Arm {
        /// Never.
        Never = "never",
        /// Before the store is opened.
        Open = "open",
        /// Once it is open and has been read.
        Load = "load",
        /// When it is closed.
        Close = "close",
    }
}

macro_rules! spec {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr,)*) => {
        /// One life of a store: open, read all, write, close or die.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Spec {$(
            $(#[$doc])*
            pub $name: $type,
        )*}

        impl Default for Spec {
            fn default() -> Self {
                Self {$($name: $default,)*}
            }
        }

        impl Spec {
            /// The command line.
            #[must_use]
            pub fn to_args(&self) -> Vec<String> {
                vec![$(format!("{}={}", stringify!($name), Text::to_text(&self.$name))),*]
            }

            /// Takes it from a command line.
            ///
            /// # Errors
            /// Says which argument cannot be read.
            pub fn from_args(args: impl Iterator<Item = String>) -> Result<Self, String> {
                let mut spec = Self::default();
                for arg in args {
                    let (name, value) = arg.split_once('=').ok_or_else(|| format!("{arg:?} has no '='"))?;
                    match name {
                        $(stringify!($name) => spec.$name = Text::from_text(value).map_err(|e| format!("{name}: {e}"))?,)*
                        _ => return Err(format!("there is no argument {name:?}")),
                    }
                }
                Ok(spec)
            }
        }
    };
}

spec! {
    /// The store.
    store: Kind = Kind::Flatfs,
    /// Its sizes.
    size: Size = Size::Tiny,
    /// Its directory.
    dir: PathBuf = PathBuf::new(),
    /// What the writes follow from.
    seed: u64 = 0,
    /// The number of the first write.
    first: u64 = 1,
    /// How many writes; without end if `None`.
    ops: Option<u64> = Some(0),
    /// How many writers write at the same time.
    writers: u64 = 8,
    /// How many keys each writer has.
    keys: u64 = 16,
    /// Whether a store that has lost something is opened all the same.
    salvage: bool = false,
    /// Whether all is read after opening.
    read: bool = true,
    /// Whether the store checks itself after opening.
    check: bool = false,
    /// Whether errors of the system are to be expected.
    errors: bool = false,
    /// From when on they are injected.
    arm: Arm = Arm::Never,
    /// How many file descriptors are left from then on.
    spare: Option<u64> = None,
    /// Whether reads must succeed all the same: errors are of writes alone.
    must_read: bool = false,
    /// Whether there are writes with conditions.
    conditions: bool = true,
    /// The process' limit on file descriptors.
    descriptors: Option<u64> = None,
    /// How long a writer waits after each write, in milliseconds.
    pause: u64 = 0,
    /// How many writes there are once errors and limits are gone.
    after: u64 = 0,
    /// Whether all is deleted at the end.
    clear: bool = false,
    /// How long the store is left alone at the end, in milliseconds.
    linger: u64 = 0,
    /// Whether the store is closed at the end; the process kills itself otherwise.
    close: bool = true,
}

/// A value as text.
trait Text: Sized {
    fn to_text(&self) -> String;
    fn from_text(text: &str) -> Result<Self, String>;
}

macro_rules! plain {
    ($($type:ty),*) => {$(
        impl Text for $type {
            fn to_text(&self) -> String {
                self.to_string()
            }

            fn from_text(text: &str) -> Result<Self, String> {
                <$type>::from_str(text).map_err(|e| e.to_string())
            }
        }
    )*};
}

plain!(u64, bool, Kind, Size, Arm);

impl Text for Option<u64> {
    fn to_text(&self) -> String {
        self.map_or_else(|| "none".to_owned(), |value| value.to_string())
    }

    fn from_text(text: &str) -> Result<Self, String> {
        if text == "none" {
            Ok(None)
        } else {
            u64::from_text(text).map(Some)
        }
    }
}

impl Text for PathBuf {
    fn to_text(&self) -> String {
        self.to_string_lossy().into_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_survives_the_command_line() {
        let spec = Spec {
            dir: "/tmp/a b".into(),
            ops: None,
            spare: Some(3),
            arm: Arm::Open,
            errors: true,
            ..Spec::default()
        };
        assert_eq!(Spec::from_args(spec.to_args().into_iter()), Ok(spec));
        assert!(
            Spec::from_args(["store=nothing".to_owned()].into_iter())
                .unwrap_err()
                .contains("flatfs")
        );
    }
}
