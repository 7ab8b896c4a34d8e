//! Options.

use std::path::PathBuf;

/// Options of a [`CompressedStore`](super::CompressedStore). Objects written with others can be
/// read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompressedOptions {
    /// The level of Zstandard: 1 is fast, 19 small, negative ones are faster still. 3 by default.
    pub level: i32,
    /// The content of a frame, in bytes: a power of two from 4 KiB to 1 MiB. 128 KiB by default.
    /// What a small range costs to read, and what a frame can be compressed by.
    pub frame_size: u32,
    /// The most of a compressed body that is gathered in memory, in bytes (inclusive); a larger one
    /// goes to a temporary file. 8 MiB by default.
    pub memory: usize,
    /// The directory of temporary files; the system's by default.
    pub spool_dir: Option<PathBuf>,
    /// How much of an object a range read asks for first, in bytes: 32 at least. 16 KiB by default.
    pub read_first: u64,
}

impl Default for CompressedOptions {
    fn default() -> Self {
        Self {
            level: 3,
            frame_size: 128 * 1024,
            memory: 8 * 1024 * 1024,
            spool_dir: None,
            read_first: 16 * 1024,
        }
    }
}

impl CompressedOptions {
    /// With this level of Zstandard.
    ///
    /// ```
    /// # use storehouse_layers::CompressedOptions;
    /// assert_eq!(CompressedOptions::default().level(9).level, 9);
    /// ```
    #[must_use]
    pub fn level(mut self, level: i32) -> Self {
        self.level = level;
        self
    }

    /// With this content of a frame, in bytes: a power of two from 4 KiB to 1 MiB.
    ///
    /// ```
    /// # use storehouse_layers::CompressedOptions;
    /// assert_eq!(CompressedOptions::default().frame_size(4096).frame_size, 4096);
    /// ```
    #[must_use]
    pub fn frame_size(mut self, bytes: u32) -> Self {
        self.frame_size = bytes;
        self
    }

    /// With at most this much of a compressed body in memory, in bytes (inclusive).
    ///
    /// ```
    /// # use storehouse_layers::CompressedOptions;
    /// assert_eq!(CompressedOptions::default().memory(0).memory, 0);
    /// ```
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// With temporary files in this directory.
    ///
    /// ```
    /// # use storehouse_layers::CompressedOptions;
    /// let options = CompressedOptions::default().spool_dir("/var/tmp");
    /// assert!(options.spool_dir.is_some());
    /// ```
    #[must_use]
    pub fn spool_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.spool_dir = Some(path.into());
        self
    }

    /// With this much of an object in the first read of a range, in bytes.
    ///
    /// ```
    /// # use storehouse_layers::CompressedOptions;
    /// assert_eq!(CompressedOptions::default().read_first(65_536).read_first, 65_536);
    /// ```
    #[must_use]
    pub fn read_first(mut self, bytes: u64) -> Self {
        self.read_first = bytes;
        self
    }
}
