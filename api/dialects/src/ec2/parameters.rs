//! Parameters by their names, read as what actions take them for: flags, numbers, lists and numbered groups. What cannot be read
//! is refused under the parameter's own name. An empty value is none, as clients of 2007 send what they have no value for; and
//! a list of one is also taken without its number, as other clients of that year send it.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::errors::Refusal;

/// Most parameters of a request. A thousand ids are what a client of today may ask for at once.
pub const MAX_PARAMETERS: usize = 2500;

/// Longest name of one, in bytes.
const MAX_NAME: usize = 256;

/// Most items of a list.
const MAX_ITEMS: usize = 1000;

/// How a request is signed, and what makes a repetition of it another one.
pub const NOT_ASKED: &[&str] = &[
    "AWSAccessKeyId",
    "ClientToken",
    "Expires",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureVersion",
    "Timestamp",
    "Version",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

/// Parameters in the order of their names, each there once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    all: BTreeMap<String, String>,
    /// What comes before their names, for messages: `BlockDeviceMapping.1.`.
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
                return Err(Refusal::new(
                    400,
                    "InvalidParameter",
                    format!("The parameter {name} comes twice."),
                ));
            }
            all.insert(name, value);
        }
        Ok(Self { all, prefix: String::new() })
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A parameter that says something.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A parameter that must be there.
    pub fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| self.missing(name))
    }

    /// A parameter is not there, for whoever finds that.
    pub fn missing(&self, name: &str) -> Refusal {
        Refusal::missing(&self.full(name))
    }

    /// A parameter makes no sense, for whoever finds that.
    pub fn invalid(&self, name: &str) -> Refusal {
        Refusal::invalid(&self.full(name), self.get(name).unwrap_or_default())
    }

    /// A parameter's name as the client wrote it.
    pub fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.all.values().all(String::is_empty)
    }

    /// `true` and `false` in any case.
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

    /// The items of a list, `Name.1` and so on, in the order of their numbers. Empty ones are none.
    pub fn list(&self, name: &str) -> Result<Vec<String>, Refusal> {
        let bare = self.get(name).map(str::to_owned);
        let numbered = self.numbered(name, |rest| rest.is_empty())?;
        let numbered = numbered.into_values().filter_map(|one| one.get("").map(str::to_owned));
        Ok(bare.into_iter().chain(numbered).collect())
    }

    /// The items of a list that must have some.
    pub fn required_list(&self, name: &str) -> Result<Vec<String>, Refusal> {
        let items = self.list(name)?;
        if items.is_empty() { Err(self.missing(name)) } else { Ok(items) }
    }

    /// Groups, in the order of their numbers: of `Filter.1.Name` and `Filter.1.Value.1` the first has `Name` and `Value.1`.
    pub fn groups(&self, name: &str) -> Result<Vec<Self>, Refusal> {
        Ok(self.numbered(name, |rest| !rest.is_empty())?.into_values().collect())
    }

    /// The one group of this name: of `Placement.Tenancy` it has `Tenancy`.
    pub fn group(&self, name: &str) -> Self {
        let start = format!("{name}.");
        let within = self.all.range(start.clone()..).take_while(|(full, _)| full.starts_with(&start));
        let all = within.map(|(full, value)| (full[start.len()..].to_owned(), value.clone())).collect();
        Self { all, prefix: format!("{}{start}", self.prefix) }
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
            let number: usize = number.ok_or_else(|| Refusal::unknown_parameter(&self.full(full)))?;
            let group = groups.entry(number).or_default();
            group.prefix = format!("{}{name}.{number}.", self.prefix);
            group.all.insert(rest.to_owned(), value.clone());
        }
        Ok(groups)
    }

    /// All that is asked for, in one text: of two requests with the same one, the second is the first once more.
    pub fn fingerprint(&self) -> String {
        let asked: Vec<_> = self.iter().filter(|(name, _)| !NOT_ASKED.contains(name)).collect();
        serde_json::to_string(&asked).expect("pairs of texts are JSON")
    }
}

/// Parameters of pairs, for tests.
#[cfg(test)]
pub fn of(pairs: &[(&str, &str)]) -> Parameters {
    Parameters::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        .unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_in_the_order_of_their_numbers() {
        let all =
            of(&[("InstanceId.10", "c"), ("InstanceId.2", "b"), ("InstanceId.3", ""), ("InstanceId", "a")]);
        assert_eq!(all.list("InstanceId").unwrap(), ["a", "b", "c"]);
        assert!(all.list("Instance").unwrap().is_empty());
        for bad in ["InstanceId.0", "InstanceId.x", "InstanceId.-1", "InstanceId.1001"] {
            assert_eq!(of(&[(bad, "x")]).list("InstanceId").unwrap_err().code, "UnknownParameter", "{bad}");
        }
    }

    #[test]
    fn groups_may_have_lists_of_their_own() {
        let all = of(&[
            ("Filter.1.Name", "tag:a"),
            ("Filter.1.Value.1", "x"),
            ("Filter.1.Value.2", "y"),
            ("Filter.2.Name", ""),
            ("Placement.Tenancy", "default"),
        ]);
        let groups = all.groups("Filter").unwrap();
        assert_eq!(groups[0].list("Value").unwrap(), ["x", "y"]);
        let missing = groups[1].required("Name").unwrap_err();
        assert_eq!(&*missing.code, "MissingParameter");
        assert!(missing.message.contains("Filter.2.Name"), "{missing:?}");
        assert_eq!(all.group("Placement").get("Tenancy"), Some("default"));
        assert!(all.group("Monitoring").is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_name() {
        let all = of(&[("DryRun", "yes"), ("MaxCount", "x"), ("Tenancy", "odd")]);
        let refusals = [
            all.flag("DryRun").unwrap_err(),
            all.parsed::<u32>("MaxCount").unwrap_err(),
            all.choice("Tenancy", &[("default", ())]).unwrap_err(),
        ];
        for (refusal, name) in refusals.iter().zip(["DryRun", "MaxCount", "Tenancy"]) {
            assert_eq!(&*refusal.code, "InvalidParameterValue");
            assert!(refusal.message.contains(name), "{refusal:?}");
        }
        let twice = vec![("A".to_owned(), "1".to_owned()), ("A".to_owned(), "2".to_owned())];
        assert_eq!(Parameters::new(twice).unwrap_err().code, "InvalidParameter");
    }

    #[test]
    fn a_fingerprint_is_of_what_is_asked() {
        let first = of(&[("ImageId", "ami-1"), ("ClientToken", "t"), ("Timestamp", "1"), ("Signature", "x")]);
        let again = of(&[("ImageId", "ami-1"), ("ClientToken", "t"), ("Timestamp", "2"), ("Signature", "y")]);
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert_ne!(first.fingerprint(), of(&[("ImageId", "ami-2")]).fingerprint());
    }
}
