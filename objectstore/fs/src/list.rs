//! List: in one level, or folder by folder.

use std::sync::Arc;

use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use storehouse_engine::files::read_ahead;
use storehouse_objectstore::{Entry, ListOptions, Listed, Result};

use super::directory::Directory;
use super::walk::Walk;

pub(super) fn list(
    directory: Arc<Directory>,
    options: ListOptions,
    names: usize,
) -> BoxStream<'static, Result<Entry>> {
    let walk = Walk::new(directory, options, names, false);
    read_ahead(walk)
        .filter_map(|listed| async {
            match listed {
                Ok(Listed::Object(entry)) => Some(Ok(entry)),
                // Nothing is rolled up.
                Ok(Listed::Prefix(_)) => None,
                Err(e) => Some(Err(e)),
            }
        })
        .boxed()
}

/// The same, with what lies in directories behind the prefix rolled up.
pub(super) fn list_folder(
    directory: Arc<Directory>,
    options: ListOptions,
    names: usize,
) -> BoxStream<'static, Result<Listed>> {
    read_ahead(Walk::new(directory, options, names, true)).boxed()
}
