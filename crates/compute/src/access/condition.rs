//! Conditions of a statement: `"Condition": {"IpAddress": {"acs:SourceIp": ["10.0.0.0/8"]}}`. The operators are those that
//! AWS and Alibaba share; one that is not known is refused when the document is read. Which keys there are is the dialect's
//! business: one that nothing is known of is an absent one.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use jiff::Timestamp;

use super::Context;
use super::pattern;

/// How a value is compared.
#[derive(Clone, Debug, PartialEq)]
enum Test {
    Equals(Vec<String>),
    EqualsIgnoringCase(Vec<String>),
    Like(Vec<String>),
    Numeric(Ordering, Vec<f64>),
    Date(Ordering, Vec<Timestamp>),
    Bool(Vec<bool>),
    Address(Vec<IpNet>),
    /// Whether the key is absent.
    Null(Vec<bool>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ordering {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Ordering {
    fn holds<T: PartialOrd>(self, value: &T, bound: &T) -> bool {
        match self {
            Self::Equal => value == bound,
            Self::Less => value < bound,
            Self::LessOrEqual => value <= bound,
            Self::Greater => value > bound,
            Self::GreaterOrEqual => value >= bound,
        }
    }
}

/// For which of a key's values the test must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Unsaid,
    Any,
    All,
}

/// One condition: a test of one key's values.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    key: String,
    test: Test,
    negated: bool,
    which: Which,
    if_exists: bool,
}

/// The operators, whether they negate, and how their values are read.
type Read = fn(&[String]) -> Option<Test>;
const OPERATORS: &[(&str, bool, Read)] = &[
    ("StringEquals", false, |texts| Some(Test::Equals(texts.to_vec()))),
    ("StringNotEquals", true, |texts| Some(Test::Equals(texts.to_vec()))),
    ("StringEqualsIgnoreCase", false, |texts| Some(Test::EqualsIgnoringCase(texts.to_vec()))),
    ("StringNotEqualsIgnoreCase", true, |texts| Some(Test::EqualsIgnoringCase(texts.to_vec()))),
    ("StringLike", false, |texts| Some(Test::Like(texts.to_vec()))),
    ("StringNotLike", true, |texts| Some(Test::Like(texts.to_vec()))),
    ("NumericEquals", false, |texts| numeric(Ordering::Equal, texts)),
    ("NumericNotEquals", true, |texts| numeric(Ordering::Equal, texts)),
    ("NumericLessThan", false, |texts| numeric(Ordering::Less, texts)),
    ("NumericLessThanEquals", false, |texts| numeric(Ordering::LessOrEqual, texts)),
    ("NumericGreaterThan", false, |texts| numeric(Ordering::Greater, texts)),
    ("NumericGreaterThanEquals", false, |texts| numeric(Ordering::GreaterOrEqual, texts)),
    ("DateEquals", false, |texts| date(Ordering::Equal, texts)),
    ("DateNotEquals", true, |texts| date(Ordering::Equal, texts)),
    ("DateLessThan", false, |texts| date(Ordering::Less, texts)),
    ("DateLessThanEquals", false, |texts| date(Ordering::LessOrEqual, texts)),
    ("DateGreaterThan", false, |texts| date(Ordering::Greater, texts)),
    ("DateGreaterThanEquals", false, |texts| date(Ordering::GreaterOrEqual, texts)),
    ("Bool", false, |texts| read_all(texts, bool_value).map(Test::Bool)),
    ("IpAddress", false, |texts| read_all(texts, network).map(Test::Address)),
    ("NotIpAddress", true, |texts| read_all(texts, network).map(Test::Address)),
    ("Null", false, |texts| read_all(texts, bool_value).map(Test::Null)),
];

fn read_all<T>(texts: &[String], read: fn(&str) -> Option<T>) -> Option<Vec<T>> {
    texts.iter().map(|text| read(text)).collect()
}

fn numeric(ordering: Ordering, texts: &[String]) -> Option<Test> {
    read_all(texts, number).map(|bounds| Test::Numeric(ordering, bounds))
}

fn date(ordering: Ordering, texts: &[String]) -> Option<Test> {
    read_all(texts, time).map(|bounds| Test::Date(ordering, bounds))
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A time as ISO 8601 has it, a day, or seconds since 1970. Four digits alone are none: ISO takes them for a year.
fn time(text: &str) -> Option<Timestamp> {
    if text.len() == 4 {
        return None;
    }
    let day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let seconds = || text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    text.parse().ok().or_else(seconds).or_else(|| day().map(|day| day.timestamp()))
}

fn bool_value(text: &str) -> Option<bool> {
    text.to_ascii_lowercase().parse().ok()
}

/// A network, or a single address. IPv4 written as IPv6 is IPv4, as it is in the addresses compared with it.
fn network(text: &str) -> Option<IpNet> {
    let network = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    let IpNet::V6(wide) = network else { return Some(network) };
    let mapped = || Ipv4Net::new(wide.addr().to_ipv4_mapped()?, wide.prefix_len().checked_sub(96)?).ok();
    Some(mapped().map_or(network, IpNet::V4))
}

impl Condition {
    /// Reads an operator with its key and the values to compare with. The error says what is wrong.
    pub fn new(operator: &str, key: &str, values: &[String]) -> Result<Self, String> {
        if !key.split_once(':').is_some_and(|(service, name)| !service.is_empty() && !name.is_empty()) {
            // Nothing is ever known of it, and then a negated test holds.
            return Err(format!("{key:?} is no key: expected service:Name"));
        }
        let (which, rest) = match operator.split_once(':') {
            None => (Which::Unsaid, operator),
            Some(("ForAnyValue", rest)) => (Which::Any, rest),
            Some(("ForAllValues", rest)) => (Which::All, rest),
            Some((other, _)) => return Err(format!("{other:?} is neither ForAnyValue nor ForAllValues")),
        };
        let (name, if_exists) = match rest.strip_suffix("IfExists") {
            Some(name) if name != "Null" => (name, true),
            Some(_) | None => (rest, false),
        };
        let Some((_, negated, read)) = OPERATORS.iter().find(|(known, ..)| *known == name) else {
            return Err(format!("there is no operator {operator:?}"));
        };
        let test = read(values).ok_or_else(|| format!("{operator} cannot compare with one of its values"))?;
        Ok(Self { key: key.to_owned(), test, negated: *negated, which, if_exists })
    }

    /// Whether it holds.
    pub fn holds(&self, context: &Context) -> bool {
        let values = context.get(&self.key);
        if let Test::Null(absent) = &self.test {
            return absent.contains(&values.is_none());
        }
        let Some(values) = values else {
            // What is not known is not equal to anything. Of no values, all are anything.
            return self.if_exists
                || match self.which {
                    Which::Unsaid => self.negated,
                    Which::Any => false,
                    Which::All => true,
                };
        };
        let mut results = values.iter().map(|value| self.test.holds(value) != self.negated);
        match self.which {
            // Not equal to a list of values: none of them.
            Which::Unsaid if self.negated => results.all(|holds| holds),
            Which::Unsaid | Which::Any => results.any(|holds| holds),
            Which::All => results.all(|holds| holds),
        }
    }
}

impl Test {
    /// Whether the value compares so with any of the policy's. One that cannot be compared does not.
    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Equals(texts) => texts.iter().any(|text| text == value),
            Self::EqualsIgnoringCase(texts) => {
                texts.iter().any(|text| text.to_lowercase() == value.to_lowercase())
            }
            Self::Like(patterns) => patterns.iter().any(|pattern| pattern::matches(pattern, value)),
            Self::Numeric(ordering, bounds) => {
                number(value).is_some_and(|value| bounds.iter().any(|bound| ordering.holds(&value, bound)))
            }
            Self::Date(ordering, bounds) => {
                time(value).is_some_and(|value| bounds.iter().any(|bound| ordering.holds(&value, bound)))
            }
            Self::Bool(bools) => bool_value(value).is_some_and(|value| bools.contains(&value)),
            Self::Address(networks) => {
                // A socket for both families sees IPv4 callers as `::ffff:10.0.0.1`.
                let address = value.parse().map(|address: IpAddr| address.to_canonical());
                address.is_ok_and(|address| networks.iter().any(|network| network.contains(&address)))
            }
            Self::Null(_) => false, // asked before the values are
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(operator: &str, values: &[&str], known: &[&str]) -> bool {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let mut context = Context::default();
        for value in known {
            context.add("Acs:Key", *value);
        }
        Condition::new(operator, "acs:key", &values).unwrap().holds(&context)
    }

    #[test]
    fn each_operator_compares_its_way() {
        let cases: &[(&str, &[&str], &str, bool)] = &[
            ("StringEquals", &["a", "b"], "b", true),
            ("StringEquals", &["a"], "A", false),
            ("StringNotEquals", &["a", "b"], "b", false),
            ("StringEqualsIgnoreCase", &["a"], "A", true),
            ("StringEqualsIgnoreCase", &["école"], "ÉCOLE", true),
            ("StringNotEqualsIgnoreCase", &["a"], "A", false),
            ("StringLike", &["i-*"], "i-1", true),
            ("StringNotLike", &["i-*"], "i-1", false),
            ("NumericEquals", &["3"], "3.0", true),
            ("NumericNotEquals", &["3"], "4", true),
            ("NumericLessThan", &["3"], "3", false),
            ("NumericLessThanEquals", &["3"], "3", true),
            ("NumericGreaterThan", &["3"], "3", false),
            ("NumericGreaterThanEquals", &["3"], "x", false),
            ("DateEquals", &["2026-11-23"], "2026-11-23T00:00:00Z", true),
            ("DateNotEquals", &["2026-11-23"], "2026-11-24", true),
            ("DateLessThan", &["2026-11-23T10:00:00+08:00"], "2026-11-23T01:59:59Z", true),
            ("DateLessThanEquals", &["10000"], "1970-01-01T02:46:40Z", true),
            ("DateGreaterThan", &["2026-11-23"], "2026-11-23T00:00:00Z", false),
            ("DateGreaterThanEquals", &["2026-11-23"], "2026-11-23T00:00:00Z", true),
            ("Bool", &["true"], "True", true),
            ("IpAddress", &["10.0.0.0/8", "::1"], "10.255.0.1", true),
            ("IpAddress", &["10.0.0.0/8"], "11.0.0.1", false),
            ("NotIpAddress", &["10.0.0.0/8"], "11.0.0.1", true),
            ("IpAddress", &["10.0.0.0/8"], "::ffff:10.0.0.1", true),
            ("NotIpAddress", &["10.0.0.0/8"], "::ffff:10.0.0.1", false),
            ("IpAddress", &["::ffff:10.0.0.0/104"], "::ffff:10.0.0.1", true),
            ("IpAddress", &["::ffff:10.0.0.0/104"], "11.0.0.1", false),
            ("IpAddress", &["::ffff:10.0.0.1"], "10.0.0.1", true),
            ("IpAddress", &["::/0"], "10.0.0.1", false),
            ("Null", &["true"], "x", false),
            ("Null", &["false"], "x", true),
        ];
        for (operator, values, known, expected) in cases {
            assert_eq!(holds(operator, values, &[known]), *expected, "{operator} {values:?} {known}");
        }
    }

    #[test]
    fn what_is_not_known_equals_nothing() {
        assert!(!holds("StringEquals", &["a"], &[]));
        assert!(holds("StringNotEquals", &["a"], &[]));
        assert!(holds("StringEqualsIfExists", &["a"], &[]));
        assert!(!holds("StringEqualsIfExists", &["a"], &["b"]));
        assert!(holds("Null", &["true"], &[]));
        assert!(holds("ForAllValues:StringEquals", &["a"], &[]));
        assert!(!holds("ForAnyValue:StringEquals", &["a"], &[]));
        assert!(!holds("ForAnyValue:StringNotEquals", &["a"], &[]));
    }

    #[test]
    fn of_several_values_any_or_all() {
        let tags = ["web", "mail"];
        assert!(holds("ForAnyValue:StringEquals", &["web"], &tags));
        assert!(!holds("ForAllValues:StringEquals", &["web"], &tags));
        assert!(holds("ForAllValues:StringEquals", &["web", "mail", "db"], &tags));
        assert!(holds("ForAnyValue:StringNotEquals", &["web"], &tags));
        assert!(!holds("StringNotEquals", &["web"], &tags));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let cases = [
            ("StringMatches", "a"),
            ("ForSomeValues:StringEquals", "a"),
            ("NullIfExists", "true"),
            ("NumericEquals", "three"),
            ("NumericEquals", "NaN"),
            ("DateEquals", "yesterday"),
            ("DateEquals", "2026"),
            ("Bool", "yes"),
            ("IpAddress", "10.0.0.0/33"),
        ];
        for (operator, value) in cases {
            assert!(Condition::new(operator, "acs:k", &[value.to_owned()]).is_err(), "{operator} {value}");
        }
        for key in ["", "SourceIp", ":SourceIp", "acs:"] {
            assert!(Condition::new("NotIpAddress", key, &["::1".to_owned()]).is_err(), "{key}");
        }
    }
}
