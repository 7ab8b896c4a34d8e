//! Rules about the tree itself. They live where they are seen: with the tests.

use std::fs;
use std::path::{Path, PathBuf};

/// The longest source file, in lines: beyond it, a file has more than one idea.
const LONGEST: usize = 960;

fn files(extension: &str) -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, extension: &str, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !["target", ".git", "vectors", "storehouse-data"].contains(&name.as_str()) {
                    walk(&path, extension, found);
                }
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push((path.clone(), fs::read_to_string(&path).unwrap()));
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
    for (path, text) in files("rs") {
        let lines = text.lines().count();
        assert!(
            lines <= LONGEST,
            "{} has {lines} lines, more than {LONGEST}: split it",
            path.display()
        );
    }
}

#[test]
fn each_lib_rs_is_a_map() {
    for (path, text) in files("rs")
        .into_iter()
        .filter(|(path, _)| path.ends_with("lib.rs"))
    {
        for line in text
            .lines()
            .filter(|line| !line.starts_with(' ') && !line.starts_with("//"))
        {
            let allowed = [
                "mod ",
                "pub mod ",
                "pub use ",
                "use ",
                "#",
                "}",
                "pub type ",
                "macro_rules!",
            ];
            assert!(
                line.is_empty() || allowed.iter().any(|start| line.starts_with(start)),
                "{}: {line}",
                path.display()
            );
        }
    }
}

#[test]
fn every_package_takes_versions_and_lints_from_the_workspace() {
    let manifests: Vec<_> = files("toml")
        .into_iter()
        .filter(|(path, _)| path.ends_with("Cargo.toml"))
        .collect();
    assert!(manifests.len() >= 3);
    let mut minimum_versions = 0;
    for (path, text) in manifests {
        minimum_versions += text
            .lines()
            .filter(|line| line.trim_start().starts_with("rust-version = "))
            .count();
        // A workspace of its own, `fuzz`, has nothing to take from this one.
        let own_workspace = text.contains("[workspace]") && !text.contains("members = ");
        if !text.contains("[package]") || own_workspace {
            continue;
        }
        assert!(
            text.contains("[lints]\nworkspace = true"),
            "{} does not take the workspace's lints",
            path.display()
        );
        let Some((_, own)) = text.split_once("[package]") else {
            continue;
        };
        for line in own
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
        {
            let literal = line.contains("version = \"")
                || (line.starts_with("version") && !line.contains("workspace"));
            assert!(
                !literal,
                "{}: {line}: versions stand in the workspace's table",
                path.display()
            );
        }
    }
    assert_eq!(
        minimum_versions, 1,
        "the minimum Rust version is written once"
    );
}

#[test]
fn links_between_documents_lead_somewhere() {
    for (path, text) in files("md") {
        let dir = path.parent().unwrap();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
            .map(|(target, _)| target)
        {
            let file = target.split('#').next().unwrap();
            if file.is_empty() || target.contains("://") {
                continue;
            }
            assert!(
                dir.join(file).exists(),
                "{} links to {target}, which is not there",
                path.display()
            );
        }
    }
}
