//! The log's format: a header, and behind it groups of records, each group a frame.
//!
//! ```text
//! header, at 0     "SHFLOG1\n" · generation u64 · CRC u32 · length of the instance u16 · instance
//! frame, from 4096 "SHLG" · payload length u32 · durable u64 · CRC u32 · zeros u32
//!                  · payload · zeros to the next multiple of 8
//! record           kind u8 · key length u8 · value length u32 · modification time in ns u64
//!                  · key · value
//! ```
//!
//! Numbers are little endian, CRCs are CRC-32C. A frame's CRC covers the log's generation and the
//! frame's offset too, so a frame of an earlier generation is none. `durable` is how much of the
//! log was synced when the frame was written: a gap before that was acknowledged and is damage, a
//! gap after it is a group that a crash cut off.

use bytes::Bytes;

/// Where the first frame starts.
pub(super) const START: u64 = 4096;

/// The instance of a log some of whose files could not be synced in the run `instance` (empty: in
/// one of which nothing more is known), so that what that run shows of them need not be what the
/// disk has.
pub(super) fn distrusted(instance: &str) -> String {
    format!("!{instance}")
}

const MAGIC: &[u8; 8] = b"SHFLOG1\n";
const FRAME: &[u8; 4] = b"SHLG";
const FRAME_HEADER: usize = 24;
const RECORD_HEADER: usize = 14;
const ALIGN: usize = 8;

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum RecordKind {
    /// There is an object of these bytes.
    Put = 1,
    /// There is none.
    Delete = 2,
    /// What is in the key's place is durable without the log: earlier records are void.
    Settled = 3,
    /// The record before this one never happened.
    Void = 4,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) kind: RecordKind,
    pub(super) key: String,
    pub(super) value: Bytes,
    /// The object's modification time, in ns since 1970.
    pub(super) nanos: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) generation: u64,
    /// Names the boot and the mount that the log was written in; empty if unknown.
    pub(super) instance: String,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.generation.to_le_bytes());
        bytes.extend(self.crc().to_le_bytes());
        bytes.extend((self.instance.len() as u16).to_le_bytes());
        bytes.extend(self.instance.as_bytes());
        bytes
    }

    /// The header at the start of a log; `None` if it is missing or damaged.
    pub(super) fn decode(log: &[u8]) -> Option<Self> {
        let rest = log.strip_prefix(MAGIC)?;
        let generation = u64::from_le_bytes(*rest.first_chunk()?);
        let crc = u32::from_le_bytes(*rest.get(8..)?.first_chunk()?);
        let len = u16::from_le_bytes(*rest.get(12..)?.first_chunk()?);
        let instance = std::str::from_utf8(rest.get(14..14 + usize::from(len))?)
            .ok()?
            .to_owned();
        let header = Self {
            generation,
            instance,
        };
        (header.crc() == crc).then_some(header)
    }

    fn crc(&self) -> u32 {
        crc32c::crc32c_append(
            crc32c::crc32c(&self.generation.to_le_bytes()),
            self.instance.as_bytes(),
        )
    }
}

/// An empty frame, to be filled by [`push`].
pub(super) fn begin() -> Vec<u8> {
    vec![0; FRAME_HEADER]
}

/// Whether it has no records.
pub(super) fn is_empty(frame: &[u8]) -> bool {
    frame.len() <= FRAME_HEADER
}

/// Appends a record. The key has at most 255 bytes, the value less than 4 GiB.
pub(super) fn push(frame: &mut Vec<u8>, kind: RecordKind, key: &str, value: &[Bytes], nanos: u64) {
    let len: usize = value.iter().map(Bytes::len).sum();
    frame.extend([kind as u8, key.len() as u8]);
    frame.extend((len as u32).to_le_bytes());
    frame.extend(nanos.to_le_bytes());
    frame.extend(key.as_bytes());
    value
        .iter()
        .for_each(|piece| frame.extend_from_slice(piece));
}

/// Completes the frame, to be written at `at`.
pub(super) fn seal(frame: &mut Vec<u8>, generation: u64, at: u64, durable: u64) {
    let len = (frame.len() - FRAME_HEADER) as u32;
    let crc = frame_crc(generation, at, durable, &frame[FRAME_HEADER..]);
    frame[..4].copy_from_slice(FRAME);
    frame[4..8].copy_from_slice(&len.to_le_bytes());
    frame[8..16].copy_from_slice(&durable.to_le_bytes());
    frame[16..20].copy_from_slice(&crc.to_le_bytes());
    frame.resize(frame.len().next_multiple_of(ALIGN), 0);
}

fn frame_crc(generation: u64, at: u64, durable: u64, payload: &[u8]) -> u32 {
    let place = [generation, at, durable, payload.len() as u64].map(u64::to_le_bytes);
    crc32c::crc32c_append(crc32c::crc32c(place.as_flattened()), payload)
}

/// What a log holds.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) records: Vec<Record>,
    /// Where something acknowledged is missing.
    pub(super) damage: Option<u64>,
}

struct Frame {
    at: u64,
    next: u64,
    durable: u64,
    payload: Bytes,
}

/// Reads all frames of a log that are whole and were, or may have been, acknowledged.
pub(super) fn scan(log: &Bytes, generation: u64) -> Scan {
    let (mut frames, mut at) = (Vec::new(), START);
    while at < log.len() as u64 {
        match frame_at(log, generation, at) {
            Some(frame) => {
                at = frame.next;
                frames.push(frame);
            }
            None => at += ALIGN as u64,
        }
    }
    let durable = frames
        .iter()
        .map(|frame| frame.durable)
        .max()
        .unwrap_or(START);
    let mut scan = Scan {
        records: Vec::new(),
        damage: None,
    };
    let mut end = START;
    for frame in frames {
        if frame.at != end {
            if end >= durable {
                break;
            }
            scan.damage.get_or_insert(end);
        }
        end = frame.next;
        match records(&frame.payload) {
            Some(records) => scan.records.extend(records),
            None => {
                scan.damage.get_or_insert(frame.at);
            }
        }
    }
    scan
}

fn frame_at(log: &Bytes, generation: u64, at: u64) -> Option<Frame> {
    let start = usize::try_from(at).ok()?;
    let header = log.get(start..)?.first_chunk::<FRAME_HEADER>()?;
    if &header[..4] != FRAME {
        return None;
    }
    let len = u32::from_le_bytes(*header[4..].first_chunk()?) as usize;
    let durable = u64::from_le_bytes(*header[8..].first_chunk()?);
    let crc = u32::from_le_bytes(*header[16..].first_chunk()?);
    let end = (start + FRAME_HEADER)
        .checked_add(len)
        .filter(|end| *end <= log.len())?;
    let payload = log.slice(start + FRAME_HEADER..end);
    (frame_crc(generation, at, durable, &payload) == crc).then(|| Frame {
        at,
        next: end.next_multiple_of(ALIGN) as u64,
        durable,
        payload,
    })
}

fn records(payload: &Bytes) -> Option<Vec<Record>> {
    let (mut records, mut at) = (Vec::new(), 0);
    while at < payload.len() {
        let header = payload.get(at..)?.first_chunk::<RECORD_HEADER>()?;
        let kind = [
            RecordKind::Put,
            RecordKind::Delete,
            RecordKind::Settled,
            RecordKind::Void,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == header[0])?;
        let value_len = u32::from_le_bytes(*header[2..].first_chunk()?) as usize;
        let nanos = u64::from_le_bytes(*header[6..].first_chunk()?);
        let key_end = at + RECORD_HEADER + usize::from(header[1]);
        let end = key_end
            .checked_add(value_len)
            .filter(|end| *end <= payload.len())?;
        let key = std::str::from_utf8(&payload[at + RECORD_HEADER..key_end])
            .ok()?
            .to_owned();
        records.push(Record {
            kind,
            key,
            value: payload.slice(key_end..end),
            nanos,
        });
        at = end;
    }
    Some(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of three groups, and where each starts.
    fn log(durable: [u64; 3]) -> (Vec<u8>, [u64; 3]) {
        let mut log = vec![0; START as usize];
        let mut starts = [0; 3];
        for (i, durable) in durable.into_iter().enumerate() {
            let mut frame = begin();
            push(
                &mut frame,
                RecordKind::Put,
                &format!("key{i}"),
                &["ab".into(), "c".into()],
                i as u64,
            );
            push(&mut frame, RecordKind::Delete, "gone", &[], 0);
            starts[i] = log.len() as u64;
            seal(&mut frame, 7, starts[i], durable);
            log.extend(frame);
        }
        (log, starts)
    }

    fn keys(log: &[u8], generation: u64) -> (Vec<String>, Option<u64>) {
        let scan = scan(&Bytes::copy_from_slice(log), generation);
        (
            scan.records
                .into_iter()
                .filter(|record| record.kind == RecordKind::Put)
                .map(|record| record.key)
                .collect(),
            scan.damage,
        )
    }

    #[test]
    fn what_was_written_is_read() {
        let (log, _) = log([START; 3]);
        let scan = scan(&log.clone().into(), 7);
        assert_eq!(scan.records.len(), 6);
        let first = Record {
            kind: RecordKind::Put,
            key: "key0".into(),
            value: "abc".into(),
            nanos: 0,
        };
        assert_eq!(scan.records.first(), Some(&first));
        assert_eq!(keys(&log, 8), (vec![], None), "another generation");
        let header = Header {
            generation: 9,
            instance: "here".into(),
        };
        assert_eq!(Header::decode(&header.encode()), Some(header.clone()));
        for cut in 0..header.encode().len() {
            assert_eq!(Header::decode(&header.encode()[..cut]), None);
        }
    }

    #[test]
    fn a_cut_leaves_whole_groups_and_is_no_damage() {
        let (log, starts) = log([START; 3]);
        for len in 0..log.len() {
            let (keys, damage) = keys(&log[..len], 7);
            // The last group needs no padding behind it.
            let whole = starts
                .iter()
                .filter(|start| **start + 24 + 2 * 14 + 4 + 3 + 4 <= len as u64)
                .count();
            assert_eq!((keys.len(), damage), (whole, None), "cut at {len}");
        }
    }

    #[test]
    fn a_flipped_bit_is_damage_only_if_the_group_was_acknowledged() {
        for acknowledged in [false, true] {
            let (_, starts) = log([START; 3]);
            let (log, _) = log([
                START,
                START,
                if acknowledged { starts[2] } else { starts[0] },
            ]);
            for at in starts[1]..starts[1] + 24 + 14 {
                let mut flipped = log.clone();
                // The four zeros in a frame's header mean nothing.
                if (20..24).contains(&(at - starts[1])) {
                    continue;
                }
                flipped[at as usize] ^= 1;
                let expected: (&[&str], _) = if acknowledged {
                    (&["key0", "key2"], Some(starts[1]))
                } else {
                    (&["key0"], None)
                };
                let (keys, damage) = keys(&flipped, 7);
                assert_eq!(
                    (
                        keys.iter()
                            .map(String::as_str)
                            .collect::<Vec<_>>()
                            .as_slice(),
                        damage
                    ),
                    expected,
                    "byte {at}"
                );
            }
        }
    }
}
