//! Whether listings of several stores can be merged.

use storehouse_objectstore::{Error, Key, ListOrder, Result};

/// Keys that stores with an order by path are likely to order differently.
const PROBES: [&str; 12] = [
    "a", "a-b", "a/b", "ab", "b", "aa11", "ab00", "ba11", "zz9", "b/aa", "key-1", "key-21",
];

/// Checks that stores list in one order, as far as it shows: orders by path are functions, which
/// are compared on a few keys.
///
/// # Errors
/// [`Error::Config`] about `setting`.
pub(crate) fn same_order(setting: &'static str, a: &ListOrder, b: &ListOrder) -> Result<()> {
    let sorted = |order: &ListOrder| -> Vec<Key> {
        let mut keys: Vec<_> = PROBES
            .iter()
            .filter_map(|text| Key::new(text).ok())
            .collect();
        keys.sort_by(|a, b| order.compare(a, b));
        keys
    };
    if a.is_by_key() == b.is_by_key() && sorted(a) == sorted(b) {
        return Ok(());
    }
    Err(Error::config(
        setting,
        "the stores list in different orders, so no listing of both can be in order",
    ))
}
