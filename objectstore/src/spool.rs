//! Bodies gathered until their size is known.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};

use crate::{Body, Error, Key, ObjectStore, PutOptions, PutResult, Result, file};

/// How much is gathered before it is written to the file, in bytes.
const BATCH: usize = 512 * 1024;

/// Where a body is gathered.
///
/// ```
/// use storehouse_objectstore::SpoolOptions;
///
/// let options = SpoolOptions::default().memory(64 << 10).dir("/var/tmp");
/// assert_eq!(options.memory, 65_536);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolOptions {
    /// How much of a body is held in memory before it goes to a file, in bytes (inclusive). 1 MiB
    /// by default.
    pub memory: usize,
    /// The directory for that file; the system's one for temporary files if `None`. The file has no
    /// name there, so that nothing of it is left, whatever happens.
    pub dir: Option<PathBuf>,
}

impl Default for SpoolOptions {
    fn default() -> Self {
        Self {
            memory: 1024 * 1024,
            dir: None,
        }
    }
}

impl SpoolOptions {
    /// With this much of a body in memory, in bytes (inclusive).
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// With the file in this directory.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }
}

/// A body that is gathered in memory, or beyond [`SpoolOptions::memory`] in a file without a name,
/// until its size is known.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use storehouse_objectstore::{Spool, SpoolOptions};
///
/// let mut spool = Spool::new(SpoolOptions::default().memory(3));
/// for piece in ["one ", "two"] {
///     spool.push(piece.into()).await?;
/// }
/// let body = spool.finish().await?;
/// assert_eq!(body.size(), Some(7));
/// assert_eq!(body.collect(7).await?, "one two");
/// # Ok::<(), storehouse_objectstore::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Spool {
    options: SpoolOptions,
    file: Option<File>,
    /// What is not in the file.
    pieces: Vec<Bytes>,
    /// The length of `pieces`.
    held: usize,
    size: u64,
}

impl Spool {
    /// An empty one.
    #[must_use]
    pub fn new(options: SpoolOptions) -> Self {
        Self {
            options,
            file: None,
            pieces: Vec::new(),
            held: 0,
            size: 0,
        }
    }

    /// How much was gathered, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// [`Error::Body`] if the file cannot be made or written: a full disk, for one. What was
    /// gathered is of no use then.
    pub async fn push(&mut self, piece: Bytes) -> Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        self.size = self.size.saturating_add(piece.len() as u64);
        self.held += piece.len();
        self.pieces.push(piece);
        let most = match self.file {
            Some(_) => BATCH,
            None => self.options.memory,
        };
        if self.held > most {
            self.write().await.map_err(from_io)?;
        }
        Ok(())
    }

    /// Writes what is held to the file.
    async fn write(&mut self) -> io::Result<()> {
        let pieces = std::mem::take(&mut self.pieces);
        self.held = 0;
        let dir = self.options.dir.clone();
        let file = self.file.take();
        let written = file::off_thread(move || {
            let mut file = match file {
                Some(file) => file,
                None => unnamed(dir)?,
            };
            pieces.iter().try_for_each(|piece| file.write_all(piece))?;
            Ok(file)
        });
        self.file = Some(written.await?);
        Ok(())
    }

    /// All of it, as a body that knows its size.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn finish(mut self) -> Result<Body> {
        if self.file.is_none() {
            return Ok(match <[Bytes; 1]>::try_from(self.pieces) {
                Ok([only]) => only.into(),
                Err(pieces) => Bytes::from(pieces.concat()).into(),
            });
        }
        self.write().await.map_err(from_io)?;
        let Some(mut file) = self.file else {
            return Ok(Body::empty());
        };
        let rewound = file::off_thread(move || {
            file.seek(SeekFrom::Start(0))?;
            Ok(file)
        });
        Body::from_file(rewound.await.map_err(from_io)?)
    }
}

impl Body {
    /// The same body, its size known: gathered first, if it is not.
    ///
    /// # Errors
    /// Those of the body; [`Error::Body`] if the file cannot be made or written.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use storehouse_objectstore::{Body, SpoolOptions};
    ///
    /// let body = Body::from_reader(&b"of some length"[..]);
    /// assert_eq!(body.size(), None);
    /// assert_eq!(body.spooled(SpoolOptions::default()).await?.size(), Some(14));
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn spooled(self, options: SpoolOptions) -> Result<Self> {
        gathered(self, options, None).await
    }
}

/// Stores a body of unknown size, with bounded memory: [`ObjectStoreExt::put_spooled`].
///
/// [`ObjectStoreExt::put_spooled`]: crate::ObjectStoreExt::put_spooled
pub(crate) fn put<'a, S: ObjectStore + ?Sized>(
    store: &'a S,
    key: &'a Key,
    body: Body,
    options: PutOptions,
    spool: SpoolOptions,
) -> BoxFuture<'a, Result<PutResult>> {
    async move {
        let body = match options.size {
            Some(_) => body,
            None => {
                let most = (key, store.capabilities().max_size);
                gathered(body, spool, Some(most)).await?
            }
        };
        store.put_opts(key, body, options).await
    }
    .boxed()
}

async fn gathered(
    mut body: Body,
    options: SpoolOptions,
    most: Option<(&Key, u64)>,
) -> Result<Body> {
    if body.size().is_some() {
        return Ok(body);
    }
    let mut spool = Spool::new(options);
    while let Some(piece) = body.next().await {
        spool.push(piece?).await?;
        if let Some((key, limit)) = most.filter(|(_, limit)| spool.size() > *limit) {
            return Err(Error::TooLarge {
                key: key.clone(),
                limit,
            });
        }
    }
    spool.finish().await
}

fn unnamed(dir: Option<PathBuf>) -> io::Result<File> {
    let dir = dir.unwrap_or_else(std::env::temp_dir);
    tempfile::tempfile_in(&dir)
        .map_err(|e| io::Error::new(e.kind(), format!("no file in {}: {e}", dir.display())))
}

fn from_io(error: io::Error) -> Error {
    Error::Body {
        key: None,
        source: error.into(),
    }
}
