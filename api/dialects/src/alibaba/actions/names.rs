//! What the instances of a launch are called: each by a number of its own where the name has a place for one, `web-[1,3]`, or
//! where numbers are asked for, and by the host names that are listed.
//!
//! <https://www.alibabacloud.com/help/en/ecs/user-guide/batch-configure-sequential-names-or-hostnames-for-multiple-instances>

use compute::compute::OwnNames;

use super::super::Refusal;
use super::super::parameters::Parameters;
use super::launch::name;

/// Largest number in a name.
const MAX_NUMBER: usize = 999_999;
/// How many digits a number has, if a name does not say it.
const USUAL_DIGITS: usize = 6;
/// How many digits the numbers have that are hung onto names.
const SUFFIX_DIGITS: usize = 3;

/// A name with a place for a number.
#[derive(Debug, PartialEq, Eq)]
struct Sequence<'a> {
    prefix: &'a str,
    first: usize,
    digits: usize,
    suffix: &'a str,
}

impl<'a> Sequence<'a> {
    /// That of a name; `None` if it has none, and is a name like others.
    fn read(name: &'a str) -> Option<Self> {
        let (prefix, rest) = name.split_once('[')?;
        let (inside, suffix) = rest.split_once(']')?;
        let (first, digits) = inside.split_once(',').unwrap_or((inside, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if prefix.is_empty() || !is_number(first) || !is_number(digits) {
            return None;
        }
        let asked = if digits.is_empty() { USUAL_DIGITS } else { digits.parse().ok()? };
        let number = if first.is_empty() { 0 } else { first.parse().ok()? };
        if number > MAX_NUMBER || !(1..=USUAL_DIGITS).contains(&asked) {
            return None;
        }
        let digits = if first.len() > asked { USUAL_DIGITS } else { asked };
        Some(Self { prefix, first: number, digits, suffix })
    }
}

/// What `name` makes each of `count` instances called; `None` where all have the same.
fn each(name: &str, count: usize, unique: bool) -> Option<Vec<String>> {
    let unique = unique && count > 1;
    let sequence = Sequence::read(name);
    // Numbers at the end tell them apart already.
    let unique = unique && sequence.as_ref().is_none_or(|sequence| !sequence.suffix.is_empty());
    if sequence.is_none() && !unique {
        return None;
    }
    let one = |n: usize| {
        let mut full = match &sequence {
            None => name.to_owned(),
            Some(Sequence { prefix, first, digits, suffix }) => {
                format!("{prefix}{:0digits$}{suffix}", first + n, digits = *digits)
            }
        };
        if unique {
            full.push_str(&format!("{:0SUFFIX_DIGITS$}", n + 1));
        }
        full
    };
    Some((0..count).map(one).collect())
}

/// What each of `count` instances is called, where they are not all called the same.
pub fn own_names(parameters: &Parameters, count: usize) -> Result<Vec<OwnNames>, Refusal> {
    let unique = parameters.flag("UniqueSuffix")?.unwrap_or(false);
    let in_range = |name: &str| {
        Sequence::read(name).is_none_or(|sequence| sequence.first + count.saturating_sub(1) <= MAX_NUMBER)
    };
    for parameter in ["InstanceName", "HostName"] {
        if !parameters.get(parameter).is_none_or(in_range) {
            return Err(parameters.invalid(parameter));
        }
    }
    let names = name(parameters, "InstanceName")?.and_then(|name| each(&name, count, unique));
    let listed = parameters.array("HostNames")?;
    let host_names = match (parameters.get("HostName"), listed) {
        (Some(_), Some(_)) => return Err(parameters.invalid("HostNames")),
        (None, Some(listed)) if listed.len() != count => return Err(parameters.invalid("HostNames")),
        (None, listed) => listed,
        (Some(name), None) => each(name, count, unique),
    };
    let nth = |names: &Option<Vec<String>>, n: usize| names.as_ref().and_then(|names| names.get(n).cloned());
    Ok(match (&names, &host_names) {
        (None, None) => Vec::new(),
        _ => (0..count).map(|n| OwnNames { name: nth(&names, n), host_name: nth(&host_names, n) }).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_as_the_cloud_does() {
        for (name, unique, expected) in [
            ("web", false, None),
            ("web", true, Some(["web001", "web002"])),
            ("web-[7,3]", false, Some(["web-007", "web-008"])),
            ("web-[7,3]-x", false, Some(["web-007-x", "web-008-x"])),
            ("web[]", false, Some(["web000000", "web000001"])),
            ("web[,]", false, Some(["web000000", "web000001"])),
            ("web[,2]", false, Some(["web00", "web01"])),
            ("web[5]", false, Some(["web000005", "web000006"])),
            ("web[123,2]", false, Some(["web000123", "web000124"])),
            ("web[9,1]", false, Some(["web9", "web10"])),
            // One number is enough, if it is at the end.
            ("web[1,2]", true, Some(["web01", "web02"])),
            ("web[1,2]x", true, Some(["web01x001", "web02x002"])),
        ] {
            let expected = expected.map(|names| names.map(str::to_owned).to_vec());
            assert_eq!(each(name, 2, unique), expected, "{name} {unique}");
        }
        assert_eq!(each("web", 1, true), None, "there is nothing to be told apart");
    }

    #[test]
    fn what_is_no_sequence_is_a_name() {
        for name in
            ["[1,2]", "a[1, 2]", "a[x,2]", "a[1,7]", "a[1,0]", "a[1000000,6]", "a]1[", "a[1", "a[-1,2]"]
        {
            assert_eq!(Sequence::read(name), None, "{name}");
        }
        let long = format!("a[{}]", "9".repeat(100));
        assert_eq!(Sequence::read(&long), None);
    }
}
