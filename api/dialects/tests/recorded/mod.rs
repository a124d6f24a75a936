//! Recorded exchanges: what is asked of a cloud's API and what it answers, a file for each action in `api/contracts`, beside the
//! documents that a cloud's clients are made from. A cloud's tests note what went over the wire; a last one holds it against the
//! files, or writes them where `cargo xtask api` asks for that. The same for all clouds: a request is the text that was sent, and
//! so is its answer.
//!
//! What differs from run to run has a stand-in. Ids are numbered as they appear in a file, fields that a cloud names are
//! written `{{Name}}`, as files of this kind (`.http`) write what a reader has to fill in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::sync::Semaphore;

/// Set to anything, the files are written.
const WRITES: &str = "BOTHY_WRITE_CONTRACTS";

/// Shortest value that is looked for everywhere once it has a stand-in.
const LEAST: usize = 8;

/// What is asked as it should be. Tests ask it last, since it changes things; readers look for it first.
pub const DONE: &str = "done";

/// Hosts at a time: of all at once each would be too slow for its own limits.
static TURNS: Semaphore = Semaphore::const_new(8);

/// The exchanges of one action.
pub struct Exchanges {
    action: String,
    /// Fields whose values have stand-ins.
    named: &'static [&'static str],
    stand_ins: Vec<(String, String)>,
    ids: usize,
    texts: Vec<String>,
}

impl Exchanges {
    /// None so far. What is `known` to differ has a name for each value.
    pub fn of(action: &str, named: &'static [&'static str], known: &[(String, &str)]) -> Self {
        let stand_in = |(value, name): &(String, &str)| (value.clone(), format!("{{{{{name}}}}}"));
        let stand_ins = known.iter().map(stand_in).collect();
        Self { action: action.to_owned(), named, stand_ins, ids: 0, texts: Vec::new() }
    }

    /// Notes what was sent and what came back, heads and bodies. What is `DONE` comes first in the file.
    pub fn note(&mut self, title: &str, request: &str, answer: &str) {
        let noted = self.noted(title, request, answer);
        let at = if title == DONE { 0 } else { self.texts.len() };
        self.texts.insert(at, noted);
    }

    fn noted(&mut self, title: &str, request: &str, answer: &str) -> String {
        let (request, answer) = (asked(request), answered(answer));
        let (request, answer) = (self.stable(&request), self.stable(&answer));
        format!("### {title}\n{request}\n\n{answer}\n")
    }

    fn stable(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for name in self.named {
            text = self.name_values(&text, name);
        }
        for word in text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-') {
            self.number(word);
        }
        // A value may be the beginning of another.
        self.stand_ins.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        for (value, stand_in) in &self.stand_ins {
            text = text.replace(value, stand_in);
        }
        text
    }

    /// Gives the values of a field a stand-in, in a query, in JSON and in XML. A prefix of XML's is no part of its name.
    fn name_values(&mut self, text: &str, name: &str) -> String {
        let stand_in = format!("{{{{{}}}}}", name.rsplit(':').next().unwrap_or(name));
        let mut text = text.to_owned();
        let forms = [
            (format!("?{name}="), "\n"),
            (format!("&{name}="), "\n"),
            (format!("\n{name}="), "\n"),
            (format!("\"{name}\": \""), "\""),
            (format!("<{name}>"), "<"),
        ];
        for (start, end) in forms {
            let mut from = 0;
            while let Some(found) = text[from..].find(&start) {
                let begin = from + found + start.len();
                let length = text[begin..].find(end).unwrap_or(text.len() - begin);
                let value = text[begin..begin + length].to_owned();
                if value.len() >= LEAST && self.stand_ins.iter().all(|(known, _)| *known != value) {
                    self.stand_ins.push((value, stand_in.clone()));
                }
                if length > 0 {
                    text.replace_range(begin..begin + length, &stand_in);
                }
                from = begin;
            }
        }
        text
    }

    /// Gives a word a number if it is an id, of eight or seventeen hexadecimal digits behind a prefix or a UUID.
    fn number(&mut self, word: &str) {
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let parts: Vec<&str> = word.split('-').collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        let is_uuid = lengths == [8, 4, 4, 4, 12] && parts.iter().all(|part| is_hex(part));
        let digits = match parts[..] {
            _ if is_uuid => word,
            [prefix, .., digits]
                if !prefix.is_empty() && [8, 17].contains(&digits.len()) && is_hex(digits) =>
            {
                digits
            }
            _ => return,
        };
        if self.stand_ins.iter().any(|(known, _)| known == digits) {
            return;
        }
        self.ids += 1;
        let number = self.ids;
        let width = digits.len();
        let stand_in = match is_uuid {
            true => format!("00000000-0000-0000-0000-{number:012}"),
            false => format!("{number:0width$}"),
        };
        self.stand_ins.push((digits.to_owned(), stand_in));
    }
}

/// A request with each parameter on a line of its own.
fn asked(request: &str) -> String {
    let (head, body) = request.split_once("\r\n\r\n").unwrap_or((request, ""));
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let target = first.trim_end_matches(" HTTP/1.1");
    let target = match target.split_once('?') {
        None => target.to_owned(),
        Some((path, query)) => format!("{path}\n    ?{}", query.replace('&', "\n    &")),
    };
    let shown = lines.filter(|line| is_told(line));
    let head = std::iter::once(target.as_str()).chain(shown).collect::<Vec<_>>().join("\n");
    let form = if body.is_empty() || body.starts_with(['{', '[', '<']) {
        pretty(body)
    } else {
        body.replace('&', "\n&")
    };
    if form.is_empty() { head } else { format!("{head}\n\n{form}") }
}

fn answered(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let head =
        std::iter::once(first).chain(lines.filter(|line| is_told(line))).collect::<Vec<_>>().join("\n");
    if body.is_empty() { head } else { format!("{head}\n\n{}", pretty(body)) }
}

/// Whether a header says something of the API, and not of the connection.
fn is_told(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
    !["connection", "content-length", "date"].contains(&name.as_str())
}

/// JSON and XML in lines.
fn pretty(body: &str) -> String {
    if let Ok(value) = serde_json::from_str::<Value>(body) {
        return serde_json::to_string_pretty(&value).unwrap();
    }
    let mut depth = 0usize;
    let mut text = String::new();
    let body = body.replace("><", ">\n<");
    let mut lines = body.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("</") {
            depth = depth.saturating_sub(1);
        }
        write!(text, "{:1$}{line}", "", depth * 2).unwrap();
        let is_tag = line.starts_with('<') && !line.starts_with("</") && !line.starts_with("<?");
        let is_opened = is_tag && !line.contains("</") && !line.ends_with("/>");
        // One with nothing in it stays in its line.
        let end = lines.next_if(|next| is_opened && next.starts_with("</"));
        writeln!(text, "{}", end.unwrap_or_default()).unwrap();
        if is_opened && end.is_none() {
            depth += 1;
        } else if !line.starts_with('<') && line.contains("</") {
            // The end of a text of several lines.
            depth = depth.saturating_sub(1);
        }
    }
    text.trim_end().to_owned()
}

/// The folder of a cloud's files.
fn folder(cloud: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts").join(cloud)
}

/// Lets each action be asked, some at a time, and keeps what was noted. Each gives its exchanges, and what was wrong. Documents
/// have the names of their files.
pub async fn keep_all<F>(cloud: &str, documents: &[(&str, String)], asking: impl Iterator<Item = F>)
where
    F: Future<Output = (Exchanges, Vec<String>)> + Send + 'static,
{
    let in_turn = |ask: F| async move {
        let _turn = TURNS.acquire().await.unwrap();
        ask.await
    };
    let asked: Vec<_> = asking.map(|ask| tokio::spawn(in_turn(ask))).collect();
    let (mut exchanges, mut wrong) = (Vec::new(), Vec::new());
    for asked in asked {
        let (noted, failed) = asked.await.unwrap();
        exchanges.push(noted);
        wrong.extend(failed);
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    keep(cloud, documents, exchanges);
}

/// Holds what was noted against the files, or writes them.
fn keep(cloud: &str, documents: &[(&str, String)], all: Vec<Exchanges>) {
    let folder = folder(cloud);
    let documents = documents.iter().map(|(name, text)| ((*name).to_owned(), format!("{text}\n")));
    let exchanges = all.into_iter().map(|of| (format!("{}.http", of.action), of.texts.join("\n")));
    let noted: BTreeMap<String, String> = documents.chain(exchanges).collect();
    if std::env::var_os(WRITES).is_some() {
        write_all(&folder, &noted);
    }
    let stale = stale(&folder, &noted);
    assert!(
        stale.is_empty(),
        "api/contracts/{cloud} is not what is said now, run `cargo xtask api`: {}",
        stale.join(", ")
    );
}

fn write_all(folder: &Path, noted: &BTreeMap<String, String>) {
    fs::create_dir_all(folder).unwrap();
    for name in names(folder).iter().filter(|name| !noted.contains_key(*name)) {
        fs::remove_file(folder.join(name)).unwrap();
    }
    for (name, text) in noted {
        fs::write(folder.join(name), text).unwrap();
    }
}

/// The files that are missing, too many, or different.
fn stale(folder: &Path, noted: &BTreeMap<String, String>) -> Vec<String> {
    let kept = names(folder);
    let all: BTreeSet<&String> = noted.keys().chain(&kept).collect();
    let is_current = |name: &str| {
        noted
            .get(name)
            .is_some_and(|text| fs::read_to_string(folder.join(name)).is_ok_and(|kept| kept == *text))
    };
    all.into_iter().filter(|name| !is_current(name)).cloned().collect()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeSet::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn what_differs_from_run_to_run_has_a_stand_in() {
    const NAMED: &[&str] = &["Secret", "Signature", "x:Digest"];
    let noted = |id: &str, secret: &str, uuid: &str| {
        let known = [("123456789012".to_owned(), "Account")];
        let mut all = Exchanges::of("Make", NAMED, &known);
        let request = format!(
            "GET /?Id=i-{id}&Signature={secret}x HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n"
        );
        let body = format!(
            r#"{{"Secret":"{secret}","Name":"iZ{id}","Arn":"a:123456789012:{secret}","Id":"{uuid}"}}"#
        );
        all.note("made", &request, &format!("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{body}"));
        let body = format!(
            "<Made><Secret>{secret}</Secret><Id>i-{id}</Id><Rule>sgr-one-0{id}{id}</Rule>\
             <x:Digest>{secret}+</x:Digest></Made>"
        );
        all.note(
            "again",
            &format!("POST / HTTP/1.1\r\n\r\nId=i-{id}&A=b"),
            &format!("HTTP/1.1 200 OK\r\n\r\n{body}"),
        );
        all.texts.join("\n")
    };
    let one = noted("0abcdef1", "hunter2hunter2", "00a00000-0b00-4c00-8d00-00000e000000");
    let other = noted("12345678", "swordfish", "12345678-1234-4234-8234-123456781234");
    let expected = "\
### made
GET /
    ?Id=i-00000001
    &Signature={{Signature}}
host: here

HTTP/1.1 200 OK

{
  \"Arn\": \"a:{{Account}}:{{Secret}}\",
  \"Id\": \"00000000-0000-0000-0000-000000000002\",
  \"Name\": \"iZ00000001\",
  \"Secret\": \"{{Secret}}\"
}

### again
POST /

Id=i-00000001
&A=b

HTTP/1.1 200 OK

<Made>
  <Secret>{{Secret}}</Secret>
  <Id>i-00000001</Id>
  <Rule>sgr-one-00000000000000003</Rule>
  <x:Digest>{{Digest}}</x:Digest>
</Made>
";
    assert_eq!(one, expected);
    assert_eq!(other, expected);
}

#[test]
fn a_file_that_is_not_current_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let noted = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    };
    write_all(folder.path(), &noted(&[("a.http", "a"), ("b.http", "b"), ("c.http", "c")]));
    let now = noted(&[("a.http", "a"), ("b.http", "other"), ("d.http", "d")]);
    assert_eq!(stale(folder.path(), &now), ["b.http", "c.http", "d.http"]);
    write_all(folder.path(), &now);
    assert!(stale(folder.path(), &now).is_empty());
}
