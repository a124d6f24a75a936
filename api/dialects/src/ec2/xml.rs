//! Answers as trees of elements, and how they are written. The order of elements is the order in which a handler names them:
//! answers of 2007 have to be valid by a WSDL of sequences. Lists are elements named `item`, as EC2 has them, or `member`, as STS.

use std::borrow::Cow;
use std::io::Write;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

/// What is between the tags of an element: other elements, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree(Vec<Element>);

/// An element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    name: Cow<'static, str>,
    content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Text(String),
    Tree(Tree),
}

impl Tree {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With an element that has a text: a number, a flag, a name.
    #[must_use]
    pub fn text(mut self, name: impl Into<Cow<'static, str>>, value: impl ToString) -> Self {
        self.0.push(Element { name: name.into(), content: Content::Text(value.to_string()) });
        self
    }

    /// With an element that has a text, if there is one.
    #[must_use]
    pub fn text_if(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// With an element that has others.
    #[must_use]
    pub fn tree(mut self, name: impl Into<Cow<'static, str>>, tree: Self) -> Self {
        self.0.push(Element { name: name.into(), content: Content::Tree(tree) });
        self
    }

    /// With an element that has others, if there is one.
    #[must_use]
    pub fn tree_if(self, name: &'static str, tree: Option<Self>) -> Self {
        match tree {
            Some(tree) => self.tree(name, tree),
            None => self,
        }
    }

    /// With a list, each item of which has elements.
    #[must_use]
    pub fn list(self, name: &'static str, items: impl IntoIterator<Item = Self>) -> Self {
        let list = items.into_iter().fold(Self::new(), |list, item| list.tree("item", item));
        self.tree(name, list)
    }

    /// With a list of texts.
    #[must_use]
    pub fn texts<T: ToString>(self, name: &'static str, items: impl IntoIterator<Item = T>) -> Self {
        let list = items.into_iter().fold(Self::new(), |list, item| list.text("item", item));
        self.tree(name, list)
    }

    /// With all of another one's elements behind its own.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// `<return>true</return>`, which many actions answer.
    pub fn done() -> Self {
        Self::new().text("return", true)
    }

    /// Written as the element `name` of a name space, if it is of one; without a declaration, so that it can be part of
    /// another document.
    pub fn element(&self, name: &str, namespace: Option<&str>) -> String {
        let mut writer = Writer::new(Vec::new());
        let written = writer.create_element(name);
        let written = match namespace {
            Some(namespace) => written.with_attribute(("xmlns", namespace)),
            None => written,
        };
        written
            .write_inner_content(|writer| self.write(writer))
            .expect("nothing fails that is written to memory");
        String::from_utf8(writer.into_inner()).expect("texts are written as they are")
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
        for Element { name, content } in &self.0 {
            let element = writer.create_element(name.as_ref());
            match content {
                Content::Text(text) if text.is_empty() => element.write_empty()?,
                Content::Text(text) => element.write_text_content(BytesText::new(&plain(text)))?,
                Content::Tree(tree) if tree.0.is_empty() => element.write_empty()?,
                Content::Tree(tree) => element.write_inner_content(|writer| tree.write(writer))?,
            };
        }
        Ok(())
    }
}

/// A document of an element.
pub fn document(element: &str) -> String {
    let mut writer = Writer::new(Vec::new());
    writer
        .write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))
        .expect("nothing fails that is written to memory");
    let mut bytes = writer.into_inner();
    write!(bytes, "\n{element}").expect("nothing fails that is written to memory");
    String::from_utf8(bytes).expect("texts are written as they are")
}

/// A text as it stands between tags.
pub fn escaped(text: &str) -> String {
    quick_xml::escape::escape(plain(text)).into_owned()
}

/// Without the characters that XML has no form for, which only somebody's own texts can have.
fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_xml) {
        Cow::Borrowed(text)
    } else {
        text.chars().filter(|letter| is_xml(*letter)).collect()
    }
}

/// XML 1.0, production 2.
fn is_xml(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_keep_their_order() {
        let tree = Tree::new()
            .text("z", 1)
            .text("a", true)
            .text_if("none", None::<&str>)
            .list("set", [Tree::new().text("id", "x"), Tree::new()])
            .texts("words", ["a<b", ""])
            .texts::<&str>("empty", [])
            .and(Tree::done());
        assert_eq!(
            document(&tree.element("R", Some("urn:x&y"))),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"urn:x&amp;y\"><z>1</z><a>true</a><set><item><id>x</id></item>\
             <item/></set><words><item>a&lt;b</item><item/></words><empty/><return>true</return></R>"
        );
    }

    #[test]
    fn what_xml_has_no_form_for_is_left_out() {
        assert_eq!(
            Tree::new().text("a", "x\u{0}\u{1b}[\ty\u{ffff}").element("r", None),
            "<r><a>x[\ty</a></r>"
        );
    }
}
