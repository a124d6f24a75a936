//! apt's source entries, read only to derive one for backports from the machine's own. Knows both spellings: stanzas
//! in `*.sources` (deb822) and lines in `*.list`. Keeps of an entry only what the derived one needs.

use std::path::Path;

use anyhow::Context;

/// One source entry.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Entry {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: Option<String>,
}

/// Reads all entries below apt's configuration folder, in the order of their files' names.
pub fn read(folder: &Path) -> anyhow::Result<Vec<Entry>> {
    let parts = folder.join("sources.list.d");
    let mut files = vec![folder.join("sources.list")];
    if let Ok(listing) = parts.read_dir() {
        files.extend(listing.filter_map(Result::ok).map(|entry| entry.path()));
    }
    files.sort();
    let mut entries = Vec::new();
    for file in files.iter().filter(|file| file.exists()) {
        let text = || std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()));
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => entries.extend(parse_lines(&text()?)),
            Some("sources") => entries.extend(parse_stanzas(&text()?)),
            _ => {}
        }
    }
    Ok(entries)
}

/// The text of a `*.sources` file for the backports of the release `codename`.
pub fn backports(entries: &[Entry], codename: &str) -> Option<String> {
    let has = |words: &[String], word: &str| words.iter().any(|each| each == word);
    let base = entries.iter().find(|entry| has(&entry.suites, codename) && has(&entry.components, "main"))?;
    let mut text = format!(
        "# For a newer QEMU and kernel than {codename} has. Written by bothy's cargo xtask.\n\
         Types: deb\nURIs: {}\nSuites: {codename}-backports\nComponents: main\n",
        base.uris.join(" ")
    );
    if let Some(key) = &base.signed_by {
        text.push_str(&format!("Signed-By: {key}\n"));
    }
    Some(text)
}

/// Lines of a `sources.list` for the release `codename` and its updates, from where this machine has its packages; if that
/// is another release, from the same place.
pub fn release(entries: &[Entry], codename: &str) -> Option<String> {
    let mut text = String::new();
    let mut line = |entry: &Entry, suite: &str| {
        let signed_by = entry.signed_by.as_ref().map_or(String::new(), |key| format!("[signed-by={key}] "));
        for uri in &entry.uris {
            text.push_str(&format!("deb {signed_by}{uri} {suite} main\n"));
        }
    };
    let main = |entry: &&Entry| entry.components.iter().any(|component| component == "main");
    let suites: Vec<String> =
        ["", "-updates", "-security"].iter().map(|part| format!("{codename}{part}")).collect();
    for entry in entries.iter().filter(main) {
        for suite in entry.suites.iter().filter(|suite| suites.contains(suite)) {
            line(entry, suite);
        }
    }
    if !entries.iter().any(|entry| main(&entry) && entry.suites.iter().any(|suite| suite == codename)) {
        line(entries.iter().find(main)?, codename);
    }
    Some(text)
}

/// Entries of the form `deb [options] URI suite component…`.
fn parse_lines(text: &str) -> Vec<Entry> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Entry> {
    let line = line.split('#').next()?.trim().strip_prefix("deb ")?.trim_start();
    let (options, rest) = match line.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => ("", line),
    };
    let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Entry {
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by: signed_by.map(str::to_owned),
    })
}

/// Entries as stanzas of `Field: value` parted by empty lines. Comment lines may stand anywhere, also within a field.
fn parse_stanzas(text: &str) -> Vec<Entry> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.split(|line| line.trim().is_empty()).filter_map(parse_stanza).collect()
}

fn parse_stanza(lines: &[&str]) -> Option<Entry> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        match (line.starts_with([' ', '\t']), fields.last_mut(), line.split_once(':')) {
            // A continuation; the lines of an embedded key stay lines, and white space parts the words of others.
            (true, Some((_, value)), _) => value.push_str(&format!("\n{line}")),
            (false, _, Some((name, value))) => fields.push((name.to_lowercase(), value.trim().to_owned())),
            _ => {}
        }
    }
    let field = |name: &str| fields.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str());
    let words =
        |name| field(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let enabled = !matches!(field("enabled"), Some("no" | "false"));
    (enabled && words("types").iter().any(|kind| kind == "deb")).then(|| Entry {
        uris: words("uris"),
        suites: words("suites"),
        components: words("components"),
        signed_by: field("signed-by").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANZAS: &str = "\
Types: deb
# a comment within
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/key.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main
Enabled: no
";

    #[test]
    fn backports_come_from_where_the_release_comes_from() {
        let text = backports(&parse_stanzas(STANZAS), "bookworm").expect("bookworm is there");
        let derived = &parse_stanzas(&text)[0];
        assert_eq!(derived.uris, ["http://mirror.example/debian"]);
        assert_eq!(derived.suites, ["bookworm-backports"]);
        assert_eq!(derived.components, ["main"]);
        assert_eq!(derived.signed_by.as_deref(), Some("/usr/share/keyrings/key.gpg"));
        assert_eq!(backports(&parse_stanzas(STANZAS), "trixie"), None);
    }

    #[test]
    fn a_release_comes_from_where_this_machine_has_its_packages() {
        let entries = parse_stanzas(STANZAS);
        let line = "deb [signed-by=/usr/share/keyrings/key.gpg] http://mirror.example/debian bookworm";
        assert_eq!(release(&entries, "bookworm"), Some(format!("{line} main\n{line}-updates main\n")));
        let other = line.replace("bookworm", "trixie");
        assert_eq!(release(&entries, "trixie"), Some(format!("{other} main\n")));
        assert_eq!(release(&[], "bookworm"), None);
    }

    #[test]
    fn disabled_stanzas_do_not_count() {
        assert_eq!(parse_stanzas(STANZAS).len(), 1);
    }

    #[test]
    fn lines_with_and_without_options() {
        let text = "deb-src http://m.example/d bookworm main\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://m.example/d bookworm main # why\n\
                    # deb http://other.example/d bookworm main\n\
                    deb http://m.example/s bookworm-security main\n";
        let entries = parse_lines(text);
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].signed_by.as_deref(), Some("/k.gpg"));
        assert_eq!(entries[1].suites, ["bookworm-security"]);
        assert!(backports(&entries, "bookworm").expect("found").contains("URIs: http://m.example/d\n"));
    }

    #[test]
    fn an_embedded_key_keeps_its_lines() {
        let text = "Types: deb\nURIs: http://m.example/d\nSuites: b\nComponents: main\nSigned-By:\n -----BEGIN\n .\n abc\n";
        let entry = backports(&parse_stanzas(text), "b").expect("found");
        assert!(entry.ends_with("Signed-By: \n -----BEGIN\n .\n abc\n"), "{entry}");
    }
}
