//! No files of a crate import each other, not even by way of others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::files::{File, files};

/// The module path of a file within its crate: `src/a/b.rs` and `src/a/b/mod.rs` are `[a, b]`.
type Module = Vec<String>;

/// A crate's files by their modules.
type Modules = BTreeMap<Module, File>;

#[test]
fn no_files_import_each_other() {
    let mut crates: BTreeMap<PathBuf, Modules> = BTreeMap::new();
    for file in files("rs") {
        if let Some((root, module)) = place(&file.path) {
            crates.entry(root).or_default().insert(module, file);
        }
    }
    assert!(
        crates.len() >= 8,
        "too few crates found: {:?}",
        crates.keys()
    );
    let mut circles = Vec::new();
    let mut imports = 0;
    for modules in crates.values() {
        let graph: BTreeMap<&Module, BTreeSet<Module>> = modules
            .iter()
            .map(|(module, file)| (module, imported(module, &file.text, modules)))
            .collect();
        imports += graph.values().map(BTreeSet::len).sum::<usize>();
        for circle in strongly_connected(&graph) {
            let paths: Vec<_> = circle
                .iter()
                .map(|module| modules[*module].path.display().to_string())
                .collect();
            circles.push(paths.join(" <-> "));
        }
    }
    assert!(
        imports >= 300,
        "only {imports} imports found: the search is broken"
    );
    assert!(
        circles.is_empty(),
        "these import each other:\n{}",
        circles.join("\n")
    );
}

/// The `src` folder of the file's crate and its module, unless it is a test.
fn place(path: &Path) -> Option<(PathBuf, Module)> {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let src = parts.iter().position(|part| *part == "src")?;
    let mut module: Module = parts[src + 1..]
        .iter()
        .map(|part| part.trim_end_matches(".rs").to_owned())
        .collect();
    if module.iter().any(|part| part == "tests" || part == "bin") {
        return None;
    }
    if module
        .last()
        .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
    {
        module.pop();
    }
    Some((parts[..=src].iter().collect(), module))
}

/// The modules of this crate that `text`, the file of `module`, takes something from.
///
/// A crate's error names the types of its fields, and everything names the error: `error.rs` counts
/// as taking nothing.
fn imported(module: &Module, text: &str, modules: &Modules) -> BTreeSet<Module> {
    if module.last().is_some_and(|last| last == "error") {
        return BTreeSet::new();
    }
    let code = code_of(text);
    let mut found = BTreeSet::new();
    for path in paths(&code).iter().filter(|path| !path.is_empty()) {
        let mut at: Module = match path[0].as_str() {
            "crate" => Module::new(),
            _ => module.clone(),
        };
        for (n, part) in path.iter().enumerate() {
            match part.as_str() {
                "crate" | "self" => {}
                "super" => drop(at.pop()),
                name => {
                    at.push(name.to_owned());
                    if !modules.contains_key(&at) {
                        // An item of the module so far; if that re-exports it, of the one it is
                        // from.
                        at.pop();
                        if let Some(from) = re_exported(&at, name, modules) {
                            at = from;
                        }
                        break;
                    }
                    if n + 1 == path.len() {
                        // The module itself was imported.
                    }
                }
            }
        }
        // A map that lists what lies below it does not depend on it.
        if at != *module
            && modules.contains_key(&at)
            && !is_map(&modules[&at])
            && !is_map(&modules[module])
        {
            found.insert(at);
        }
    }
    found
}

fn is_map(file: &File) -> bool {
    ["mod.rs", "lib.rs", "main.rs"].contains(&file.name())
}

/// Where the map of `module` takes `name` from, by a `use` that names it.
fn re_exported(module: &Module, name: &str, modules: &Modules) -> Option<Module> {
    let file = modules.get(module).filter(|file| is_map(file))?;
    let mut paths = paths(&code_of(&file.text)).into_iter();
    let path = paths.find(|path| path.len() > 1 && path.last().is_some_and(|last| last == name))?;
    let mut at = if path[0] == "crate" {
        Module::new()
    } else {
        module.clone()
    };
    for part in path
        .iter()
        .filter(|part| !["crate", "self"].contains(&part.as_str()))
    {
        at.push(part.clone());
        if !modules.contains_key(&at) {
            at.pop();
            return (at != *module).then_some(at);
        }
    }
    Some(at)
}

/// The text without comments, and without the tests at its end.
fn code_of(text: &str) -> String {
    let text = text
        .split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Each path that begins with `crate`, `super` or `self`, or that a `use` names, with groups
/// expanded.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, word) in words(code) {
        let after_path = code[..at].ends_with("::");
        let starts =
            ["crate", "super", "self"].contains(&word) && code[at + word.len()..].starts_with("::");
        let used = word == "use" && !after_path;
        if starts && !after_path && !code[..at].trim_end().ends_with("use") {
            expand(&code[at..], Vec::new(), &mut found);
        } else if used {
            expand(code[at + 3..].trim_start(), Vec::new(), &mut found);
        }
    }
    found
}

fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(|word| (word.as_ptr() as usize - code.as_ptr() as usize, word))
}

/// Reads a path and the groups in it; gives what follows.
fn expand<'a>(mut text: &'a str, mut path: Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    loop {
        text = text.trim_start();
        if let Some(group) = text.strip_prefix('{') {
            let mut rest = group.trim_start();
            while !rest.is_empty() && !rest.starts_with('}') {
                let before = rest.len();
                rest = expand(rest, path.clone(), found).trim_start();
                // A name of its own, as in `a as b`, is not looked at.
                while let Some(next) = rest
                    .chars()
                    .next()
                    .filter(|next| ![',', '}'].contains(next))
                {
                    rest = &rest[next.len_utf8()..];
                }
                rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
                if rest.len() == before {
                    return rest;
                }
            }
            return rest.strip_prefix('}').unwrap_or(rest);
        }
        let len = text
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(text.len());
        if len == 0 {
            found.push(path);
            return text;
        }
        path.push(text[..len].to_owned());
        text = &text[len..];
        match text.strip_prefix("::") {
            Some(rest) => text = rest,
            None => {
                found.push(path);
                return text;
            }
        }
    }
}

/// Sets of modules of which each reaches each other one. Crates are small: reachability will do.
fn strongly_connected<'a>(graph: &BTreeMap<&'a Module, BTreeSet<Module>>) -> Vec<Vec<&'a Module>> {
    let reach = |from: &Module| {
        let mut seen = BTreeSet::new();
        let mut open: Vec<Module> = graph[from].iter().cloned().collect();
        while let Some(next) = open.pop() {
            if seen.insert(next.clone()) {
                open.extend(graph[&next].iter().cloned());
            }
        }
        seen
    };
    let reached: BTreeMap<&Module, BTreeSet<Module>> = graph
        .keys()
        .map(|module| (*module, reach(module)))
        .collect();
    let mut circles: Vec<Vec<&Module>> = Vec::new();
    for (module, seen) in &reached {
        if seen.contains(*module) && !circles.iter().any(|circle| circle.contains(module)) {
            circles.push(
                reached
                    .keys()
                    .copied()
                    .filter(|other| seen.contains(*other) && reached[other].contains(*module))
                    .collect(),
            );
        }
    }
    circles
}

#[test]
fn the_search_finds_circles() {
    let file = |name: &str, text: &str| File {
        path: name.into(),
        text: text.to_owned(),
    };
    let module = |path: &[&str]| {
        path.iter()
            .map(|part| (*part).to_owned())
            .collect::<Module>()
    };
    let modules: Modules = [
        (
            module(&[]),
            file(
                "lib.rs",
                "mod a;\nmod b;\nmod c;\npub use b::{B, other as Other};",
            ),
        ),
        (
            module(&["a"]),
            file("a.rs", "use std::fmt;\nuse super::{c::C, B};\nfn f() {}"),
        ),
        (
            module(&["b"]),
            file(
                "b.rs",
                "// use crate::a::A in a comment\nfn f() { crate::c::g() }",
            ),
        ),
        (
            module(&["c"]),
            file("c.rs", "use crate::a::{\n    x::Y,\n};"),
        ),
    ]
    .into();
    let graph: BTreeMap<&Module, BTreeSet<Module>> = modules
        .iter()
        .map(|(module, file)| (module, imported(module, &file.text, &modules)))
        .collect();
    assert_eq!(
        graph[&module(&["a"])],
        [module(&["b"]), module(&["c"])].into()
    );
    assert_eq!(graph[&module(&["b"])], [module(&["c"])].into());
    assert_eq!(
        strongly_connected(&graph),
        [[&module(&["a"]), &module(&["b"]), &module(&["c"])]]
    );
}
