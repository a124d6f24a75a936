//! The form of each text as code checks it is the form that the OpenAPI document says.

use native_api::TEXT_FORMS;
use proptest::prelude::*;
use proptest::string::string_regex;

#[test]
fn examples_have_their_form() {
    for form in TEXT_FORMS {
        assert!(form.fits(form.example), "{}: {}", form.name, form.example);
        assert!(!form.fits(&"a".repeat(form.max + 1)), "{}", form.name);
        assert!(!form.fits("\u{7}"), "{}", form.name);
    }
}

/// What the document says of a text.
fn documented(form: &native_api::TextForm, text: &str) -> bool {
    let length = text.chars().count();
    let pattern = regex::Regex::new(&form.pattern.replace('$', "\\z")).expect("a pattern is one");
    (form.min..=form.max).contains(&length) && pattern.is_match(text)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_near_a_form_is_judged_as_documented(
        index in 0..TEXT_FORMS.len(),
        place in any::<prop::sample::Index>(),
        change in string_regex("[ -~\\n\\x00\\x7f\\x85é]{0,2}").unwrap(),
        cut in 0..3_usize,
    ) {
        let form = &TEXT_FORMS[index];
        let mut text: Vec<char> = form.example.chars().collect();
        let place = place.index(text.len() + 1);
        text.splice(place..(place + cut).min(text.len()), change.chars());
        let text: String = text.into_iter().collect();
        prop_assert_eq!(form.fits(&text), documented(form, &text), "{} {:?}", form.name, text);
    }

    #[test]
    fn what_a_pattern_gives_has_the_form(index in 0..TEXT_FORMS.len(), seed in any::<u64>()) {
        use proptest::strategy::ValueTree;
        use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
        let form = &TEXT_FORMS[index];
        let bytes: Vec<u8> = seed.to_le_bytes().repeat(4);
        let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let pattern = form.pattern.trim_start_matches('^').trim_end_matches('$');
        let text = string_regex(pattern).unwrap().new_tree(&mut runner).unwrap().current();
        prop_assert_eq!(form.fits(&text), documented(form, &text), "{} {:?}", form.name, text);
    }
}
