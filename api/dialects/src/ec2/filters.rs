//! Filters of lists: `Filter.n.Name` with values of which one must be so, in which `*` stands for any text and `?` for one letter.
//! All filters of a request must hold. Each list has its own names, those of tags all have.

use compute::resource::Tags;

use super::errors::Refusal;
use super::parameters::Parameters;

/// Most values of all filters of a request.
const MAX_VALUES: usize = 200;

/// A filter.
#[derive(Debug, PartialEq, Eq)]
struct Filter {
    name: String,
    values: Vec<String>,
}

/// All filters of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Filters(Vec<Filter>);

impl Filters {
    /// Reads them. `names` are those that the list has, apart from those of tags.
    ///
    /// # Errors
    ///
    /// There is no such filter, one has no values, or there are too many.
    pub fn read(parameters: &Parameters, names: &[&str]) -> Result<Self, Refusal> {
        let mut filters = Vec::new();
        let mut count = 0;
        for group in parameters.groups("Filter")? {
            let name = group.required("Name")?.to_owned();
            let is_of_tags = name == "tag-key" || name == "tag-value" || name.starts_with("tag:");
            if !is_of_tags && !names.contains(&name.as_str()) {
                let name: String = name.chars().take(64).collect();
                let why = format!("The filter '{name}' is invalid");
                return Err(Refusal::new(400, "InvalidParameterValue", why));
            }
            let values = group.required_list("Value")?;
            count += values.len();
            if count > MAX_VALUES {
                let why =
                    format!("The maximum number of filter values specified on a single call is {MAX_VALUES}");
                return Err(Refusal::new(400, "FilterLimitExceeded", why));
            }
            filters.push(Filter { name, values });
        }
        Ok(Self(filters))
    }

    /// Whether something passes all of them: `of` gives what it has under the name of a filter, and these are its tags.
    pub fn pass(&self, tags: &Tags, of: impl Fn(&str) -> Vec<String>) -> bool {
        self.0.iter().all(|filter| {
            let found: Vec<String> = match filter.name.as_str() {
                "tag-key" => tags.0.keys().cloned().collect(),
                "tag-value" => tags.0.values().cloned().collect(),
                name => match name.strip_prefix("tag:") {
                    Some(key) => tags.0.get(key).cloned().into_iter().collect(),
                    None => of(name),
                },
            };
            found.iter().any(|found| filter.values.iter().any(|pattern| is_like(found, pattern)))
        })
    }
}

/// Whether a text is like a pattern: `*` is any text, `?` one letter, and a backslash takes what follows for itself.
pub fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts: Vec<Part> = Vec::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        parts.push(match letter {
            '*' => Part::Any,
            '?' => Part::One,
            '\\' => Part::Letter(letters.next().unwrap_or('\\')),
            letter => Part::Letter(letter),
        });
    }
    let text: Vec<char> = text.chars().collect();
    // Where the last star is, and where it was last tried: from there on it takes one letter more.
    let (mut at, mut part, mut star) = (0, 0, None);
    while at < text.len() {
        match parts.get(part) {
            Some(Part::Any) => {
                star = Some((part, at));
                part += 1;
            }
            Some(Part::One) => (at, part) = (at + 1, part + 1),
            Some(Part::Letter(letter)) if *letter == text[at] => (at, part) = (at + 1, part + 1),
            Some(Part::Letter(_)) | None => {
                let Some((starred, from)) = star else { return false };
                star = Some((starred, from + 1));
                (at, part) = (from + 1, starred + 1);
            }
        }
    }
    parts[part..].iter().all(|part| *part == Part::Any)
}

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Any,
    One,
    Letter(char),
}

#[cfg(test)]
mod tests {
    use super::super::parameters::of;
    use super::*;

    #[test]
    fn patterns_have_stars_and_question_marks() {
        for (text, pattern, is) in [
            ("running", "running", true),
            ("running", "run*", true),
            ("running", "*ing", true),
            ("running", "r*n*g", true),
            ("running", "runnin?", true),
            ("running", "running?", false),
            ("running", "Running", false),
            ("", "*", true),
            ("", "", true),
            ("", "?", false),
            ("a*b", "a\\*b", true),
            ("axb", "a\\*b", false),
            ("aaab", "*aab", true),
            ("über", "?ber", true),
        ] {
            assert_eq!(is_like(text, pattern), is, "{text} {pattern}");
        }
        assert!(!is_like(&"a".repeat(255), &"*a".repeat(100).replace('a', "b")));
    }

    #[test]
    fn all_filters_must_hold_by_any_of_their_values() {
        let filters = Filters::read(
            &of(&[
                ("Filter.1.Name", "state"),
                ("Filter.1.Value.1", "running"),
                ("Filter.1.Value.2", "stop*"),
                ("Filter.2.Name", "tag:role"),
                ("Filter.2.Value.1", "db"),
            ]),
            &["state"],
        );
        let filters = filters.unwrap();
        let tags = |role: &str| Tags([("role".to_owned(), role.to_owned())].into());
        let state = |state: &'static str| move |_: &str| vec![state.to_owned()];
        assert!(filters.pass(&tags("db"), state("stopped")));
        assert!(!filters.pass(&tags("web"), state("stopped")));
        assert!(!filters.pass(&tags("db"), state("pending")));
        assert!(!filters.pass(&Tags::default(), state("running")));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for (pairs, code) in [
            (vec![("Filter.1.Name", "colour"), ("Filter.1.Value.1", "red")], "InvalidParameterValue"),
            (vec![("Filter.1.Value.1", "red")], "MissingParameter"),
            (vec![("Filter.1.Name", "state")], "MissingParameter"),
        ] {
            assert_eq!(Filters::read(&of(&pairs), &["state"]).unwrap_err().code, code, "{pairs:?}");
        }
    }
}
