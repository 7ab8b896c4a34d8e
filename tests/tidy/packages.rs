//! Packages take what they share from the workspace, and documents link to what is there.

use std::path::Path;

use crate::files::files;

#[test]
fn every_package_takes_versions_and_lints_from_the_workspace() {
    let manifests: Vec<_> = files("toml")
        .into_iter()
        .filter(|file| file.name() == "Cargo.toml")
        .collect();
    assert!(manifests.len() >= 3);
    let mut minimum_versions = 0;
    for file in manifests {
        let (path, text) = (file.path.display(), &file.text);
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
            "{path} does not take the workspace's lints"
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
                "{path}: {line}: versions stand in the workspace's table"
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
    for file in files("md") {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(file.path.parent().unwrap());
        for target in file
            .text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
            .map(|(target, _)| target)
        {
            let linked = target.split('#').next().unwrap();
            if linked.is_empty() || target.contains("://") {
                continue;
            }
            assert!(
                dir.join(linked).exists(),
                "{} links to {target}, which is not there",
                file.path.display()
            );
        }
    }
}
