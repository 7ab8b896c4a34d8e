//! The files of this repository, and the rules on their size and width.

use std::fs;
use std::path::{Path, PathBuf};

/// The longest source file, in lines. A longer file has more than one idea.
const LONGEST: usize = 600;

/// The widest line of a comment or a document, in characters: rustfmt's default for code.
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
fn no_comment_or_document_is_wide() {
    let mut wide = Vec::new();
    for file in files("rs").into_iter().chain(files("md")) {
        let markdown = file.path.extension().is_some_and(|found| found == "md");
        let mut fenced = false;
        for (number, line) in file.text.lines().enumerate() {
            // Code is rustfmt's business.
            let text = match line.trim_start().strip_prefix("//") {
                Some(comment) => comment.trim_start_matches(['/', '!']),
                None if markdown => line,
                None => continue,
            };
            let indented = text.starts_with("    ");
            let text = text.trim_start();
            fenced ^= text.starts_with("```");
            // What cannot be broken: code, tables, headings, and a word that is longer than a line.
            let word = text.split_whitespace().any(|word| word.len() > 60);
            let exempt = fenced || indented || text.starts_with(['|', '#', '`']) || word;
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
