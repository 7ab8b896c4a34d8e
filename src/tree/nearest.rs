//! The name that somebody meant.

/// The known name that differs least from `name`, if one is close: at most a third of its letters
/// changed, added, left out or swapped.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer texts are no misspelt names, and the distance costs the product of the lengths.
    if name.len() > 64 {
        return None;
    }
    let allowed = name.chars().count() / 3;
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// `; did you mean "x"?`, or nothing.
pub(super) fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(name, known) {
        Some(near) => format!("; did you mean {near:?}?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_finger_is_found_and_another_word_is_not() {
        let known = ["bucket", "endpoint", "region"];
        for (name, wanted) in [
            ("bukcet", Some("bucket")),
            ("bucke", Some("bucket")),
            ("endpoit", Some("endpoint")),
            ("colour", None),
            ("x", None),
            ("bu", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), wanted, "{name}");
        }
        assert_eq!(nearest(&"bucket".repeat(100), known), None);
    }
}
