//! XML that somebody sent, as a tree: no DTD, no entities of one's own, and no deeper and wider than requests have to be. It is
//! the tree in which signatures are verified, so that what is verified and what is read cannot be two things.

use uppsala::{NodeId, NodeKind, Parser};

/// Deepest nesting of elements.
const MAX_DEPTH: u32 = 32;
/// Most elements.
const MAX_ELEMENTS: usize = 20_000;
/// Most attributes of an element, the declarations of name spaces among them.
const MAX_ATTRIBUTES: usize = 64;

/// A document.
pub struct Document<'a> {
    tree: uppsala::Document<'a>,
    root: NodeId,
}

/// An element of a document.
#[derive(Clone, Copy)]
pub struct Element<'d> {
    tree: &'d uppsala::Document<'d>,
    /// Its place in the tree.
    pub node: NodeId,
}

/// Why a text is no document that is read here.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no XML, or has what is not taken.
    #[error("it is no plain XML: {0}")]
    Malformed(String),
    /// It has too much of something.
    #[error("it has more than {0}")]
    Large(&'static str),
}

impl<'a> Document<'a> {
    /// Reads a text.
    ///
    /// # Errors
    ///
    /// It is no XML, or more than is taken.
    pub fn read(text: &'a str) -> Result<Self, ReadError> {
        count(text)?;
        let parser = Parser::new().with_max_depth(MAX_DEPTH).with_forbid_dtd(true).with_forbid_entities(true);
        let tree = parser.parse(text).map_err(|error| ReadError::Malformed(error.to_string()))?;
        let root = tree.document_element();
        let root = root.ok_or_else(|| ReadError::Malformed("there is no element".to_owned()))?;
        Ok(Self { tree, root })
    }

    /// The outermost element.
    pub fn root(&self) -> Element<'_> {
        Element { tree: &self.tree, node: self.root }
    }

    /// The tree itself, for whoever verifies it.
    pub fn tree(&self) -> &uppsala::Document<'a> {
        &self.tree
    }
}

/// Counts before a tree is made: what a parser does with very many attributes takes very long.
fn count(text: &str) -> Result<(), ReadError> {
    use quick_xml::events::Event;

    let mut reader = quick_xml::Reader::from_str(text);
    let mut elements = 0;
    loop {
        let event = reader.read_event().map_err(|error| ReadError::Malformed(error.to_string()))?;
        let start = match &event {
            Event::Start(start) | Event::Empty(start) => start,
            Event::Eof => return Ok(()),
            Event::DocType(_) => return Err(ReadError::Malformed("it has a document type".to_owned())),
            Event::PI(_) => return Err(ReadError::Malformed("it has a processing instruction".to_owned())),
            Event::End(_)
            | Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::GeneralRef(_) => continue,
        };
        elements += 1;
        if elements > MAX_ELEMENTS {
            return Err(ReadError::Large("20000 elements"));
        }
        if start.attributes().with_checks(false).count() > MAX_ATTRIBUTES {
            return Err(ReadError::Large("64 attributes of an element"));
        }
    }
}

impl<'d> Element<'d> {
    fn element(self) -> &'d uppsala::Element<'d> {
        self.tree.element(self.node).expect("it is made of elements only")
    }

    /// Its name, without its name space.
    pub fn name(self) -> &'d str {
        &self.element().name.local_name
    }

    /// Its name space, empty if it is of none.
    pub fn namespace(self) -> &'d str {
        self.element().name.namespace_uri.as_deref().unwrap_or_default()
    }

    /// Whether it is this one of this name space.
    pub fn is(self, namespace: &str, name: &str) -> bool {
        self.namespace() == namespace && self.name() == name
    }

    /// The elements in it.
    pub fn children(self) -> impl Iterator<Item = Self> {
        let tree = self.tree;
        let elements = tree.children_iter(self.node).filter(move |node| tree.element(*node).is_some());
        elements.map(move |node| Self { tree, node })
    }

    /// The first element in it of this name, of whatever name space.
    pub fn child(self, name: &str) -> Option<Self> {
        self.children().find(|child| child.name() == name)
    }

    /// The one element in it of this name and name space; `None` if there is none or are several.
    pub fn only(self, namespace: &str, name: &str) -> Option<Self> {
        let mut found = self.children().filter(|child| child.is(namespace, name));
        let first = found.next()?;
        if found.next().is_some() { None } else { Some(first) }
    }

    /// All of its own text, with that of elements in it left out.
    pub fn text(self) -> String {
        let text = |node: NodeId| match self.tree.node_kind(node) {
            Some(NodeKind::Text(text) | NodeKind::CData(text)) => Some(text.as_ref()),
            _ => None,
        };
        self.tree.children_iter(self.node).filter_map(text).collect()
    }

    /// An attribute of no name space.
    pub fn attribute(self, name: &str) -> Option<&'d str> {
        let mut all = self.element().attributes.iter();
        all.find(|attribute| attribute.name.matches(None, name)).map(|attribute| attribute.value.as_ref())
    }

    /// An attribute of a name space.
    pub fn attribute_of(self, namespace: &str, name: &str) -> Option<&'d str> {
        self.element().get_attribute_ns(namespace, name)
    }

    /// The values of those of its attributes that are called so, of whatever name space.
    pub fn attributes_called(self, names: &[&str]) -> impl Iterator<Item = &'d str> {
        let all = self.element().attributes.iter();
        let called = all.filter(move |attribute| names.contains(&attribute.name.local_name.as_ref()));
        called.map(|attribute| attribute.value.as_ref()).collect::<Vec<_>>().into_iter()
    }

    /// It and all elements below it.
    pub fn all(self) -> Vec<Self> {
        let mut all = vec![self];
        let mut next = 0;
        while let Some(element) = all.get(next) {
            let children: Vec<Self> = element.children().collect();
            all.extend(children);
            next += 1;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plain_is_read() {
        let text = "<?xml version=\"1.0\"?><a xmlns=\"urn:a\" x=\"1\"><b>t<!-- c -->u<![CDATA[<]]><c/></b><b/>&amp;</a>";
        let document = Document::read(text).unwrap();
        let root = document.root();
        assert!(root.is("urn:a", "a") && root.attribute("x") == Some("1") && root.attribute("y").is_none());
        assert_eq!(root.child("b").unwrap().text(), "tu<");
        assert!(root.only("urn:a", "b").is_none(), "there are two");
        assert_eq!((root.all().len(), root.text().as_str()), (4, "&"));
    }

    #[test]
    fn what_is_not_plain_is_refused() {
        let deep = "<a>".repeat(MAX_DEPTH as usize + 1) + &"</a>".repeat(MAX_DEPTH as usize + 1);
        let many = format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS));
        let wide: String = (0..=MAX_ATTRIBUTES).map(|number| format!(" a{number}=\"\"")).collect();
        let wide = format!("<a{wide}/>");
        for text in [
            "",
            "text",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a x=\"1\" x=\"2\"/>",
            "<p:a/>",
            "<!DOCTYPE a><a/>",
            "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
            "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
            "<a>&x;</a>",
            "<a><?php x?></a>",
            deep.as_str(),
            many.as_str(),
            wide.as_str(),
        ] {
            assert!(Document::read(text).is_err(), "{}", text.chars().take(80).collect::<String>());
        }
    }
}
