//! Words of shell-like text: what `grub.cfg` and `/etc/default/grub` have in common. Splits into commands, takes quotes
//! and backslashes away, puts variables in. Runs nothing: callers look at the words, conditions are never decided.

use std::collections::BTreeMap;

/// Most bytes in one word or variable, so that `set a=$a$a` cannot grow without end. As long as a path
/// or a kernel's command line can be.
const MAX_WORD_BYTES: usize = 4096;
/// Most bytes in all words of one command.
const MAX_COMMAND_BYTES: usize = 32768;
/// Most variables kept.
const MAX_VARIABLES: usize = 1000;

/// Variables by name. Unknown ones read as empty, as in GRUB.
#[derive(Clone, Debug, Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// The value, if it was ever set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets one variable. Forgets what is beyond the limits on size and number.
    pub fn set(&mut self, name: &str, value: &str) {
        let fits = name.len() <= MAX_WORD_BYTES && value.len() <= MAX_WORD_BYTES;
        if fits && (self.0.len() < MAX_VARIABLES || self.0.contains_key(name)) {
            self.0.insert(name.to_owned(), value.to_owned());
        }
    }

    /// `text` with each `$name` and `${name}` replaced, for formats that know variables but no quotes.
    #[must_use]
    pub fn expand(&self, text: &str) -> String {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            expanded.push_str(&rest[..at]);
            let (name, later) = variable_name(&rest[at + 1..]);
            match name {
                Some(name) => expanded.push_str(self.get(name).unwrap_or("")),
                None => expanded.push('$'),
            }
            rest = later;
            if expanded.len() > MAX_COMMAND_BYTES {
                return expanded;
            }
        }
        expanded.push_str(rest);
        expanded
    }
}

/// The words of one command after another. `{` and `}` standing alone end a command and are its last word.
pub struct Commands<'a> {
    rest: &'a str,
}

impl<'a> Commands<'a> {
    /// Starts at the beginning of `text`.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The next command that has words, with `variables` as they stand now; `None` at the end.
    pub fn next(&mut self, variables: &Variables) -> Option<Vec<String>> {
        let mut words = Words::default();
        while let Some(sign) = self.rest.chars().next() {
            let after = &self.rest[sign.len_utf8()..];
            match sign {
                '\n' | ';' => {
                    self.rest = after;
                    if words.end_command() {
                        return Some(words.done);
                    }
                }
                '#' if words.current.is_none() => {
                    self.rest = after.find('\n').map_or("", |end| &after[end..])
                }
                '\\' if after.starts_with('\n') => self.rest = &after[1..],
                '\\' => {
                    let escaped = after.chars().next();
                    self.rest = escaped.map_or("", |escaped| &after[escaped.len_utf8()..]);
                    words.push(escaped.unwrap_or('\\'));
                }
                '\'' => {
                    let (quoted, later) = after.split_once('\'').unwrap_or((after, ""));
                    words.push_str(quoted);
                    self.rest = later;
                }
                '"' => self.rest = double_quoted(after, variables, &mut words),
                '$' => self.rest = unquoted_variable(after, variables, &mut words),
                '{' | '}' if words.current.is_none() => {
                    self.rest = after;
                    words.push(sign);
                    words.end_command();
                    return Some(words.done);
                }
                space if space.is_whitespace() => {
                    self.rest = after;
                    words.end();
                }
                other => {
                    self.rest = after;
                    words.push(other);
                }
            }
        }
        words.end_command().then_some(words.done)
    }
}

/// The words so far; what is beyond the limits is dropped.
#[derive(Default)]
struct Words {
    done: Vec<String>,
    done_bytes: usize,
    /// `Some` from the first sign or quote of a word on, so that `""` is a word.
    current: Option<String>,
}

impl Words {
    fn push(&mut self, sign: char) {
        self.push_str(sign.encode_utf8(&mut [0; 4]));
    }

    fn push_str(&mut self, text: &str) {
        let current = self.current.get_or_insert_default();
        if current.len() + text.len() <= MAX_WORD_BYTES {
            current.push_str(text);
        }
    }

    fn end(&mut self) {
        let Some(word) = self.current.take() else { return };
        // The one byte more bounds the number of empty words.
        self.done_bytes += word.len() + 1;
        if self.done_bytes <= MAX_COMMAND_BYTES {
            self.done.push(word);
        }
    }

    fn end_command(&mut self) -> bool {
        self.end();
        !self.done.is_empty()
    }
}

/// Takes what follows a `"` up to the closing one; answers the rest.
fn double_quoted<'a>(text: &'a str, variables: &Variables, words: &mut Words) -> &'a str {
    words.push_str("");
    let mut rest = text;
    loop {
        let end = rest.find(['"', '\\', '$']).unwrap_or(rest.len());
        words.push_str(&rest[..end]);
        rest = &rest[end..];
        let Some(sign) = rest.chars().next() else { return rest };
        rest = &rest[1..];
        match sign {
            '"' => return rest,
            '$' => {
                let (name, later) = variable_name(rest);
                words.push_str(name.map_or("$", |name| variables.get(name).unwrap_or("")));
                rest = later;
            }
            _ => {
                // Only these are escaped within double quotes; elsewhere the backslash stays.
                let escaped = rest.chars().next().filter(|sign| matches!(sign, '"' | '\\' | '$' | '\n'));
                words.push(escaped.unwrap_or('\\'));
                rest = &rest[escaped.map_or(0, char::len_utf8)..];
            }
        }
    }
}

/// Takes a variable outside quotes: its value is split into words like typed text.
fn unquoted_variable<'a>(text: &'a str, variables: &Variables, words: &mut Words) -> &'a str {
    let (name, rest) = variable_name(text);
    let Some(name) = name else {
        words.push('$');
        return rest;
    };
    let value = variables.get(name).unwrap_or("");
    for (index, part) in value.split(char::is_whitespace).enumerate() {
        if index > 0 {
            words.end();
        }
        if !part.is_empty() {
            words.push_str(part);
        }
    }
    rest
}

/// The name after a `$`, and what follows it. No name: the `$` stands for itself.
fn variable_name(text: &str) -> (Option<&str>, &str) {
    if let Some(braced) = text.strip_prefix('{') {
        return match braced.split_once('}') {
            Some((name, rest)) => (Some(name), rest),
            None => (None, text),
        };
    }
    // `$?`, `$1` and `$@` exist in GRUB; here they are always empty.
    let end = match text.chars().next() {
        Some('?' | '@' | '*' | '#' | '0'..='9') => 1,
        _ => text.find(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '_')).unwrap_or(text.len()),
    };
    if end == 0 { (None, text) } else { (Some(&text[..end]), &text[end..]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str, variables: &Variables) -> Vec<Vec<String>> {
        let mut commands = Commands::new(text);
        std::iter::from_fn(|| commands.next(variables)).collect()
    }

    #[test]
    fn splits_commands_into_words() {
        let mut variables = Variables::default();
        variables.set("a", "one");
        variables.set("two", "x  y");
        let cases: &[(&str, &[&[&str]])] = &[
            ("", &[]),
            ("\n ;; \n# only a comment", &[]),
            ("a b\tc # comment\nd", &[&["a", "b", "c"], &["d"]]),
            ("a#b", &[&["a#b"]]),
            ("set x='a b'\"c $a\"", &[&["set", "x=a bc one"]]),
            (
                "menuentry 'it'\\''s' {\nlinux /v }\n}",
                &[&["menuentry", "it's", "{"], &["linux", "/v", "}"], &["}"]],
            ),
            ("echo ${a}b $nothing $two \"$two\"", &[&["echo", "oneb", "x", "y", "x  y"]]),
            ("echo \"a\\\"b\\$c\\d\"", &[&["echo", "a\"b$c\\d"]]),
            ("a \\\n b", &[&["a", "b"]]),
            ("a '' \"\"", &[&["a", "", ""]]),
            ("if [ $x = y ]; then z; fi", &[&["if", "[", "=", "y", "]"], &["then", "z"], &["fi"]]),
            ("open 'quote", &[&["open", "quote"]]),
            ("$ ${ $", &[&["$", "${", "$"]]),
        ];
        for (text, expected) in cases {
            assert_eq!(all(text, &variables), *expected, "{text}");
        }
    }

    #[test]
    fn variables_do_not_grow_without_end() {
        let mut variables = Variables::default();
        variables.set("a", "0123456789");
        for _ in 0..100 {
            let doubled = all("set a=$a$a", &variables);
            variables.set("a", doubled[0][1].strip_prefix("a=").unwrap());
        }
        assert!(variables.get("a").unwrap().len() <= MAX_WORD_BYTES);
        let many = all(&"$a ".repeat(100_000), &variables);
        assert!(many[0].iter().map(String::len).sum::<usize>() <= MAX_COMMAND_BYTES);
        assert!(variables.expand(&"$a".repeat(100_000)).len() <= MAX_COMMAND_BYTES + MAX_WORD_BYTES);
    }

    #[test]
    fn expands_plain_text() {
        let mut variables = Variables::default();
        variables.set("kernelopts", "root=UUID=1 ro");
        assert_eq!(variables.expand("$kernelopts quiet ${x}'$'"), "root=UUID=1 ro quiet '$'");
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[\\PC\n\"'$\\{\\}\\\\;]{0,200}") {
            let mut variables = Variables::default();
            variables.set("a", "b c");
            all(&text, &variables);
            let _ = variables.expand(&text);
        }
    }
}
