//! JSON as the clouds write it, and times as their clients read them.

use jiff::Timestamp;
use serde_json::{Value, json};

/// An object of texts in this order, with blanks around the colons as the clouds' own documents have them.
pub fn spaced(fields: &[(&str, Value)]) -> String {
    let lines: Vec<String> =
        fields.iter().map(|(name, value)| format!("  {} : {value}", json!(name))).collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

/// A time in whole seconds: some clients take nothing else.
pub fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time as Huawei's clients take it, with six places behind the second.
pub fn fine_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_look_like_the_clouds() {
        let text = spaced(&[("Code", json!("Success")), ("Empty", Value::Null), ("Quoted", json!("a\"b"))]);
        assert_eq!(text, "{\n  \"Code\" : \"Success\",\n  \"Empty\" : null,\n  \"Quoted\" : \"a\\\"b\"\n}");
    }

    #[test]
    fn times_have_the_places_that_are_wanted() {
        let at: Timestamp = "2026-11-24T01:02:03.5Z".parse().unwrap();
        assert_eq!(time(at), "2026-11-24T01:02:03Z");
        assert_eq!(fine_time(at), "2026-11-24T01:02:03.500000Z");
    }
}
