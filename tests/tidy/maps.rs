//! `lib.rs` and `mod.rs` are maps of what lies beside them.

use crate::files::files;

#[test]
fn lib_rs_and_mod_rs_hold_no_logic() {
    let mut logic = Vec::new();
    for file in files("rs") {
        let test = file
            .path
            .components()
            .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "benches");
        if test || !["lib.rs", "mod.rs"].contains(&file.name()) {
            continue;
        }
        for (number, line) in file.text.lines().enumerate() {
            let top = !line.is_empty()
                && !line.starts_with([' ', '}', ')', ']'])
                && !line.starts_with("//");
            let allowed = [
                "mod ",
                "pub mod ",
                "pub(crate) mod ",
                "pub(super) mod ",
                "pub use ",
                "pub(crate) use ",
                "pub(super) use ",
                "use ",
                "#",
                "pub type ",
            ];
            if top && !allowed.iter().any(|start| line.starts_with(start)) {
                logic.push(format!("{}:{}: {line}", file.path.display(), number + 1));
            }
        }
    }
    assert!(
        logic.is_empty(),
        "a map declares modules and re-exports, and nothing else:\n{}",
        logic.join("\n")
    );
}
