//! The files of this repository, and the rules on their size and width.

use std::fs;
use std::path::{Path, PathBuf};

/// The longest source file, in lines. A longer file has more than one idea.
const LONGEST: usize = 600;

/// The widest line of source, in characters: rustfmt's default, which it does not apply to what it
/// cannot break, such as a long literal.
const WIDEST: usize = 100;

/// A text file, by its path from the root of the repository.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn name(&self) -> &str {
        self.path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
    }
}

/// All files with this extension.
///
/// # Panics
/// If there is none: a rule would check nothing.
pub(crate) fn files(extension: &str) -> Vec<File> {
    fn walk(dir: &Path, extension: &str, found: &mut Vec<File>) {
        let mut entries: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.sort();
        for path in entries {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !["target", ".git", "vectors", "storehouse-data"].contains(&name.as_str()) {
                    walk(&path, extension, found);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                let text = fs::read_to_string(&path).unwrap();
                let path = path
                    .strip_prefix(env!("CARGO_MANIFEST_DIR"))
                    .unwrap()
                    .to_owned();
                found.push(File { path, text });
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new(env!("CARGO_MANIFEST_DIR")), extension, &mut found);
    assert!(
        !found.is_empty(),
        "no .{extension} file found: the rule would check nothing"
    );
    found
}

#[test]
fn no_source_file_is_long() {
    for file in files("rs") {
        let lines = file.text.lines().count();
        assert!(
            lines <= LONGEST,
            "{} has {lines} lines, more than {LONGEST}: split it",
            file.path.display()
        );
    }
}

#[test]
fn no_line_is_wide() {
    let mut wide = Vec::new();
    for file in files("rs").into_iter().chain(files("md")) {
        let mut fenced = false;
        for (number, line) in file.text.lines().enumerate() {
            fenced ^= line
                .trim_start()
                .trim_start_matches('/')
                .trim_start_matches('!')
                .trim_start()
                .starts_with("```");
            // What cannot be broken: tables, links, literals, and code that is quoted in a document.
            let comment = line.trim_start().strip_prefix("//");
            let table = comment
                .unwrap_or(line)
                .trim_start_matches(['/', '!', ' '])
                .starts_with('|');
            let link = line.contains("://") || line.contains("](") || line.contains("]:");
            let literal = comment.is_none() && line.contains('"');
            let exempt = table
                || link
                || literal
                || fenced
                || line.trim_start().starts_with("//! #")
                || line.contains('`');
            if line.chars().count() > WIDEST && !exempt {
                wide.push(format!("{}:{}", file.path.display(), number + 1));
            }
        }
    }
    assert!(
        wide.is_empty(),
        "lines of more than {WIDEST} characters:\n{}",
        wide.join("\n")
    );
}
