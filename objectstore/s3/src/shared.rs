//! What all clones of a store share.

use std::sync::Arc;

use hyper::header::{HeaderName, HeaderValue};
use tokio::sync::{OnceCell, Semaphore};

use storehouse_objectstore::{Capabilities, Error, Result};

use crate::client::Client;
use crate::options::{Encryption, S3Options};

/// What one permit of [`Shared::parts`] stands for, in bytes.
pub(crate) const PERMIT: u64 = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) client: Arc<Client>,
    pub(crate) capabilities: Capabilities,
    /// Whether it takes them after a chunked body, once that was tried.
    pub(crate) trailers: OnceCell<bool>,
    /// Whether it copies objects, once that was tried.
    pub(crate) copies: OnceCell<bool>,
    /// Whether keys in listings are asked for, and come, percent-encoded.
    pub(crate) decodes: bool,
    pub(crate) part_size: u64,
    /// Larger objects are copied in parts, in bytes.
    pub(crate) single_copy: u64,
    pub(crate) part_memory: u64,
    /// Memory for parts on their way, in units of [`PERMIT`].
    pub(crate) parts: Arc<Semaphore>,
    pub(crate) put_headers: PutHeaders,
}

/// The headers that say how the server keeps an object.
#[derive(Clone, Debug, Default)]
pub(crate) struct PutHeaders {
    pub(crate) encryption: Vec<(HeaderName, HeaderValue)>,
    pub(crate) storage_class: Option<(HeaderName, HeaderValue)>,
}

impl PutHeaders {
    pub(crate) fn new(options: &S3Options) -> Result<Self> {
        let header = |setting, name, text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
            match HeaderValue::from_str(text) {
                Ok(value) if plain => Ok((HeaderName::from_static(name), value)),
                _ => Err(Error::config(
                    setting,
                    "is empty or holds characters that no header has",
                )),
            }
        };
        let mut encryption = Vec::new();
        if let Some(kind) = &options.encryption {
            let (name, key) = match kind {
                Encryption::S3 => ("AES256", None),
                Encryption::Kms { key_id } => ("aws:kms", key_id.as_ref()),
                Encryption::KmsDouble { key_id } => ("aws:kms:dsse", key_id.as_ref()),
            };
            encryption.push(header("sse", "x-amz-server-side-encryption", name)?);
            if let Some(key) = key {
                let name = "x-amz-server-side-encryption-aws-kms-key-id";
                encryption.push(header("sse_kms_key_id", name, key)?);
            }
        }
        let storage_class = options
            .storage_class
            .as_ref()
            .map(|class| header("storage_class", "x-amz-storage-class", class))
            .transpose()?;
        Ok(Self {
            encryption,
            storage_class,
        })
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + '_ {
        self.encryption.iter().chain(&self.storage_class).cloned()
    }
}
