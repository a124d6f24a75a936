//! What is printed: tables for people, the API's objects for programs, ids for scripts; progress on stderr.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde::Serialize;

use crate::failure::Failure;

/// How to print.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// JSON instead of tables.
    pub json: bool,
    /// Ids only, and no progress.
    pub quiet: bool,
    /// No progress.
    pub no_progress: bool,
}

impl Output {
    /// Prints a text and ends its line.
    pub fn line(self, text: impl AsRef<str>) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_ref().as_bytes())?;
        stdout.write_all(b"\n")?;
        Ok(stdout.flush()?)
    }

    /// Says to people what was done; programs see it otherwise.
    pub fn say(self, text: impl AsRef<str>) -> Result<(), Failure> {
        if self.json || self.quiet { Ok(()) } else { self.line(text) }
    }

    /// Prints an object as JSON.
    pub fn json(self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value);
        self.line(text.map_err(|error| std::io::Error::other(error.to_string()))?)
    }

    /// Prints a list: as JSON, as ids, or as a table of these columns.
    pub fn list<T: Serialize, const COLUMNS: usize>(
        self,
        items: &[T],
        id: impl Fn(&T) -> String,
        headers: [&str; COLUMNS],
        row: impl Fn(&T) -> [String; COLUMNS],
    ) -> Result<(), Failure> {
        if self.json {
            return self.json(&items);
        }
        if self.quiet {
            return items.iter().try_for_each(|item| self.line(printable(&id(item))));
        }
        self.line(table(headers, items.iter().map(row)))
    }

    /// Prints one thing: as JSON, as its id, or field by field. Empty fields are left out.
    pub fn one<T: Serialize>(self, item: &T, id: &str, fields: &[(&str, String)]) -> Result<(), Failure> {
        if self.json {
            return self.json(item);
        }
        if self.quiet {
            return self.line(printable(id));
        }
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
            let indent = " ".repeat(width + 2);
            let value: Vec<_> = value.lines().map(printable).collect();
            self.line(format!("{name:width$}  {}", value.join(&format!("\n{indent}"))))?;
        }
        Ok(())
    }

    /// A bar on stderr that counts bytes.
    pub fn bar(self, what: &str) -> ProgressBar {
        let style =
            ProgressStyle::with_template("{msg}  {wide_bar}  {bytes}/{total_bytes}  {bytes_per_sec}  {eta}");
        self.progress(what, style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    /// Something on stderr that moves while nothing can be counted.
    pub fn spinner(self, what: &str) -> ProgressBar {
        let bar = self.progress(what, ProgressStyle::default_spinner());
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    fn progress(self, what: &str, style: ProgressStyle) -> ProgressBar {
        let is_wanted = !self.no_progress && !self.quiet && std::io::stderr().is_terminal();
        let target = if is_wanted { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        bar.set_style(style);
        bar.set_message(printable(what));
        bar
    }
}

/// A table without lines, as wide as it needs to be; on a terminal, as wide as that.
fn table<const COLUMNS: usize>(
    headers: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let arrangement = if std::io::stdout().is_terminal() {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    };
    table.set_content_arrangement(arrangement);
    table.set_header(headers);
    for row in rows {
        table.add_row(row.map(|cell| printable(&cell)));
    }
    let lines: Vec<_> = table.lines().map(|line| line.trim().to_owned()).collect();
    lines.join("\n")
}

/// The text without what would control a terminal: it may come from whoever named a resource.
pub fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// How long ago, as people say it.
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Bytes as people read them.
pub fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}

/// What may be missing.
pub fn maybe(value: Option<&(impl ToString + ?Sized)>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

/// Whether something is so; nothing where it is not, as it is for most.
pub fn yes(is_so: bool) -> String {
    if is_so { "yes".to_owned() } else { String::new() }
}

/// A word of the API as it is sent: `in_use` of `VolumeState::InUse`.
pub fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// Several of something, with commas.
pub fn several<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(", ")
}

/// Tags as `key=value`, with commas.
pub fn tags(tags: &native_api::Tags) -> String {
    several(tags.get().iter().map(|(key, value)| format!("{key}={value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_printed_controls_a_terminal() {
        assert_eq!(printable("a\x1b[2Jb\n\u{9b}c"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c");
        let table = table(["ID"], [["x\x07".to_owned()]].into_iter());
        assert_eq!(table, "ID\nx\u{fffd}");
    }

    #[test]
    fn ages_are_short() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        for (seconds, text) in [(-5, "0s"), (59, "59s"), (60, "1m"), (7199, "1h"), (200_000, "2d")] {
            assert_eq!(age(at(1_000_000), at(1_000_000 + seconds)), text);
        }
    }

    #[test]
    fn words_are_those_of_the_api() {
        assert_eq!(word(&native_api::VolumeState::InUse), "in_use");
    }
}
