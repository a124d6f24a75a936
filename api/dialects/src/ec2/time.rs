//! Times as this cloud writes them: in UTC, with milliseconds.

use jiff::Timestamp;

/// `2007-03-01T12:00:00.000Z`.
pub fn written(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// `2007-03-01T12:00:00Z`, as STS writes them.
pub fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Reads a time in UTC, with or without a fraction of a second.
pub fn read(text: &str) -> Option<Timestamp> {
    let has_form = text.len() >= 20 && text.is_ascii() && text.as_bytes()[10] == b'T' && text.ends_with('Z');
    if has_form { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_fractions() {
        let time = read("2007-03-01T12:00:00Z").unwrap();
        assert_eq!(written(time), "2007-03-01T12:00:00.000Z");
        assert_eq!(seconds(time), "2007-03-01T12:00:00Z");
        assert_eq!(read("2007-03-01T12:00:00.000Z"), Some(time));
        for text in [
            "",
            "2007-03-01",
            "2007-03-01T12:00:00",
            "2007-03-01T12:00:00+01:00",
            "2007-03-01 12:00:00Z",
            "€€€€€€€€€€€€€Z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
