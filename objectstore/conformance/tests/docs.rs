//! The table of cases in `docs/reference/contract.md` is the list of cases, and every rule has one.

use std::path::Path;

use storehouse_conformance::CASES;

const START: &str = "<!-- cases -->\n";
const END: &str = "<!-- end of cases -->";

fn table() -> String {
    let mut table =
        String::from("| rule | case | also rules | what must hold |\n|---|---|---|---|\n");
    for rule in 1..=21 {
        for case in CASES.iter().filter(|case| case.rules[0] == rule) {
            let also = case.rules[1..]
                .iter()
                .map(u8::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            table += &format!("| {rule} | `{}` | {also} | {} |\n", case.name, case.about);
        }
    }
    table
}

#[test]
fn the_page_shows_all_cases() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/contract.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(START).expect("where the table starts");
    let (_, after) = rest.split_once(END).expect("where the table ends");
    let right = format!("{before}{START}{}{END}{after}", table());
    if std::env::var_os("STOREHOUSE_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &right).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap() == right,
        "docs/reference/contract.md is out of date: run this with STOREHOUSE_UPDATE_DOCS=1"
    );
}

#[test]
fn every_rule_has_a_case_and_every_case_a_rule() {
    for rule in 1..=21 {
        assert!(
            CASES.iter().any(|case| case.rules.contains(&rule)),
            "rule {rule} has no case"
        );
    }
    for case in CASES {
        assert!(
            !case.rules.is_empty() && case.rules.iter().all(|rule| (1..=21).contains(rule)),
            "{} names no rule",
            case.name
        );
    }
}
