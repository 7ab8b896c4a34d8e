//! Which store, at which sizes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::journal::JournalStore;
use super::keystore::Keys;
use super::objects::Objects;
use super::{Store, op::tell};
use storehouse_local::journal::JournalOptions;

use storehouse_fjall::{Fjall, FjallOptions};
use storehouse_flatfs::{FlatFs, FlatFsOptions, SystemCalls};
use storehouse_fs::{Fs, FsOptions};
use storehouse_redb::{Redb, RedbOptions};

macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type {$(
            $(#[$variant_doc])*
            $variant,
        )*}

        impl $type {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {$(Self::$variant => $name),*})
            }
        }

        impl std::str::FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let known = [$($name),*].join(", ");
                match text {
                    $($name => Ok(Self::$variant),)*
                    _ => Err(format!("{text:?} is none of: {known}")),
                }
            }
        }
    };
}
pub(crate) use names;

names! {
    /// A store under test.
    Kind {
        /// Records in a fjall database.
        Fjall = "fjall",
        /// Records in a redb database.
        Redb = "redb",
        /// One file an object, by Linux's own system calls.
        Flatfs = "flatfs",
        /// The same with the log of small puts.
        FlatfsLog = "flatfs-log",
        /// Without the log, by POSIX calls alone.
        FlatfsPortable = "flatfs-portable",
        /// A plain directory, with keys under each other.
        Fs = "fs",
        /// Keys in files.
        Keystore = "keystore",
        /// The journal of receipts.
        Journal = "journal",
    }
}

names! {
    /// The sizes of a store's buffers, and of what is put into it.
    Size {
        /// Buffers so small that few writes go through all that a store does.
        Tiny = "tiny",
        /// The defaults.
        Production = "production",
    }
}

impl Kind {
    /// Opens a store in a directory, which is made if it is not there; with `salvage` also one that
    /// has lost something, if the store can be opened so.
    ///
    /// # Errors
    /// The store's own, with its causes.
    pub async fn open(
        self,
        dir: &Path,
        size: Size,
        salvage: bool,
    ) -> Result<Arc<dyn Store>, String> {
        let flatfs = async |options| {
            let store = FlatFs::open(dir, options).await.map_err(|e| tell(&e))?;
            Ok(Arc::new(Objects::new(store)) as Arc<dyn Store>)
        };
        match self {
            Self::Flatfs => flatfs(FlatFsOptions::default()).await,
            Self::FlatfsLog => {
                let options = FlatFsOptions::default().log(true);
                flatfs(match size {
                    // So that it is emptied many times in a short life.
                    Size::Tiny => options
                        .log_idle(Duration::from_millis(20))
                        .log_age(Duration::from_millis(50)),
                    Size::Production => options,
                })
                .await
            }
            Self::FlatfsPortable => {
                flatfs(FlatFsOptions::default().system_calls(SystemCalls::Portable)).await
            }
            Self::Fs => {
                let store = Fs::open(dir, FsOptions::default()).await;
                Ok(Arc::new(Objects::new(store.map_err(|e| tell(&e))?)))
            }
            Self::Fjall => {
                let options = FjallOptions::default().salvage(salvage);
                let options = match size {
                    Size::Tiny => options.cache(64 << 10).write_buffer(64 << 10),
                    Size::Production => options,
                };
                let store = Fjall::open(dir, options).await.map_err(|e| tell(&e))?;
                Ok(Arc::new(Objects::new(store)))
            }
            Self::Redb => {
                let options = RedbOptions::default().salvage(salvage);
                let options = match size {
                    Size::Tiny => options.cache(64 << 10).reserve(1 << 20),
                    Size::Production => options,
                };
                let store = Redb::open(dir, options).await.map_err(|e| tell(&e))?;
                Ok(Arc::new(Objects::new(store)))
            }
            Self::Keystore => Ok(Arc::new(Keys::open(dir).await?)),
            Self::Journal => {
                let rotate_at = match size {
                    Size::Tiny => 100_000,
                    Size::Production => JournalOptions::default().rotate_at,
                };
                let options = JournalOptions::default().rotate_at(rotate_at);
                Ok(Arc::new(JournalStore::open(dir, options).await?))
            }
        }
    }

    /// The sizes that objects have, in bytes: each as often as any other.
    #[must_use]
    pub fn object_sizes(self, size: Size) -> &'static [usize] {
        match (self, size) {
            (Self::Fjall | Self::Redb, Size::Tiny) => &[60, 158, 158, 1_000, 4_000, 20_000],
            // Enough to fill buffers of 64 MiB in a few hundred writes.
            (Self::Fjall | Self::Redb, Size::Production) => {
                &[158, 158, 4_000, 100_000, 500_000, 1_000_000]
            }
            (Self::Flatfs | Self::FlatfsLog | Self::FlatfsPortable | Self::Fs, Size::Tiny) => {
                &[60, 158, 4_000]
            }
            // From an inode's own bytes over what goes through the log to what is written in
            // several pieces.
            (
                Self::Flatfs | Self::FlatfsLog | Self::FlatfsPortable | Self::Fs,
                Size::Production,
            ) => &[60, 4_000, 60_000, 66_000, 300_000, 1_200_000],
            (Self::Keystore, Size::Tiny) => &[60, 158],
            (Self::Keystore, Size::Production) => &[60, 4_000, 65_000],
            (Self::Journal, Size::Tiny) => &[60, 158, 4_000],
            (Self::Journal, Size::Production) => &[158, 4_000, 100_000, 1_000_000],
        }
    }
}
