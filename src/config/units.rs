//! Durations and sizes as people write them.

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserializer;
use serde::de::{Error, Visitor};

/// Reads `"10 s"`, `"2 min"`, `"1 day 12 h"`. A number alone is refused: its unit is not said.
pub(crate) fn duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    deserializer.deserialize_any(DurationText).map(Some)
}

/// Reads `"8 MiB"`, `"64 KiB"`, or a number of bytes.
pub(crate) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    deserializer.deserialize_any(SizeText).map(Some)
}

pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let short = text.len() <= 64;
    short
        .then(|| humantime::parse_duration(text.trim()).ok())
        .flatten()
        .ok_or_else(|| "no duration, expected a text like \"10 s\" or \"7 days\"".to_owned())
}

struct DurationText;

impl Visitor<'_> for DurationText {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration with its unit, like \"10 s\" or \"7 days\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        parse_duration(text).map_err(E::custom)
    }
}

struct SizeText;

impl Visitor<'_> for SizeText {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size, like \"8 MiB\" or a number of bytes")
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<u64, E> {
        u64::try_from(bytes).map_err(|_| E::custom("no size, expected a number from 0"))
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<u64, E> {
        Ok(bytes)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        let short = text.len() <= 64;
        short
            .then(|| text.trim().parse::<ByteSize>().ok())
            .flatten()
            .map(|size| size.as_u64())
            .ok_or_else(|| E::custom("no size, expected a text like \"8 MiB\""))
    }
}
