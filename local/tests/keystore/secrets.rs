//! No secret in any output: all other tests of this binary run once more, with nothing captured,
//! and what they print is searched.

use std::fs;
use std::process::Command;

use crate::support::MARK;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The forms in which bytes get into logs.
fn forms(secret: &[u8]) -> Vec<String> {
    let list = format!("{secret:?}");
    let mut reversed = secret.to_vec();
    reversed.reverse();
    vec![
        String::from_utf8_lossy(secret).into_owned(),
        hex(secret),
        hex(secret).to_uppercase(),
        hex(&reversed),
        list[1..list.len() - 1].to_owned(),
        list[1..list.len() - 1].replace(", ", ",\n"),
        secret
            .iter()
            .map(|byte| format!("{byte:X}"))
            .collect::<Vec<_>>()
            .join(", "),
        secret
            .iter()
            .map(|byte| format!("{byte:x}"))
            .collect::<Vec<_>>()
            .join(", "),
        secret.escape_ascii().to_string(),
    ]
}

#[test]
fn no_secret_is_ever_printed() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--nocapture",
            "--skip",
            "no_secret_is_ever_printed",
            "--skip",
            "the_search_finds",
        ])
        .env("RUST_BACKTRACE", "full")
        .env("RUST_LOG", "trace")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    // The errors did print.
    assert!(
        text.contains("is sealed under another passphrase")
            && text.contains("WrongPassphrase")
            && text.contains("is damaged"),
        "{text}"
    );

    let index: serde_json::Value = serde_json::from_slice(
        &fs::read(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/vectors/index.json"
        ))
        .unwrap(),
    )
    .unwrap();
    let mut secrets = forms(MARK.as_bytes());
    for key in index["keystore"].as_array().unwrap() {
        let bytes = key["bytes"].as_str().unwrap();
        let bytes: Vec<u8> = (0..bytes.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&bytes[at..at + 2], 16).unwrap())
            .collect();
        // A part gives a secret away too.
        secrets.extend(forms(&bytes[..8]));
    }
    secrets.push("MC4CAQAwBQYDK2VwBCIEI".into());
    for secret in secrets {
        assert!(
            !text.contains(&secret),
            "a secret was printed, as {secret:?}"
        );
    }
}

/// The search above can fail: each form is what Rust prints.
#[test]
fn the_search_finds_what_it_looks_for() {
    let secret = MARK.as_bytes();
    for printed in [
        format!("{secret:?}"),
        format!("{secret:#?}").replace("\n    ", "\n"),
        format!("{secret:x?}"),
        format!("{secret:X?}"),
        MARK.to_owned(),
        hex(secret),
    ] {
        assert!(
            forms(secret).iter().any(|form| printed.contains(form)),
            "{printed}"
        );
    }
}
