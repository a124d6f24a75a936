//! Patterns with `*` for any characters and `?` for one: those of actions, resources and conditions. A `*` goes past colons
//! and slashes, since AWS lets one at the end of a part do so; names are not taken apart here.

/// Whether a text is as the pattern says. Time is at most the product of their lengths: on a mismatch only the last `*` is
/// tried to take more, since an earlier one could not do better.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Behind the last `*`, and what it has taken up to.
    let mut last: Option<(usize, usize)> = None;
    while t < text.len() {
        match (pattern.get(p), last) {
            (Some('*'), _) => {
                p += 1;
                last = Some((p, t));
            }
            (Some(c), _) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            (Some(_) | None, Some((behind, taken))) => {
                last = Some((behind, taken + 1));
                (p, t) = (behind, taken + 1);
            }
            (Some(_) | None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// As `matches`, without the case of ASCII. Other letters keep theirs: the Kelvin sign is no `k`.
pub fn matches_ignoring_case(pattern: &str, text: &str) -> bool {
    matches(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, letter by letter; takes for ever on bad cases.
    fn by_definition(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], text) => text.is_empty(),
            (['*', rest @ ..], text) => (0..=text.len()).any(|taken| by_definition(rest, &text[taken..])),
            (['?', rest @ ..], [_, text @ ..]) => by_definition(rest, text),
            ([c, rest @ ..], [d, text @ ..]) => c == d && by_definition(rest, text),
            ([_, ..], []) => false,
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let text = "a".repeat(2000);
        assert!(!matches(&("a*".repeat(500) + "b"), &text));
        assert!(matches_ignoring_case("ECS:start*", "ecs:StartInstance"));
        assert!(!matches_ignoring_case("\u{212a}ms:*", "kms:Decrypt"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn it_is_as_defined(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), by_definition(&p, &t));
        }
    }
}
