//! Versions of the API, which are named by days. Two are spoken: 2007-03-01, whose answers have nothing that its WSDL does not
//! name, and 2016-11-15, which clients of today speak. Whoever asks for another gets the one whose day is nearest, under the
//! name that was asked for, as it is by that name that clients know their answers. STS has one version of its own.

use jiff::civil::{Date, date};

use super::errors::Refusal;

const FIRST: Date = date(2007, 3, 1);
const TODAY: Date = date(2016, 11, 15);
const STS: &str = "2011-06-15";

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// EC2 of 2007-03-01.
    Y2007,
    /// EC2 of 2016-11-15.
    Ec2,
    /// STS of 2011-06-15.
    Sts,
}

/// A version as it was asked for, and what is spoken for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// As it was asked for: `2014-10-01`.
    pub name: String,
    /// What is spoken.
    pub api: Api,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Y2007, Self::Ec2, Self::Sts];

    /// Its own version.
    pub fn version(self) -> &'static str {
        match self {
            Self::Y2007 => "2007-03-01",
            Self::Ec2 => "2016-11-15",
            Self::Sts => STS,
        }
    }

    /// What policies, scopes and people call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Y2007 | Self::Ec2 => "ec2",
            Self::Sts => "sts",
        }
    }
}

impl Version {
    /// Reads the name of a version.
    ///
    /// # Errors
    ///
    /// It is no day.
    pub fn read(name: &str) -> Result<Self, Refusal> {
        if name == STS {
            return Ok(Self { name: name.to_owned(), api: Api::Sts });
        }
        let day: Option<Date> = name.parse().ok();
        // Dates can be written in more ways than versions.
        let day = day.filter(|day| day.to_string() == name).ok_or_else(|| {
            Refusal::new(
                400,
                "InvalidParameterValue",
                format!("Value ({}) for parameter Version is invalid.", shown(name)),
            )
        })?;
        let distance = |from: Date| day.duration_since(from).abs();
        let api = if distance(FIRST) < distance(TODAY) { Api::Y2007 } else { Api::Ec2 };
        Ok(Self { name: name.to_owned(), api })
    }

    /// The name space of its answers.
    pub fn namespace(&self) -> String {
        match self.api {
            Api::Y2007 | Api::Ec2 => format!("http://ec2.amazonaws.com/doc/{}/", self.name),
            Api::Sts => format!("https://sts.amazonaws.com/doc/{STS}/"),
        }
    }
}

fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_nearest_that_is_spoken() {
        for (name, api) in [
            ("2006-06-26", Api::Y2007),
            ("2007-03-01", Api::Y2007),
            ("2008-12-01", Api::Y2007),
            ("2011-06-15", Api::Sts),
            ("2012-01-07", Api::Y2007),
            ("2012-01-09", Api::Ec2),
            ("2014-10-01", Api::Ec2),
            ("2016-11-15", Api::Ec2),
            ("2026-01-01", Api::Ec2),
        ] {
            let version = Version::read(name).unwrap();
            assert_eq!(version.api, api, "{name}");
            assert!(version.namespace().ends_with(&format!("amazonaws.com/doc/{name}/")), "{version:?}");
        }
    }

    #[test]
    fn what_is_no_day_is_no_version() {
        for name in ["", "latest", "2007-3-1", "20070301", "2007-02-30", "2016-11-15T00:00", "+002016-11-15"]
        {
            assert_eq!(Version::read(name).unwrap_err().code, "InvalidParameterValue", "{name}");
        }
    }
}
