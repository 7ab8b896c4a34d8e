//! Reading a batch, receipt by receipt.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use storehouse_formats::Cid;
use storehouse_formats::car::{CarError, CarLimits, CarProblem, CarReader};
use storehouse_formats::ucan::Receipt;

use super::names;
use crate::error::{Error, Result};

/// The frames of a batch, each checked against its hash: an iterator of `Result<Frame>`.
///
/// It reads rotated batches, open ones and damaged ones alike. A frame whose hash is wrong is one
/// error, and the next frame comes after it; any other error, a torn tail too, is the last item.
#[derive(Debug)]
pub struct BatchReader<R> {
    frames: Option<CarReader<BufReader<Hashing<R>>>>,
    cid: Option<Cid>,
}

/// A reader and the hash of all that was read from it.
#[derive(Debug)]
struct Hashing<R> {
    reader: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

/// A frame of a batch: one receipt's archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The CID of the archive.
    pub cid: Cid,
    /// Where the frame begins in the batch, in bytes.
    pub offset: u64,
    /// The archive, which [`Journal::append`](super::Journal::append) takes.
    pub archive: Bytes,
}

impl<R: Read> BatchReader<R> {
    /// Reads the batch's header.
    ///
    /// # Errors
    /// [`Error::Car`] if it is no CAR version 1 without roots.
    ///
    /// ```
    /// use storehouse_local::journal::BatchReader;
    ///
    /// let batch = std::fs::File::open("tests/vectors/journal/egress.car.wip")?;
    /// assert!(BatchReader::new(batch)?.all(|frame| frame.is_ok()));
    /// assert!(BatchReader::new(&b"something else"[..]).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(batch: R) -> Result<Self> {
        let limits = CarLimits::default().blocks(usize::MAX);
        let batch = Hashing {
            reader: batch,
            hash: Sha256::new(),
        };
        let frames = CarReader::new(BufReader::with_capacity(256 << 10, batch), limits)
            .map_err(|e| broken("the batch's header", e))?;
        if !frames.roots().is_empty() {
            let problem = CarProblem::Root("a batch has no roots");
            return Err(broken(
                "the batch's header",
                CarError { offset: 0, problem },
            ));
        }
        Ok(Self {
            frames: Some(frames),
            cid: None,
        })
    }

    /// The CID of the batch as it was read, once the iteration has come to the end of the data: a
    /// rotated batch is named by it.
    ///
    /// ```
    /// use storehouse_local::journal::BatchReader;
    ///
    /// let batch = std::fs::File::open("tests/vectors/journal/egress.car.wip")?;
    /// let mut frames = BatchReader::new(batch)?;
    /// assert!(frames.cid().is_none());
    /// frames.by_ref().for_each(drop);
    /// assert!(frames.cid().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cid(&self) -> Option<Cid> {
        self.cid.clone()
    }
}

impl<R: Read> Iterator for BatchReader<R> {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        let frames = self.frames.as_mut()?;
        let offset = frames.offset();
        match frames.next_block() {
            Ok(Some(block)) if names::is_car(&block.cid) => Some(Ok(Frame {
                cid: block.cid,
                offset,
                archive: block.data.into(),
            })),
            Ok(Some(_)) => Some(Err(broken(
                "a frame",
                CarError {
                    offset,
                    problem: CarProblem::Cid,
                },
            ))),
            Ok(None) => {
                self.cid = Some(names::cid(
                    frames.get_ref().get_ref().hash.clone().finalize().into(),
                ));
                self.frames = None;
                None
            }
            Err(e) => {
                if !matches!(e.problem, CarProblem::Hash { .. }) {
                    self.frames = None;
                }
                Some(Err(broken("a frame", e)))
            }
        }
    }
}

impl Frame {
    /// The receipt in this frame. Every block of its archive is hashed; signatures are not checked.
    ///
    /// # Errors
    /// [`Error::Receipt`] if the archive is broken or has no receipt.
    ///
    /// ```
    /// use storehouse_local::journal::BatchReader;
    ///
    /// let batch = std::fs::File::open("tests/vectors/journal/egress.car.wip")?;
    /// for frame in BatchReader::new(batch)? {
    ///     let receipt = frame?.receipt()?;
    ///     assert!(receipt.blocks().any(|block| block.cid == receipt.cid()));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn receipt(&self) -> Result<Receipt> {
        Receipt::decode(self.archive.clone()).map_err(|source| Error::Receipt {
            cid: self.cid.clone(),
            source: Arc::new(source),
        })
    }
}

fn broken(context: &str, source: CarError) -> Error {
    Error::Car {
        context: context.into(),
        source,
    }
}
