//! Paths as rows, and what follows from them: what is at a path, and what a folder lists. A row that has nothing for an
//! instance is not there for it, and neither is a folder in which nothing is: clients give up on a listing of which they
//! cannot get everything.

use serde_json::{Map, Value as Json};

use crate::role::RoleDocument;
use crate::view::{Part, View};

/// The version that is always the newest.
pub const LATEST: &str = "latest";

/// A dialect's paths, under each of its versions.
pub struct Mount {
    /// What comes before the version.
    pub at: &'static [&'static str],
    /// Its versions, the oldest first; as texts they are in the same order.
    pub versions: &'static [&'static str],
    /// What is under each.
    pub rows: &'static [Row],
}

/// Something that can be asked for.
pub struct Row {
    /// Its path behind the version. A word in braces stands for what the instance has, see `names`.
    pub path: &'static str,
    /// The first version that has it.
    pub since: &'static str,
    /// What has to be known of the instance.
    pub needs: &'static [Part],
    /// What is there.
    pub content: Content,
    /// Whether its folder lists it.
    pub is_listed: bool,
}

/// What is at a path.
pub enum Content {
    /// A text.
    Text(fn(&At<'_>) -> Option<String>),
    /// A JSON document that says so.
    Json(fn(&At<'_>) -> Option<String>),
    /// What the user gave to the guest, byte for byte.
    UserData(fn(&At<'_>) -> &'static str),
    /// What the instance's role gives.
    Role(RoleDocument),
}

/// Where a row is looked at.
pub struct At<'a> {
    /// The instance.
    pub view: &'a View,
    /// The version, never `latest`.
    pub version: &'static str,
    /// Which of what the instance has the words in braces stand for, in their order.
    pub bound: &'a [usize],
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Bytes of this type.
    Value(&'static str, Vec<u8>),
    /// A document that the instance's role gives.
    Role(RoleDocument),
    /// Nothing.
    Nothing,
}

/// Plain text, as most is.
pub const TEXT: &str = "text/plain";
/// A JSON document.
pub const JSON: &str = "application/json";

/// Something that stands for a word in braces.
struct Name {
    /// In a path.
    word: String,
    /// In a listing, if that is something else.
    shown: Option<String>,
}

/// What a path may be, before anything is known of the instance but its cloud.
pub enum Place<'a> {
    /// The folder of these versions.
    Versions(Vec<&'static str>),
    /// Something under a version: these rows are there or further down.
    Rows(Vec<(&'static Row, &'static str)>, &'a [String]),
}

impl Row {
    /// A text that is there since a version.
    pub const fn text(
        path: &'static str,
        since: &'static str,
        needs: &'static [Part],
        text: fn(&At<'_>) -> Option<String>,
    ) -> Self {
        Self { path, since, needs, content: Content::Text(text), is_listed: true }
    }

    /// A JSON document.
    pub const fn json(
        path: &'static str,
        since: &'static str,
        needs: &'static [Part],
        document: fn(&At<'_>) -> Option<String>,
    ) -> Self {
        Self { path, since, needs, content: Content::Json(document), is_listed: true }
    }

    /// User data, with its type.
    pub const fn user_data(
        path: &'static str,
        since: &'static str,
        content_type: fn(&At<'_>) -> &'static str,
    ) -> Self {
        Self { path, since, needs: &[], content: Content::UserData(content_type), is_listed: true }
    }

    /// What the role gives.
    pub const fn role(path: &'static str, since: &'static str, document: RoleDocument) -> Self {
        Self { path, since, needs: &[], content: Content::Role(document), is_listed: true }
    }

    /// The same, not listed.
    pub const fn hidden(self) -> Self {
        Self { is_listed: false, ..self }
    }

    fn words(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.path.split('/')
    }

    /// Whether it is at this path or further down, whatever words in braces stand for.
    fn may_be_at(&self, path: &[String]) -> bool {
        let mut words = self.words();
        path.iter()
            .all(|word| words.next().is_some_and(|pattern| is_bound(pattern) || is_word(pattern, word)))
    }
}

fn is_bound(pattern: &str) -> bool {
    pattern.starts_with('{')
}

fn is_word(pattern: &str, word: &str) -> bool {
    // Alibaba's own storage client writes it with a capital.
    pattern == word || (pattern == "ram" && word == "Ram")
}

/// What a path may be; `None` for nothing.
pub fn place<'a>(mounts: &[&'static Mount], path: &'a [String]) -> Option<Place<'a>> {
    let (mut versions, mut rows, mut below): (Vec<&str>, Vec<_>, &[String]) = (Vec::new(), Vec::new(), &[]);
    for mount in mounts {
        let is_under = path.len() >= mount.at.len() && path.iter().zip(mount.at).all(|(a, b)| a == b);
        if !is_under {
            continue;
        }
        let Some((version, rest)) = path[mount.at.len()..].split_first() else {
            versions.extend(mount.versions);
            continue;
        };
        let version = match version.as_str() {
            LATEST => mount.versions.last(),
            dated => mount.versions.iter().find(|known| **known == dated),
        };
        let Some(version) = version else { continue };
        below = rest;
        let there = mount.rows.iter().filter(|row| row.since <= *version && row.may_be_at(rest));
        rows.extend(there.map(|row| (row, *version)));
    }
    if !versions.is_empty() {
        versions.sort_unstable();
        versions.dedup();
        versions.push(LATEST);
        return Some(Place::Versions(versions));
    }
    (!rows.is_empty()).then_some(Place::Rows(rows, below))
}

/// What is at a path, of rows that may be there. The first that has something there wins; listings are of all.
pub fn find(view: &View, rows: &[(&'static Row, &'static str)], path: &[String]) -> Found {
    let mut listed = Vec::new();
    for (row, version) in rows {
        let Some((bound, rest)) = follow(view, row, path) else { continue };
        let at = At { view, version, bound: &bound };
        if rest.is_empty() {
            match value(&at, row) {
                Found::Nothing => {}
                found => return found,
            }
        } else if row.is_listed {
            list(&at, row, &rest, path.is_empty(), &mut listed);
        }
    }
    if listed.is_empty() {
        return Found::Nothing;
    }
    listed.sort_unstable();
    listed.dedup();
    Found::Value(TEXT, listed.join("\n").into_bytes())
}

/// Goes down a row as far as a path does: what words in braces stand for, and what is left of the row.
fn follow(view: &View, row: &'static Row, path: &[String]) -> Option<(Vec<usize>, Vec<&'static str>)> {
    let (mut words, mut bound) = (row.words(), Vec::new());
    for word in path {
        let pattern = words.next()?;
        if is_bound(pattern) {
            bound.push(names(view, pattern, &bound).iter().position(|name| name.word == *word)?);
        } else if !is_word(pattern, word) {
            return None;
        }
    }
    Some((bound, words.collect()))
}

/// What a row has.
pub fn value(at: &At<'_>, row: &Row) -> Found {
    let text = |content_type, text: Option<String>| match text {
        Some(text) => Found::Value(content_type, text.into_bytes()),
        None => Found::Nothing,
    };
    match row.content {
        Content::Text(content) => text(TEXT, content(at)),
        Content::Json(content) => text(JSON, content(at)),
        Content::UserData(content_type) => match at.view.user_data() {
            Some(bytes) => Found::Value(content_type(at), bytes),
            None => Found::Nothing,
        },
        Content::Role(document) => {
            let is_there = at.view.instance.role.is_some() || document.is_always_there();
            if is_there { Found::Role(document) } else { Found::Nothing }
        }
    }
}

/// Adds what a row brings to the listing of the folder at `at`, of which `rest` is left below.
fn list(at: &At<'_>, row: &'static Row, rest: &[&'static str], is_top: bool, listed: &mut Vec<String>) {
    let Some((first, below)) = rest.split_first() else { return };
    // EC2 writes what is directly under a version without slashes.
    let end = if below.is_empty() || is_top { "" } else { "/" };
    if !is_bound(first) {
        if leaves(at, row, below, &mut |_, _| {}) {
            listed.push(format!("{first}{end}"));
        }
        return;
    }
    for (index, name) in names(at.view, first, at.bound).into_iter().enumerate() {
        let bound = [at.bound, &[index]].concat();
        if leaves(&At { bound: &bound, ..*at }, row, below, &mut |_, _| {}) {
            listed.push(name.shown.unwrap_or_else(|| format!("{}{end}", name.word)));
        }
    }
}

/// Visits all that a row has below `at`, with the words that lead there; whether there is anything.
fn leaves(at: &At<'_>, row: &Row, rest: &[&'static str], visit: &mut dyn FnMut(&[String], &Found)) -> bool {
    fn walk(
        at: &At<'_>,
        row: &Row,
        rest: &[&'static str],
        path: &mut Vec<String>,
        visit: &mut dyn FnMut(&[String], &Found),
    ) -> bool {
        let Some((first, below)) = rest.split_first() else {
            let found = value(at, row);
            if found == Found::Nothing {
                return false;
            }
            visit(path, &found);
            return true;
        };
        let mut step = |at: &At<'_>, word: String| {
            path.push(word);
            let is_there = walk(at, row, below, path, visit);
            path.pop();
            is_there
        };
        if !is_bound(first) {
            return step(at, (*first).to_owned());
        }
        let names = names(at.view, first, at.bound).into_iter().enumerate();
        names.fold(false, |is_there, (index, name)| {
            let bound = [at.bound, &[index]].concat();
            step(&At { bound: &bound, ..*at }, name.word) || is_there
        })
    }
    walk(at, row, rest, &mut Vec::new(), visit)
}

/// All texts below a folder of these rows as one JSON object; what has several lines is a list.
pub fn nested(at: &At<'_>, rows: &'static [Row], folder: &str) -> Json {
    let mut all = Map::new();
    for row in rows.iter().filter(|row| row.is_listed && row.since <= at.version) {
        let mut rest: Vec<&'static str> = row.words().collect();
        if rest.first() != Some(&folder) {
            continue;
        }
        rest.remove(0);
        leaves(&At { bound: &[], ..*at }, row, &rest, &mut |path, found| {
            // Credentials are asked for by themselves.
            let Found::Value(_, bytes) = found else { return };
            let text = String::from_utf8_lossy(bytes);
            let value = match text.contains('\n') {
                true => text.lines().map(Json::from).collect(),
                false => Json::from(text),
            };
            put(&mut all, path, value);
        });
    }
    Json::Object(all)
}

fn put(object: &mut Map<String, Json>, path: &[String], value: Json) {
    match path {
        [] => {}
        [last] => {
            object.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let inner = object.entry(first.clone()).or_insert_with(|| Map::new().into());
            if let Json::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// What a word in braces stands for, in the order of the instance's record.
fn names(view: &View, pattern: &str, bound: &[usize]) -> Vec<Name> {
    let plain = |word: String| Name { word, shown: None };
    let nic = || bound.first().and_then(|index| view.nics.get(*index));
    match pattern {
        "{mac}" => view.nics.iter().map(|nic| plain(nic.mac())).collect(),
        "{public}" => {
            nic().and_then(|nic| nic.public).map(|address| plain(address.to_string())).into_iter().collect()
        }
        "{disk}" => view.disks.iter().map(|disk| plain(disk.id.to_string())).collect(),
        "{role}" => view.instance.role.iter().map(|role| plain(role.clone())).collect(),
        "{tag}" => view.tags().map(|(key, _)| plain(key.clone())).collect(),
        "{key}" => {
            let shown = |key: &compute::resource::InstanceKey| Some(format!("0={}", key.name));
            view.instance
                .key_pair
                .iter()
                .map(|key| Name { word: "0".to_owned(), shown: shown(key) })
                .collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::cloud::{ALIBABA, EC2, OPENSTACK};

    const BOUND: [&str; 6] = ["{mac}", "{public}", "{disk}", "{role}", "{tag}", "{key}"];

    #[test]
    fn rows_are_in_order() {
        for mount in [&EC2, &ALIBABA, &OPENSTACK] {
            assert!(mount.versions.is_sorted());
            let newest = mount.versions.last().unwrap();
            for (place, row) in mount.rows.iter().enumerate() {
                assert!(row.since <= *newest && !row.path.starts_with('/'), "{}", row.path);
                assert!(
                    row.words().all(|word| !super::is_bound(word) || BOUND.contains(&word)),
                    "{}",
                    row.path
                );
                assert!(
                    mount.rows[..place].iter().all(|before| before.path != row.path),
                    "{} twice",
                    row.path
                );
            }
        }
    }
}
