//! A compressed body, gathered until its size is known.

use std::fs::File;
use std::io::{self, Seek, Write};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{Body, Result};
use zstd::bulk::Compressor;

use super::format::Table;
use super::options::CompressedOptions;

pub(super) struct Spool {
    compressor: Compressor<'static>,
    options: CompressedOptions,
    table: Table,
    /// What was gathered and is not in the file.
    memory: BytesMut,
    file: Option<File>,
    /// All that was gathered, in bytes.
    stored: u64,
    size: u64,
}

impl Spool {
    pub(super) fn new(options: &CompressedOptions) -> io::Result<Self> {
        Ok(Self {
            compressor: Compressor::new(options.level)?,
            options: options.clone(),
            table: Table::default(),
            memory: BytesMut::new(),
            file: None,
            stored: 0,
            size: 0,
        })
    }

    /// Adds content: whole frames, unless it is the last.
    pub(super) fn write(&mut self, content: &[u8]) -> io::Result<()> {
        for frame in content.chunks(self.options.frame_size as usize) {
            let compressed = self.compressor.compress(frame)?;
            let as_it_is = compressed.len() >= frame.len();
            let stored = if as_it_is { frame } else { &compressed };
            // At most 1 MiB.
            self.table.push(stored.len() as u32, as_it_is);
            self.memory.extend_from_slice(stored);
            self.stored += stored.len() as u64;
        }
        self.size += content.len() as u64;
        if self.file.is_some() || self.memory.len() > self.options.memory {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = match &self.options.spool_dir {
                    Some(dir) => tempfile::tempfile_in(dir)?,
                    None => tempfile::tempfile()?,
                };
                none.insert(file)
            }
        };
        file.write_all(&self.memory)?;
        self.memory.clear();
        Ok(())
    }

    /// The whole object, for the inner store.
    pub(super) fn finish(mut self) -> io::Result<Finished> {
        let Some(mut file) = self.file.take() else {
            return Ok(Finished::Memory(self.finish_in_memory()));
        };
        file.rewind()?;
        let stored = self.stored;
        let head = self.finish_in_memory();
        Ok(Finished::File {
            size: head.len() as u64 + stored,
            head,
            file,
        })
    }

    /// Header, table, and what is not in the file.
    pub(super) fn finish_in_memory(self) -> Bytes {
        let log = self.options.frame_size.trailing_zeros() as u8;
        let mut all = self.table.finish(self.size, log);
        all.extend_from_slice(&self.memory);
        all.freeze()
    }
}

/// A whole object.
pub(super) enum Finished {
    Memory(Bytes),
    File { head: Bytes, file: File, size: u64 },
}

impl Finished {
    pub(super) fn into_body(self) -> Result<Body> {
        match self {
            Self::Memory(bytes) => Ok(bytes.into()),
            Self::File { head, file, size } => {
                let pieces = stream::iter([Ok(head)]).chain(Body::from_file(file)?);
                Ok(Body::from_stream(pieces).with_size(size))
            }
        }
    }
}
