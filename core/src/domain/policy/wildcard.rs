//! `*` and `?`, as policies know them.

/// Whether `text` is `pattern`, in which `*` stands for any characters, none too, and `?` for exactly one. Takes time
/// in proportion to the product of both lengths at most.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (mut rest, mut left) = (pattern.chars(), text.chars());
    // Where to go on once more if what follows the last `*` does not fit here.
    let mut again: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let text_before = left.clone();
        match (rest.next(), left.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                left = text_before;
                again = Some((rest.clone(), left.clone()));
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => {
                let Some((after_star, mut from)) = again.take() else { return false };
                if from.next().is_none() {
                    return false;
                }
                rest = after_star.clone();
                left = from.clone();
                again = Some((after_star, from));
            }
        }
    }
}

/// Whether `text` has a wildcard.
pub(super) fn has_any(text: &str) -> bool {
    text.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("*", "", true),
            ("*", "a/b/c", true),
            ("?", "", false),
            ("?", "ü", true),
            ("?", "ab", false),
            ("a*", "a", true),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("a?c*", "abc", true),
            ("a?c*", "ac", false),
            ("**", "x", true),
            ("*?", "", false),
            ("*?", "x", true),
            ("logs/*/x", "logs/1/2/x", true),
            ("logs/*/x", "logs/x", false),
            ("A", "a", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    /// What backtracks at every star would take for ever.
    #[test]
    fn many_stars_take_no_exponential_time() {
        let (pattern, text) = ("*a".repeat(500) + "b", "a".repeat(1024));
        assert!(!matches(&pattern, &text));
    }
}
