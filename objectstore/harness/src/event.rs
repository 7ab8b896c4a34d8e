//! What a child process tells, a line each.

use crate::model::Effect;

/// One line. Texts have no line breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The store is open.
    Open,
    /// It could not be opened.
    OpenFailed(String),
    /// A key has the object of this write.
    Is(String, u64),
    /// A key cannot be read.
    Unreadable(String, String),
    /// All keys were told.
    AllRead,
    /// The keys could not be listed.
    NotRead(String),
    /// The store found damage.
    Damage(String),
    /// It checked itself.
    Checked,
    /// It could not.
    NotChecked(String),
    /// A write begins.
    Begin(u64, Vec<(String, Effect)>),
    /// It is acknowledged.
    Done(u64),
    /// It was refused; nothing happened.
    Refused(u64),
    /// It failed; it may have happened.
    Failed(u64, String),
    /// Errors and limits are gone, so that what follows must succeed.
    Relieved,
    /// The store does what it must never do.
    Wrong(String),
    /// What the process took: the most memory, in KiB, the file descriptors, and the time to open
    /// the store, in microseconds.
    Uses(u64, u64, u64),
    /// It could not be closed.
    NotClosed(String),
    /// The child did all that it was to do.
    End,
}

impl Event {
    /// The line, without its end.
    #[must_use]
    pub fn to_line(&self) -> String {
        match self {
            Self::Open => "open".to_owned(),
            Self::OpenFailed(text) => format!("open-failed {text}"),
            Self::Is(key, version) => format!("is {key} {version}"),
            Self::Unreadable(key, text) => format!("unreadable {key} {text}"),
            Self::AllRead => "all-read".to_owned(),
            Self::NotRead(text) => format!("not-read {text}"),
            Self::Damage(text) => format!("damage {text}"),
            Self::Checked => "checked".to_owned(),
            Self::NotChecked(text) => format!("not-checked {text}"),
            Self::Begin(op, writes) => {
                writes
                    .iter()
                    .fold(format!("begin {op}"), |line, (key, effect)| match effect {
                        Effect::Version(_) => format!("{line} +{key}"),
                        _ => format!("{line} -{key}"),
                    })
            }
            Self::Done(op) => format!("done {op}"),
            Self::Refused(op) => format!("refused {op}"),
            Self::Failed(op, text) => format!("failed {op} {text}"),
            Self::Relieved => "relieved".to_owned(),
            Self::Wrong(text) => format!("wrong {text}"),
            Self::Uses(memory, descriptors, time) => format!("uses {memory} {descriptors} {time}"),
            Self::NotClosed(text) => format!("not-closed {text}"),
            Self::End => "end".to_owned(),
        }
    }

    /// The event of a line; `None` if it is none.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let text = || rest.to_owned();
        let pair = || rest.split_once(' ');
        Some(match word {
            "open" => Self::Open,
            "open-failed" => Self::OpenFailed(text()),
            "is" => pair()
                .and_then(|(key, version)| Some(Self::Is(key.to_owned(), version.parse().ok()?)))?,
            "unreadable" => {
                pair().map(|(key, text)| Self::Unreadable(key.to_owned(), text.to_owned()))?
            }
            "all-read" => Self::AllRead,
            "not-read" => Self::NotRead(text()),
            "damage" => Self::Damage(text()),
            "checked" => Self::Checked,
            "not-checked" => Self::NotChecked(text()),
            "begin" => {
                let mut fields = rest.split(' ');
                let op = fields.next()?.parse().ok()?;
                let write = |field: &str| match field.split_at_checked(1)? {
                    ("+", key) => Some((key.to_owned(), Effect::Version(op))),
                    ("-", key) => Some((key.to_owned(), Effect::Absent)),
                    _ => None,
                };
                Self::Begin(op, fields.map(write).collect::<Option<_>>()?)
            }
            "done" => Self::Done(rest.parse().ok()?),
            "refused" => Self::Refused(rest.parse().ok()?),
            "failed" => pair()
                .and_then(|(op, text)| Some(Self::Failed(op.parse().ok()?, text.to_owned())))?,
            "relieved" => Self::Relieved,
            "wrong" => Self::Wrong(text()),
            "uses" => {
                let mut numbers = rest.split(' ').map(str::parse);
                let mut next = || numbers.next()?.ok();
                Self::Uses(next()?, next()?, next()?)
            }
            "not-closed" => Self::NotClosed(text()),
            "end" => Self::End,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_their_lines() {
        let writes = vec![
            ("a".to_owned(), Effect::Version(7)),
            ("b-1".to_owned(), Effect::Absent),
        ];
        for event in [
            Event::Open,
            Event::OpenFailed("no such file".to_owned()),
            Event::Is("a".to_owned(), 4),
            Event::Unreadable("a".to_owned(), "an error".to_owned()),
            Event::Begin(7, writes),
            Event::Failed(3, "disk full".to_owned()),
            Event::Uses(1, 2, 3),
            Event::End,
        ] {
            assert_eq!(Event::parse(&event.to_line()), Some(event));
        }
        assert_eq!(Event::parse("begin 7 a"), None);
        assert_eq!(Event::parse("something"), None);
    }
}
