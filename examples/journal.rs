//! Prints a batch of a retrieval journal, a line a receipt, every hash checked, that of the whole
//! too:
//!
//! ```text
//! cargo run --release --example journal -- FILE [--json]
//! ```
//!
//! `FILE` is a rotated batch (`egress.{cid}.car`), an open one (`egress.car.wip`) or one that was
//! set aside. What is broken in it goes to standard error, and the exit status is 1 then.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use storehouse::formats::ucan::Receipt;
use storehouse::local::journal::{BatchReader, Frame};

fn main() -> ExitCode {
    let (options, files): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let ([file], true) = (
        files.as_slice(),
        options.iter().all(|option| option == "--json"),
    ) else {
        eprintln!("usage: journal FILE [--json]");
        return ExitCode::from(2);
    };
    match print(file, !options.is_empty()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        // The reader of the output has closed it.
        Err(e)
            if e.downcast_ref::<io::Error>()
                .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) =>
        {
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("{file}: {}", story(&*e));
            ExitCode::FAILURE
        }
    }
}

/// Prints the batch. Returns how much of it is broken: frames, and the whole if it is not what the
/// file's name says.
fn print(file: &str, json: bool) -> Result<usize, Box<dyn Error>> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut broken = 0;
    let mut frames = BatchReader::new(File::open(file)?)?;
    for frame in &mut frames {
        match frame.and_then(|frame| Ok((frame.receipt()?, frame))) {
            Ok((receipt, frame)) if json => writeln!(out, "{}", to_json(&frame, &receipt))?,
            Ok((receipt, _)) => writeln!(out, "{receipt}")?,
            Err(e) => {
                out.flush()?;
                eprintln!("{file}: {}", story(&e));
                broken += 1;
            }
        }
    }
    out.flush()?;
    let name = Path::new(file)
        .file_name()
        .and_then(|name| name.to_str()?.strip_prefix("egress.")?.strip_suffix(".car"));
    if let (Some(name), Some(cid)) = (name, frames.cid())
        && name != cid.to_string()
    {
        eprintln!("{file}: the batch's CID is {cid}");
        broken += 1;
    }
    Ok(broken)
}

fn to_json(frame: &Frame, receipt: &Receipt) -> serde_json::Value {
    json!({
        "receipt": receipt.cid().to_string(),
        "ran": receipt.ran().to_string(),
        "issuer": receipt.issuer().map(ToString::to_string),
        "ok": receipt.is_ok(),
        "archive": frame.cid.to_string(),
        "offset": frame.offset,
        "size": frame.archive.len(),
    })
}

/// The error and its causes, in one line.
fn story(error: &dyn Error) -> String {
    let mut story = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        story += &format!(": {error}");
        cause = error.source();
    }
    story
}
