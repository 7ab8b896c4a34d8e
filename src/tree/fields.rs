//! The names of the fields that a type of settings has, as its `Deserialize` says them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::forward_to_deserialize_any;

/// The fields of a struct that derives `Deserialize`; `None` for what is no such struct.
pub(super) fn fields_of<'de, T: Deserialize<'de>>() -> Option<&'static [&'static str]> {
    let mut found = None;
    // It fails in any case: there is no value.
    let _ = T::deserialize(Asked(&mut found));
    found
}

/// A deserializer that remembers what it is asked for, and has nothing to give.
struct Asked<'a>(&'a mut Option<&'static [&'static str]>);

#[derive(Debug)]
struct Nothing;

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing is there")
    }
}

impl std::error::Error for Nothing {}

impl Error for Nothing {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = Nothing;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Nothing> {
        Err(Nothing)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Nothing> {
        *self.0 = Some(fields);
        Err(Nothing)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::fields_of;

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its names are asked for")]
    struct Some {
        one: u32,
        #[serde(rename = "2")]
        two: Option<String>,
    }

    #[test]
    fn a_struct_says_its_fields_and_nothing_else_has_any() {
        assert_eq!(fields_of::<Some>(), Option::Some(&["one", "2"][..]));
        assert_eq!(fields_of::<u32>(), None);
        assert_eq!(fields_of::<std::collections::BTreeMap<String, u32>>(), None);
    }
}
