//! Byte ranges.

use std::fmt;
use std::ops::{
    Bound, Range, RangeBounds, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive,
};

/// Which bytes of an object a get asks for.
///
/// Made from Rust's own ranges of `u64`, from an inclusive pair ([`ByteRange::inclusive`], the form
/// of HTTP and of Piri) or from a suffix length ([`ByteRange::suffix`]). Ranges are exact: see
/// [`ByteRange::resolve`].
///
/// ```
/// use storehouse_objectstore::ByteRange;
///
/// assert_eq!(ByteRange::from(2..5).resolve(10), Some(2..5));
/// assert_eq!(ByteRange::from(2..).resolve(10), Some(2..10));
/// assert_eq!(ByteRange::inclusive(2, Some(4)).resolve(10), Some(2..5));
/// assert_eq!(ByteRange::suffix(3).resolve(10), Some(7..10));
/// assert_eq!(ByteRange::from(2..11).resolve(10), None); // nothing is clamped
/// assert_eq!(ByteRange::from(2..11).clamped().resolve(10), Some(2..10)); // but on request
/// ```
///
/// ```
/// use storehouse_objectstore::ByteRange;
///
/// let range = ByteRange::from(10..20);
/// assert_eq!(range.resolve(100), Some(10..20));
/// assert_eq!(range.resolve(15), None, "exact: it is not wholly there");
/// assert_eq!(range.clamped().resolve(15), Some(10..15));
/// assert_eq!(range.to_http().unwrap(), "bytes=10-19");
/// assert_eq!(range.clamped().within(12).resolve(100), Some(10..12));
///
/// assert!(ByteRange::from(..).is_whole());
/// assert!(ByteRange::suffix(5).clamped().is_clamped_suffix());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteRange {
    form: Form,
    /// Set only on forms that have something to clamp, so that equal ranges compare equal.
    clamped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    Whole,
    From {
        start: u64,
    },
    /// Half open. `end < start` can be asked for and is never satisfiable.
    Bounded {
        start: u64,
        end: u64,
    },
    Suffix {
        len: u64,
    },
}

impl ByteRange {
    /// The whole object, whatever its size; the same as `..`. The only range that an empty object
    /// satisfies.
    pub const WHOLE: Self = Self::exact(Form::Whole);

    const fn exact(form: Form) -> Self {
        Self {
            form,
            clamped: false,
        }
    }

    /// The bytes `first` to `last`, both inclusive; to the object's end without `last`.
    #[must_use]
    pub const fn inclusive(first: u64, last: Option<u64>) -> Self {
        match last {
            // No object has 2^64 bytes, so a range that saturates here is as unsatisfiable as the
            // one asked for.
            Some(last) => Self::exact(Form::Bounded {
                start: first,
                end: last.saturating_add(1),
            }),
            None => Self::exact(Form::From { start: first }),
        }
    }

    /// The last `len` bytes.
    #[must_use]
    pub const fn suffix(len: u64) -> Self {
        Self::exact(Form::Suffix { len })
    }

    /// The same range, cut to what the object has, as HTTP has it (RFC 9110, section 14.1.2): one
    /// that reaches past the end ends there, and a suffix longer than the object is all of it. One
    /// that is empty or starts at or past the end remains unsatisfiable, and so does every clamped
    /// range of an empty object but the whole. For a server that answers a range in one request,
    /// without knowing the size.
    #[must_use]
    pub const fn clamped(self) -> Self {
        Self {
            form: self.form,
            clamped: matches!(self.form, Form::Bounded { .. } | Form::Suffix { .. }),
        }
    }

    /// The range in an object of `size` bytes, half open; `None` if it is not satisfiable: it is
    /// empty, starts at or past the end, or reaches past either end without being
    /// [`ByteRange::clamped`]. [`ByteRange::WHOLE`] is always satisfiable.
    #[must_use]
    pub fn resolve(self, size: u64) -> Option<Range<u64>> {
        let range = match self.form {
            Form::Whole => return Some(0..size),
            Form::From { start } => start..size,
            Form::Bounded { start, end } if self.clamped => start..end.min(size),
            Form::Bounded { start, end } => start..end,
            Form::Suffix { len } if self.clamped => size.saturating_sub(len)..size,
            Form::Suffix { len } => size.checked_sub(len)?..size,
        };
        (range.start < range.end && range.end <= size).then_some(range)
    }

    /// Whether this asks for the whole object in any case, so that no range need be sent to a
    /// server.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.form == Form::Whole
    }

    /// The range as the value of an HTTP `Range` header (RFC 9110, section 14.1.2); `None` for the
    /// whole object and for a range that no object satisfies and that the header cannot say (an
    /// empty one, or one that ends before it starts).
    #[must_use]
    pub fn to_http(self) -> Option<String> {
        match self.form {
            Form::Whole => None,
            Form::From { start } => Some(format!("bytes={start}-")),
            Form::Bounded { start, end } if start < end => {
                Some(format!("bytes={start}-{}", end - 1))
            }
            Form::Bounded { .. } | Form::Suffix { len: 0 } => None,
            Form::Suffix { len } => Some(format!("bytes=-{len}")),
        }
    }

    /// The same range for objects of at most `max` bytes: one that is clamped says no larger number
    /// than it need.
    #[must_use]
    pub fn within(self, max: u64) -> Self {
        let form = match self.form {
            Form::Bounded { start, end } if self.clamped => Form::Bounded {
                start,
                end: end.min(max),
            },
            Form::Suffix { len } if self.clamped => Form::Suffix { len: len.min(max) },
            form => form,
        };
        Self { form, ..self }
    }

    /// Whether this is a suffix that is clamped to the object's size.
    #[must_use]
    pub fn is_clamped_suffix(self) -> bool {
        self.clamped && matches!(self.form, Form::Suffix { .. })
    }

    fn from_bounds(bounds: impl RangeBounds<u64>) -> Self {
        let start = match bounds.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        Self::exact(match bounds.end_bound() {
            Bound::Included(&last) => Form::Bounded {
                start,
                end: last.saturating_add(1),
            },
            Bound::Excluded(&end) => Form::Bounded { start, end },
            Bound::Unbounded => Form::From { start },
        })
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.form {
            Form::Whole => f.write_str("..")?,
            Form::From { start } => write!(f, "{start}..")?,
            Form::Bounded { start, end } => write!(f, "{start}..{end}")?,
            Form::Suffix { len } => write!(f, "the last {len} bytes")?,
        }
        if self.clamped {
            f.write_str(" (clamped)")
        } else {
            Ok(())
        }
    }
}

impl From<RangeFull> for ByteRange {
    fn from(_: RangeFull) -> Self {
        Self::WHOLE
    }
}

macro_rules! from_ranges {
    ($($range:ty),*) => {$(
        impl From<$range> for ByteRange {
            fn from(range: $range) -> Self {
                Self::from_bounds(range)
            }
        }
    )*};
}

from_ranges!(
    Range<u64>,
    RangeFrom<u64>,
    RangeInclusive<u64>,
    RangeTo<u64>,
    RangeToInclusive<u64>
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_at_every_edge() {
        for (range, size, expected) in [
            (ByteRange::from(..), 0, Some(0..0)),
            (ByteRange::from(..), 3, Some(0..3)),
            (ByteRange::from(0..), 0, None),
            (ByteRange::from(0..), 3, Some(0..3)),
            (ByteRange::from(2..), 3, Some(2..3)),
            (ByteRange::from(3..), 3, None),
            (ByteRange::from(u64::MAX..), 3, None),
            (ByteRange::from(0..3), 3, Some(0..3)),
            (ByteRange::from(0..4), 3, None),
            (ByteRange::from(1..1), 3, None),
            #[allow(clippy::reversed_empty_ranges)]
            (ByteRange::from(2..1), 3, None),
            (ByteRange::from(..2), 3, Some(0..2)),
            (ByteRange::from(..0), 3, None),
            (ByteRange::from(1..=2), 3, Some(1..3)),
            (ByteRange::from(1..=3), 3, None),
            (ByteRange::from(..=0), 3, Some(0..1)),
            (ByteRange::from(0..=u64::MAX), 3, None),
            (ByteRange::inclusive(0, None), 3, Some(0..3)),
            (ByteRange::inclusive(0, Some(0)), 3, Some(0..1)),
            (ByteRange::inclusive(2, Some(1)), 3, None),
            (
                ByteRange::inclusive(u64::MAX, Some(u64::MAX)),
                u64::MAX,
                None,
            ),
            (ByteRange::suffix(0), 3, None),
            (ByteRange::suffix(1), 3, Some(2..3)),
            (ByteRange::suffix(3), 3, Some(0..3)),
            (ByteRange::suffix(4), 3, None),
            (ByteRange::suffix(u64::MAX), u64::MAX, Some(0..u64::MAX)),
        ] {
            assert_eq!(range.resolve(size), expected, "{range} of {size}");
        }
    }

    #[test]
    fn every_form_clamped() {
        for (range, size, expected) in [
            (ByteRange::from(..), 0, Some(0..0)),
            (ByteRange::from(0..), 0, None),
            (ByteRange::from(3..), 3, None),
            (ByteRange::from(0..3), 3, Some(0..3)),
            (ByteRange::from(0..4), 3, Some(0..3)),
            (ByteRange::from(2..u64::MAX), 3, Some(2..3)),
            (ByteRange::from(3..4), 3, None),
            (ByteRange::from(0..1), 0, None),
            (ByteRange::from(1..1), 3, None),
            #[allow(clippy::reversed_empty_ranges)]
            (ByteRange::from(2..1), 3, None),
            (ByteRange::from(0..=u64::MAX), 3, Some(0..3)),
            (ByteRange::inclusive(2, Some(1)), 3, None),
            (
                ByteRange::inclusive(u64::MAX, Some(u64::MAX)),
                u64::MAX,
                None,
            ),
            (ByteRange::suffix(0), 3, None),
            (ByteRange::suffix(2), 3, Some(1..3)),
            (ByteRange::suffix(4), 3, Some(0..3)),
            (ByteRange::suffix(u64::MAX), 3, Some(0..3)),
            (ByteRange::suffix(1), 0, None),
        ] {
            assert_eq!(range.clamped().resolve(size), expected, "{range} of {size}");
        }
        assert_eq!(ByteRange::from(2..).clamped(), ByteRange::from(2..));
        assert_ne!(ByteRange::from(2..3).clamped(), ByteRange::from(2..3));
        assert_eq!(
            ByteRange::suffix(3).clamped().to_string(),
            "the last 3 bytes (clamped)"
        );
    }
}
