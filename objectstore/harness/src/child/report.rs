//! Telling the parent.

use std::io::Write;

use crate::event::Event;

/// Tells an event: in one write, so that a kill leaves whole lines and perhaps one that is cut off.
pub(super) fn tell(event: &Event) {
    let line = format!("{}\n", event.to_line());
    let mut out = std::io::stdout().lock();
    // A parent that is gone has no use for it.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}
