//! Words that read like a translation. The list grows as they are found.

use crate::files::files;

const BANNED: [&str; 7] = [
    "whoever",
    "nobody",
    "so many",
    "that many",
    "at hand",
    "what is left of",
    "sees to it",
];

#[test]
fn no_banned_words() {
    let mut found = Vec::new();
    for file in files("rs")
        .into_iter()
        .chain(files("md"))
        .filter(|file| !file.path.ends_with("tidy/prose.rs"))
    {
        let markdown = file
            .path
            .extension()
            .is_some_and(|extension| extension == "md");
        // Comments and documents as running text, so that a phrase is found across lines.
        let mut text = String::new();
        let mut starts = Vec::new();
        for (number, line) in file.text.lines().enumerate() {
            let prose = if markdown {
                Some(line)
            } else {
                line.split_once("//").map(|(_, comment)| comment)
            };
            let prose = prose.unwrap_or("\n").trim_start_matches(['/', '!']).trim();
            starts.push((text.len(), number + 1));
            text.push_str(&prose.to_lowercase());
            text.push(' ');
        }
        for banned in BANNED {
            for (at, _) in text.match_indices(banned) {
                let word = |index: Option<usize>| {
                    index
                        .and_then(|index| text.as_bytes().get(index))
                        .is_some_and(u8::is_ascii_alphanumeric)
                };
                if word(at.checked_sub(1)) || word(Some(at + banned.len())) {
                    continue;
                }
                let line = starts
                    .iter()
                    .rev()
                    .find(|(start, _)| *start <= at)
                    .map_or(0, |(_, line)| *line);
                found.push(format!("{}:{line}: {banned}", file.path.display()));
            }
        }
    }
    assert!(
        found.is_empty(),
        "write it as the standard library would:\n{}",
        found.join("\n")
    );
}
