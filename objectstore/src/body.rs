//! Bodies: the bytes of an object on their way in or out.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::{BoxError, Error, Result, file};

/// The largest piece that a body in memory is streamed in, in bytes. Streaming it takes no copy.
const PIECE: usize = 1024 * 1024;

/// How much is read at once from an [`AsyncRead`], in bytes.
const READER_PIECE: usize = 256 * 1024;

/// The bytes of an object, on their way into a store or out of it: a [`Stream`] of [`Bytes`].
///
/// In: made from bytes, a stream, a reader or a file. Out: consumed as a stream, as an
/// [`AsyncRead`] ([`Body::into_reader`]) or collected up to a limit ([`Body::collect`]). A body
/// that came out of one store can go into another as it is.
///
/// A body that fails gives one `Err` and then ends. A body that ends without an error is whole.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use futures_util::stream;
/// use storehouse_objectstore::Body;
///
/// assert_eq!(Body::empty().size(), Some(0));
/// assert_eq!(Body::from("hello").as_bytes().unwrap(), "hello");
///
/// let pieces = [Ok::<_, std::io::Error>(bytes::Bytes::from("hel")), Ok("lo".into())];
/// let body = Body::from_stream(stream::iter(pieces)).with_size(5);
/// assert_eq!(body.size(), Some(5));
/// assert_eq!(body.collect(1024).await?, "hello"); // at most 1 KiB
///
/// let file = tempfile::NamedTempFile::new().unwrap();
/// std::fs::write(file.path(), "from a file").unwrap();
/// assert_eq!(Body::from_path(file.path()).await?.size(), Some(11));
/// let mut reader = Body::from_file(file.reopen().unwrap())?.into_reader();
/// let mut text = String::new();
/// tokio::io::AsyncReadExt::read_to_string(&mut reader, &mut text).await.unwrap();
/// assert_eq!(text, "from a file");
/// # Ok::<(), storehouse_objectstore::Error>(())
/// # }).unwrap();
/// ```
pub struct Body {
    source: BodySource,
    size: Option<u64>,
    again: Option<Again>,
}

/// Makes a body anew, from its start.
type Again = Arc<dyn Fn() -> Body + Send + Sync>;

enum BodySource {
    Memory(Bytes),
    Stream(BoxStream<'static, Result<Bytes>>),
}

impl Body {
    /// No bytes at all.
    #[must_use]
    pub fn empty() -> Self {
        Bytes::new().into()
    }

    /// A body of what `stream` gives, in order. Its size is unknown: declare it in
    /// [`PutOptions::size`](crate::PutOptions::size) or by [`Body::with_size`]. Empty pieces are
    /// passed over by stores.
    pub fn from_stream<S, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self {
            source: BodySource::Stream(stream.map_err(|e| from_source(e.into())).boxed()),
            size: None,
            again: None,
        }
    }

    /// A body of what `reader` gives until its end. Its size is unknown, as with
    /// [`Body::from_stream`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_objectstore::Body;
    ///
    /// let body = Body::from_reader(&b"hello"[..]); // any `AsyncRead`
    /// assert_eq!(body.size(), None);
    /// assert_eq!(body.collect(1024).await?, "hello");
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn from_reader<R: AsyncRead + Send + 'static>(reader: R) -> Self {
        Self::from_stream(ReaderStream::with_capacity(reader, READER_PIECE))
    }

    /// A body of the file at `path`, from its start to its end, read off the async threads. Its
    /// size is the file's when it was opened; should the file change while it is read, the put
    /// fails and stores nothing.
    ///
    /// # Errors
    /// [`Error::Body`] if it cannot be opened or is not a regular file.
    pub async fn from_path(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        file::off_thread(move || File::open(&path).and_then(Self::of_file))
            .await
            .map_err(|e| from_source(e.into()))
    }

    /// The same for a file that is open already, read from its current position. Blocks for one
    /// `fstat`.
    ///
    /// # Errors
    /// [`Error::Body`] if it is not a regular file.
    pub fn from_file(file: File) -> Result<Self> {
        Self::of_file(file).map_err(|e| from_source(e.into()))
    }

    fn of_file(file: File) -> io::Result<Self> {
        let file = file::FilePart::rest_of(file)?;
        let body = move || Self::from_stream(file.pieces()).with_size(file.len());
        let first = body();
        Ok(Self {
            again: Some(Arc::new(body)),
            ..first
        })
    }

    /// The same body with its size, in bytes, said beforehand. A store takes it as the declared
    /// size.
    #[must_use]
    pub fn with_size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    /// How many bytes this body will still give, if that is known. For a body made from a stream or
    /// a reader it is what [`Body::with_size`] promised, less what was read since.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// All of the body that is left, if it lies in memory already.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match &self.source {
            BodySource::Memory(bytes) => Some(bytes),
            BodySource::Stream(_) => None,
        }
    }

    /// Another body of the same bytes, if this one can be had again: bytes in memory, or a file of
    /// which nothing was read yet. For layers that repeat a put.
    ///
    /// ```
    /// use storehouse_objectstore::Body;
    ///
    /// assert!(Body::from("content").again().is_some());
    /// let once = Body::from_reader(&b"content"[..]);
    /// assert!(once.again().is_none());
    /// ```
    #[must_use]
    pub fn again(&self) -> Option<Self> {
        let body = match (&self.source, &self.again) {
            (BodySource::Memory(bytes), _) => bytes.clone().into(),
            (BodySource::Stream(_), Some(again)) => Self {
                again: Some(Arc::clone(again)),
                ..again()
            },
            (BodySource::Stream(_), None) => return None,
        };
        Some(Self {
            size: self.size,
            ..body
        })
    }

    /// The body as an [`AsyncRead`]. A body's error becomes an [`io::Error`] that has it as its
    /// source.
    pub fn into_reader(self) -> impl AsyncRead + Send + Unpin + 'static {
        StreamReader::new(self.map_err(io::Error::other))
    }

    /// The whole body in memory; without a copy if it was one piece.
    ///
    /// # Errors
    /// [`Error::CollectLimit`] as soon as more than `limit` bytes (inclusive) are known to be
    /// there, before they are held; whatever the body fails with.
    pub async fn collect(mut self, limit: u64) -> Result<Bytes> {
        let fits = |len: u64| {
            if len > limit {
                Err(Error::CollectLimit { limit })
            } else {
                Ok(())
            }
        };
        fits(self.size.unwrap_or(0))?;
        if let BodySource::Memory(bytes) = self.source {
            return Ok(bytes);
        }
        let mut first = Bytes::new();
        while first.is_empty() {
            match self.try_next().await? {
                Some(piece) => first = piece,
                None => return Ok(first),
            }
        }
        fits(first.len() as u64)?;
        let mut all: Option<BytesMut> = None;
        while let Some(piece) = self.try_next().await? {
            let so_far = all.as_ref().map_or(first.len(), BytesMut::len);
            fits(so_far as u64 + piece.len() as u64)?;
            all.get_or_insert_with(|| BytesMut::from(first.as_ref()))
                .extend_from_slice(&piece);
        }
        Ok(all.map_or(first, BytesMut::freeze))
    }
}

/// An error of the body's source; one of this crate passes as it is (a body from one store going
/// into another).
fn from_source(source: BoxError) -> Error {
    match source.downcast::<Error>() {
        Ok(error) => *error,
        Err(source) => Error::Body { key: None, source },
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self {
            size: Some(bytes.len() as u64),
            source: BodySource::Memory(bytes),
            again: None,
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl Stream for Body {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let piece = match &mut this.source {
            BodySource::Memory(bytes) if bytes.is_empty() => return Poll::Ready(None),
            BodySource::Memory(bytes) => Ok(bytes.split_to(bytes.len().min(PIECE))),
            BodySource::Stream(stream) => match stream.poll_next_unpin(cx) {
                Poll::Ready(Some(piece)) => {
                    this.again = None;
                    piece
                }
                Poll::Ready(None) => {
                    // Polled again, many a stream would panic.
                    *this = Self::empty();
                    return Poll::Ready(None);
                }
                Poll::Pending => return Poll::Pending,
            },
        };
        match &piece {
            Ok(piece) => {
                this.size = this
                    .size
                    .map(|size| size.saturating_sub(piece.len() as u64))
            }
            // An error is the last item, whatever the source would do if it were polled again.
            Err(_) => *this = Self::empty(),
        }
        Poll::Ready(Some(piece))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the content: it is other people's data and may be gigabytes.
        f.debug_struct("Body")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
