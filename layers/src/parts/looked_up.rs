//! Listings whose entries have to be looked up one by one.

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, future};
use storehouse_objectstore::Result;

/// How many items are looked up at once.
const LOOK_UPS: usize = 16;

/// What `look_up` makes of the items, in their order, without those of which it makes none; at most
/// `limit` of them.
pub(crate) fn looked_up<T, F>(
    items: BoxStream<'static, Result<T>>,
    limit: usize,
    look_up: impl Fn(T) -> F + Send + 'static,
) -> BoxStream<'static, Result<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<Option<T>>> + Send + 'static,
{
    let found = items.map(move |item| {
        let found = item.map(&look_up);
        async move { found?.await }
    });
    found
        .buffered(LOOK_UPS.min(limit).max(1))
        .filter_map(|item| future::ready(item.transpose()))
        .take(limit)
        .boxed()
}
