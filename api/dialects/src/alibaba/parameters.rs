//! Parameters by their names, read as what actions take them for: flags in any case, numbers, lists in each of the cloud's
//! styles, and numbered groups. What cannot be read is refused under the parameter's own name.

use std::collections::BTreeMap;
use std::str::FromStr;

use compute::resource::Tags;

use super::errors::Refusal;

/// Most parameters of a request. A hundred ids and all there is to say of an instance are fewer.
pub const MAX_PARAMETERS: usize = 1000;

/// Longest name of one, in bytes.
const MAX_NAME: usize = 256;

/// Most items of a list.
const MAX_ITEMS: usize = 100;

/// How a request is signed, and what makes a repetition of it another one.
const NOT_ASKED: &[&str] = &[
    "AccessKeyId",
    "ClientToken",
    "Format",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureType",
    "SignatureVersion",
    "Timestamp",
];

/// Parameters in the order of their names, each there once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    all: BTreeMap<String, String>,
    /// What comes before their names, for messages: `DataDisk.1.`.
    prefix: String,
}

impl Parameters {
    /// Of pairs as they came.
    ///
    /// # Errors
    ///
    /// There are too many, or one comes twice: which of them would be meant?
    pub fn new(pairs: Vec<(String, String)>) -> Result<Self, Refusal> {
        if pairs.len() > MAX_PARAMETERS {
            let why = format!("A request has at most {MAX_PARAMETERS} parameters.");
            return Err(Refusal::new(400, "InvalidParameter", why));
        }
        let mut all = BTreeMap::new();
        for (name, value) in pairs {
            if name.len() > MAX_NAME {
                return Err(Refusal::new(400, "InvalidParameter", "The name of a parameter is too long."));
            }
            if all.contains_key(&name) {
                return Err(Refusal::invalid(&name));
            }
            all.insert(name, value);
        }
        Ok(Self { all, prefix: String::new() })
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A parameter that says something: an empty one is none, as clients send what they have no value for.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The first of these that says something.
    pub fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    /// A parameter that must be there.
    pub fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::missing(&self.full(name)))
    }

    /// A parameter that makes no sense, for whoever finds that.
    pub fn invalid(&self, name: &str) -> Refusal {
        Refusal::invalid(&self.full(name))
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// `true` and `false` in any case: Python's clients send `True`.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        let read = |text: &str| match text {
            _ if text.eq_ignore_ascii_case("true") => Ok(true),
            _ if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(self.invalid(name)),
        };
        self.get(name).map(read).transpose()
    }

    /// Anything that is read from a text: numbers, addresses.
    pub fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        self.get(name).map(|text| text.parse().map_err(|_| self.invalid(name))).transpose()
    }

    /// One of some words.
    pub fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| Some(*value)).ok_or_else(|| self.invalid(name))
    }

    /// A list, in whichever style: a JSON array in one parameter, `Name.1` and so on, or words with commas in between.
    /// `None` if it is not there, which is not the same as an empty array.
    pub fn list(&self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        let mut items: Vec<String> = Vec::new();
        let given = self.get(name);
        match given.map(str::trim) {
            None => {}
            Some(text) if text.starts_with('[') => {
                items = serde_json::from_str(text).map_err(|_| self.invalid(name))?;
            }
            Some(text) => items.extend(text.split(',').map(|word| word.trim().to_owned())),
        }
        let numbered = self.numbered(name, |rest| rest.is_empty())?;
        let is_there = given.is_some() || !numbered.is_empty();
        items.extend(numbered.into_values().filter_map(|one| one.get("").map(str::to_owned)));
        if items.len() > MAX_ITEMS {
            return Err(self.invalid(name));
        }
        Ok(is_there.then_some(items))
    }

    /// A list that must be a JSON array, or numbered.
    pub fn array(&self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        match self.get(name) {
            Some(text) if !text.trim_start().starts_with('[') => Err(self.invalid(name)),
            Some(_) | None => self.list(name),
        }
    }

    /// Groups: of `DataDisk.1.Size` and `DataDisk.1.Category` the first has `Size` and `Category`.
    pub fn groups(&self, name: &str) -> Result<BTreeMap<usize, Self>, Refusal> {
        self.numbered(name, |rest| !rest.is_empty())
    }

    /// What is behind `Name.1`, `Name.2` and so on.
    fn numbered(&self, name: &str, wanted: fn(&str) -> bool) -> Result<BTreeMap<usize, Self>, Refusal> {
        let mut groups: BTreeMap<usize, Self> = BTreeMap::new();
        let start = format!("{name}.");
        for (full, value) in self.all.range(start.clone()..).take_while(|(full, _)| full.starts_with(&start))
        {
            let rest = &full[start.len()..];
            let (number, rest) = rest.split_once('.').unwrap_or((rest, ""));
            if !wanted(rest) {
                continue;
            }
            let number = number.parse().ok().filter(|number| (1..=MAX_ITEMS).contains(number));
            let number: usize = number.ok_or_else(|| self.invalid(full))?;
            let group = groups.entry(number).or_default();
            group.prefix = format!("{}{name}.{number}.", self.prefix);
            group.all.insert(rest.to_owned(), value.clone());
        }
        Ok(groups)
    }

    /// `Tag.1.Key` and `Tag.1.Value` and so on; `None` for a key alone.
    pub fn tag_pairs(&self) -> Result<Vec<(String, Option<String>)>, Refusal> {
        let pair = |group: Self| {
            let key = group.first(&["Key", "key"]).ok_or_else(|| Refusal::missing(&group.full("Key")))?;
            Ok((key.to_owned(), group.first(&["Value", "value"]).map(str::to_owned)))
        };
        self.groups("Tag")?.into_values().map(pair).collect()
    }

    /// The tags for something.
    pub fn tags(&self) -> Result<Tags, Refusal> {
        let pairs = self.tag_pairs()?.into_iter();
        Ok(Tags(pairs.map(|(key, value)| (key, value.unwrap_or_default())).collect()))
    }

    /// All that is asked for, in one text: of two requests with the same one, the second is the first once more.
    pub fn fingerprint(&self) -> String {
        let asked: Vec<_> = self.iter().filter(|(name, _)| !NOT_ASKED.contains(name)).collect();
        serde_json::to_string(&asked).expect("pairs of texts are JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        Parameters::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
            .unwrap()
    }

    #[test]
    fn lists_come_in_three_styles() {
        let expected = Some(vec!["i-1".to_owned(), "i-2".to_owned()]);
        for pairs in
            [&[("Id", "[\"i-1\", \"i-2\"]")][..], &[("Id", "i-1,i-2")], &[("Id.2", "i-2"), ("Id.1", "i-1")]]
        {
            assert_eq!(parameters(pairs).list("Id").unwrap(), expected, "{pairs:?}");
        }
        assert_eq!(parameters(&[("Id", "[]")]).list("Id").unwrap(), Some(vec![]), "matches nothing");
        assert_eq!(parameters(&[("Ids", "x"), ("Id", "")]).list("Id").unwrap(), None);
        assert!(parameters(&[("Id", "i-1")]).array("Id").is_err());
        let many = format!("[{}]", ["\"i\""; 101].join(","));
        for bad in
            [("Id", "[1]"), ("Id", "[\"i"), ("Id.0", "i"), ("Id.x", "i"), ("Id.101", "i"), ("Id", &many)]
        {
            assert_eq!(parameters(&[bad]).list("Id").unwrap_err().code, "InvalidParameter", "{bad:?}");
        }
    }

    #[test]
    fn groups_know_their_place() {
        let all =
            parameters(&[("DataDisk.1.Size", "x"), ("DataDisk.3.Category", "c"), ("DataDisks.1.Size", "1")]);
        let groups = all.groups("DataDisk").unwrap();
        assert_eq!(groups.keys().copied().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(groups[&3].get("Category"), Some("c"));
        let error = groups[&1].parsed::<u64>("Size").unwrap_err();
        assert!(error.message.contains("\"DataDisk.1.Size\""), "{}", error.message);
    }

    #[test]
    fn flags_are_read_in_any_case() {
        let all = parameters(&[("A", "True"), ("B", "fAlse"), ("C", "yes"), ("D", "")]);
        assert_eq!((all.flag("A").unwrap(), all.flag("B").unwrap()), (Some(true), Some(false)));
        assert!(all.flag("C").is_err());
        assert_eq!(all.flag("D").unwrap(), None);
    }

    #[test]
    fn a_repetition_is_told_by_what_is_asked() {
        let first =
            parameters(&[("Size", "1"), ("SignatureNonce", "a"), ("Timestamp", "t"), ("ClientToken", "c")]);
        let again =
            parameters(&[("Size", "1"), ("SignatureNonce", "b"), ("Timestamp", "u"), ("ClientToken", "c")]);
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert_ne!(first.fingerprint(), parameters(&[("Size", "2")]).fingerprint());
    }
}
