//! List: each batch is read while the one before is consumed, and no further ahead.

use std::io;
use std::sync::Arc;

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use storehouse_engine::files::failed;
use storehouse_objectstore::{Entry, ListOptions, Listed, Operation, Result};
use tokio::task::JoinHandle;

use super::directory::Directory;
use super::walk::Walk;

pub(super) fn list(
    directory: Arc<Directory>,
    options: ListOptions,
    names: usize,
) -> BoxStream<'static, Result<Entry>> {
    let walk = Walk::new(directory, options, names, false);
    ahead(walk)
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
    ahead(Walk::new(directory, options, names, true)).boxed()
}

fn ahead(walk: Walk) -> impl Stream<Item = Result<Listed>> + Send + 'static {
    stream::unfold(Ahead::Start(Box::new(walk)), Ahead::next).flatten()
}

enum Ahead {
    Start(Box<Walk>),
    Reading(JoinHandle<(Box<Walk>, Result<Vec<Listed>>)>),
    End,
}

type Items = stream::Iter<std::vec::IntoIter<Result<Listed>>>;

impl Ahead {
    fn read(mut walk: Box<Walk>) -> JoinHandle<(Box<Walk>, Result<Vec<Listed>>)> {
        tokio::task::spawn_blocking(move || {
            let batch = walk.next_batch();
            (walk, batch)
        })
    }

    async fn next(self) -> Option<(Items, Self)> {
        let reading = match self {
            Self::Start(walk) if walk.has_ended() => return None,
            Self::Start(walk) => Self::read(walk),
            Self::Reading(reading) => reading,
            Self::End => return None,
        };
        let (batch, next) = match reading.await {
            Ok((walk, Ok(batch))) => {
                let next = if walk.has_ended() {
                    Self::End
                } else {
                    Self::Reading(Self::read(walk))
                };
                (batch.into_iter().map(Ok).collect(), next)
            }
            Ok((_, Err(e))) => (vec![Err(e)], Self::End),
            Err(e) => {
                let source = io::Error::other(e);
                let error = failed(Operation::List, None, "the work was cut off", source);
                (vec![Err(error)], Self::End)
            }
        };
        Some((stream::iter(batch), next))
    }
}
