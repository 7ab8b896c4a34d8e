//! Collects the examples of the documentation of every published crate below the facade, and the
//! Rust blocks of `docs/`, into one file. Where an example names a crate `storehouse_x`, the
//! collected one names `storehouse::x`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Crates that users do not reach through the facade: what stands above it, tools, and a database
/// that it does not select.
const NOT_FORWARDED: [&str; 5] = [
    "objectstore/fjall",
    "node",
    "benches",
    "objectstore/harness",
    "tests/doc-examples",
];

fn main() {
    let own = include_str!("Cargo.toml");
    assert!(
        !own.lines().any(|line| line.starts_with("storehouse-")),
        "no crate of the workspace but the facade may be a dependency here"
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    println!(
        "cargo:rerun-if-changed={}",
        root.join("Cargo.toml").display()
    );
    let mut examples = Vec::new();
    for folder in members(&manifest) {
        if !NOT_FORWARDED.contains(&folder) {
            collect(&root.join(folder).join("src"), "rs", &mut examples);
        }
    }
    collect(&root.join("docs"), "md", &mut examples);
    collect(&root.join("README.md"), "md", &mut examples);

    let mut code = String::new();
    for (number, example) in examples.iter().enumerate() {
        let origin = example.file.strip_prefix(&root).unwrap().display();
        writeln!(code, "// {origin}:{}", example.line).unwrap();
        code.push_str(&function(number, example));
    }
    writeln!(
        code,
        "/// How many examples there are.\npub const EXAMPLES: usize = {};",
        examples.len()
    )
    .unwrap();
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    fs::write(out.join("examples.rs"), code).unwrap();
}

/// The workspace's folders.
fn members(manifest: &str) -> Vec<&str> {
    let list = manifest.split_once("\nmembers = [").unwrap().1;
    list.split_once(']')
        .unwrap()
        .0
        .split(',')
        .map(|folder| folder.trim().trim_matches('"'))
        .collect()
}

struct Example {
    file: PathBuf,
    line: usize,
    code: String,
}

/// The examples of a file, or of all files with this extension under a folder.
fn collect(path: &Path, extension: &str, found: &mut Vec<Example>) {
    if path.is_dir() {
        println!("cargo:rerun-if-changed={}", path.display());
        let mut entries: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.sort();
        for entry in entries {
            collect(&entry, extension, found);
        }
    } else if path.extension().is_some_and(|found| found == extension) {
        println!("cargo:rerun-if-changed={}", path.display());
        let text = fs::read_to_string(path).unwrap();
        examples_in(path, &text, extension == "md", found);
    }
}

fn examples_in(file: &Path, text: &str, markdown: bool, found: &mut Vec<Example>) {
    // The example that is being read, or `None` in a block of something else.
    let mut open: Option<Option<Example>> = None;
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        let prose = match trimmed
            .strip_prefix("///")
            .or_else(|| trimmed.strip_prefix("//!"))
        {
            _ if markdown => line,
            Some(prose) => prose.strip_prefix(' ').unwrap_or(prose),
            None => {
                open = None;
                continue;
            }
        };
        match (prose.trim_start().strip_prefix("```"), open.take()) {
            (None, Some(Some(mut example))) => {
                // A line that rustdoc hides begins with `# `.
                let shown = prose.trim_start();
                let code = match shown.strip_prefix("# ") {
                    Some(hidden) => hidden,
                    None if shown == "#" => "",
                    None => prose,
                };
                example.code.push_str(code);
                example.code.push('\n');
                open = Some(Some(example));
            }
            (None, other) => open = other,
            (Some(_), Some(Some(example))) => found.push(example),
            (Some(_), Some(None)) => {}
            (Some(language), None) => {
                let rust = match language {
                    "" => !markdown,
                    other => ["rust", "no_run", "rust,no_run"].contains(&other),
                };
                open = Some(rust.then(|| Example {
                    file: file.to_owned(),
                    line: number + 1,
                    code: String::new(),
                }));
            }
        }
    }
}

/// The example as a function, wrapped as rustdoc does, in the facade's names.
fn function(number: usize, example: &Example) -> String {
    let code = example
        .code
        .replace("storehouse_stores", "storehouse::records")
        .replace("storehouse_", "storehouse::");
    if code.contains("fn main()") {
        return format!("mod example_{number} {{\n{code}}}\n");
    }
    let result = if code.trim_end().ends_with("(())") {
        " -> Result<(), impl std::fmt::Debug>"
    } else {
        ""
    };
    format!("fn example_{number}(){result} {{\n{code}}}\n")
}
