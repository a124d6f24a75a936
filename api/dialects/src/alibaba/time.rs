//! Times as this cloud writes them: in UTC, in whole seconds or whole minutes.

use jiff::Timestamp;

/// When an instance that is paid by use expires, in the cloud's words: never.
pub const NEVER: &str = "2099-12-31T15:59Z";

/// `2017-01-30T00:00:00Z`.
pub fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2017-01-30T00:00Z`.
pub fn minutes(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%MZ").to_string()
}

/// Reads a time with seconds, and nothing else.
pub fn read_seconds(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    (seconds(time) == text).then_some(time)
}

/// Reads a time without seconds, and nothing else.
pub fn read_minutes(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    (minutes(time) == text).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_clouds_forms_are_times() {
        let time = read_seconds("2017-01-30T01:02:03Z").unwrap();
        assert_eq!(
            (seconds(time).as_str(), minutes(time).as_str()),
            ("2017-01-30T01:02:03Z", "2017-01-30T01:02Z")
        );
        assert!(read_minutes("2017-01-30T01:02Z").is_some() && read_minutes(NEVER).is_some());
        for text in
            ["", "2017-01-30", "2017-01-30T01:02Z", "2017-01-30T01:02:03.5Z", "2017-01-30T01:02:03+01:00"]
        {
            assert_eq!(read_seconds(text), None, "{text}");
        }
        for text in ["2017-01-30T01:02:00Z", "2017-13-30T01:02Z"] {
            assert_eq!(read_minutes(text), None, "{text}");
        }
    }
}
