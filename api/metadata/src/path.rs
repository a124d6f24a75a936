//! A request's path as words. Only what stands between slashes counts: there is no way up and none out.

use hyper::Uri;
use percent_encoding::percent_decode_str;

/// Most words of a path; the deepest row has fewer.
const MAX_WORDS: usize = 16;

/// The words of a path, decoded. Doubled slashes and one at the end are as none, since clients write both. A host in the
/// request's first line is not looked at, as `Host:` is not.
///
/// `None` for what can be no path of ours: too deep, or not UTF-8. Words like `..` are words, which no row has; so is a
/// slash that was encoded.
pub fn words(uri: &Uri) -> Option<Vec<String>> {
    let words = uri.path().split('/').filter(|word| !word.is_empty());
    let decode = |word| percent_decode_str(word).decode_utf8().ok().map(String::from);
    let words: Vec<String> = words.take(MAX_WORDS + 1).map(decode).collect::<Option<_>>()?;
    (words.len() <= MAX_WORDS).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_is_between_slashes() {
        let deep = "/a".repeat(17);
        let cases: [(&str, Option<&[&str]>); 9] = [
            ("/", Some(&[])),
            ("/latest/meta-data/", Some(&["latest", "meta-data"])),
            ("/2007-03-01//meta-data///ami-id?x=/y", Some(&["2007-03-01", "meta-data", "ami-id"])),
            ("http://10.0.0.1/latest/user-data", Some(&["latest", "user-data"])),
            ("/latest/../latest/user-data", Some(&["latest", "..", "latest", "user-data"])),
            ("/a%2Fb/02%3ab0", Some(&["a/b", "02:b0"])),
            ("/%2e%2E/%", Some(&["..", "%"])),
            ("/%ff", None),
            (&deep, None),
        ];
        for (uri, expected) in cases {
            let found = words(&uri.parse().unwrap());
            let expected = expected.map(|words| words.iter().map(|word| (*word).to_owned()).collect());
            assert_eq!(found, expected, "{uri}");
        }
    }
}
