//! Objects of a policy document, taken apart member by member. Whoever reads a document takes what it knows and then asks
//! whether anything is left; each refusal names its place. What the members mean is not known here.

use super::document::{DocumentError, Patterns};
use super::json::Json;

/// The members of an object, taken one by one; what is left in the end was not understood.
pub struct Members {
    members: Vec<(String, Json)>,
    within: String,
}

impl Members {
    /// Opens an object; `within` says where it is, and nothing for the document itself.
    pub fn new(json: Json, within: &str) -> Result<Self, DocumentError> {
        let within = within.to_owned();
        match json {
            Json::Object(members) => Ok(Self { members, within }),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_) => {
                let place = if within.is_empty() { "top".to_owned() } else { within };
                Err(DocumentError::Wrong { place, why: "is not an object".to_owned() })
            }
        }
    }

    /// Takes a member, if it is there.
    pub fn take(&mut self, name: &str) -> Option<Json> {
        let index = self.members.iter().position(|(known, _)| known == name)?;
        Some(self.members.remove(index).1)
    }

    /// Takes a text, if it is there.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, DocumentError> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "is not a text")),
        }
    }

    /// Takes patterns from whichever of two members is there, and checks each; `expected` says what was expected of them.
    pub fn one_of(
        &mut self,
        name: &str,
        not_name: &str,
        is_right: impl Fn(&str) -> bool,
        expected: &str,
    ) -> Result<Patterns, DocumentError> {
        let (yes, no) = (self.take(name), self.take(not_name));
        let (name, json, make): (_, _, fn(_) -> _) = match (yes, no) {
            (Some(json), None) => (name, json, Patterns::Any),
            (None, Some(json)) => (not_name, json, Patterns::None),
            (None, None) => return Err(self.wrong(name, "is missing")),
            (Some(_), Some(_)) => return Err(self.wrong(name, &format!("and {not_name} exclude each other"))),
        };
        let patterns = texts(json).map_err(|why| self.wrong(name, why))?;
        match patterns.iter().find(|pattern| !is_right(pattern)) {
            Some(bad) => Err(self.wrong(name, &format!("has {bad:?}: expected {expected}"))),
            None => Ok(make(patterns)),
        }
    }

    /// All that was not taken.
    pub fn rest(self) -> Vec<(String, Json)> {
        self.members
    }

    /// Refuses what was not taken.
    pub fn end(&self) -> Result<(), DocumentError> {
        match self.members.first() {
            None => Ok(()),
            Some((name, _)) => Err(self.wrong(name, "is not known here")),
        }
    }

    /// Where a member is.
    pub fn place(&self, name: &str) -> String {
        let within = &self.within;
        if within.is_empty() { name.to_owned() } else { format!("{within}, {name},") }
    }

    /// The error that something is wrong with a member.
    pub fn wrong(&self, name: &str, why: &str) -> DocumentError {
        DocumentError::Wrong { place: self.place(name), why: why.to_owned() }
    }
}

/// A text or a list of them, which has at least one. The error says what is wrong.
pub fn texts(json: Json) -> Result<Vec<String>, &'static str> {
    list(json, |json| match json {
        Json::Text(text) => Some(text),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::List(_) | Json::Object(_) => None,
    })
}

/// As `texts`, with numbers and truth values too, as conditions compare them.
pub fn values(json: Json) -> Result<Vec<String>, &'static str> {
    list(json, |json| match json {
        Json::Text(text) | Json::Number(text) => Some(text),
        Json::Bool(value) => Some(value.to_string()),
        Json::Null | Json::List(_) | Json::Object(_) => None,
    })
}

fn list(json: Json, text: fn(Json) -> Option<String>) -> Result<Vec<String>, &'static str> {
    let items = match json {
        Json::List(items) => items,
        one => vec![one],
    };
    let texts =
        items.into_iter().map(text).collect::<Option<Vec<_>>>().ok_or("is not a text or a list of texts")?;
    if texts.is_empty() {
        return Err("is an empty list");
    }
    if texts.iter().any(|text| text.contains("${")) {
        // It would have to be filled in; taken by the letter it would mean something else.
        return Err("has a variable, and variables are not filled in");
    }
    Ok(texts)
}
