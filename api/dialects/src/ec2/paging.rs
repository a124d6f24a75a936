//! Lists in pages: as many as `MaxResults` says, and a token that says where to go on. Without either there is one page with all.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::errors::Refusal;
use super::parameters::Parameters;
use super::xml::Tree;

/// How many a page has at most, whatever is asked for.
const MOST: usize = 1000;

/// A page that is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Paging {
    /// How many it has at most.
    pub size: usize,
    /// Where it begins, in the core's words.
    pub after: Option<String>,
}

impl Paging {
    /// The page that a request asks for. Where it names what it wants, there are no pages.
    ///
    /// # Errors
    ///
    /// The number or the token is none, or things are named and pages are asked for.
    pub fn read(parameters: &Parameters, is_named: bool) -> Result<Self, Refusal> {
        let token = parameters.get("NextToken");
        let size = match parameters.parsed::<usize>("MaxResults")? {
            None => usize::MAX,
            Some(0) => return Err(parameters.invalid("MaxResults")),
            Some(_) if is_named => {
                let why = "The parameter MaxResults cannot be used with a list of what is wanted.";
                return Err(Refusal::combination(why));
            }
            Some(size) => size.min(MOST),
        };
        let wrong = || {
            let why = "The token is not one of a page before.";
            Refusal::new(400, "InvalidNextToken", why)
        };
        let after = token.map(|token| read_token(token).ok_or_else(wrong)).transpose()?;
        Ok(Self { size, after })
    }

    /// The part of a list that is on this page, and where to go on, for lists that are not in the store.
    pub fn cut<T>(&self, all: Vec<T>, name: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
        let after = self.after.as_deref();
        let mut rest = all.into_iter().skip_while(|item| after.is_some_and(|after| *name(item) <= *after));
        let page: Vec<T> = rest.by_ref().take(self.size).collect();
        let next = rest.next().and(page.last()).map(name);
        (page, next)
    }
}

/// A page that is being filled from a list of the core's, which gives it in parts.
#[derive(Debug)]
pub struct Pages<T> {
    items: Vec<T>,
    paging: Paging,
    is_full: bool,
}

impl<T> Pages<T> {
    /// The page that a request asks for, as `Paging::read` says.
    pub fn read(parameters: &Parameters, is_named: bool) -> Result<Self, Refusal> {
        Ok(Self { items: Vec::new(), paging: Paging::read(parameters, is_named)?, is_full: false })
    }

    /// From where on and how many are still wanted, if any are.
    pub fn wants(&self) -> Option<(Option<String>, usize)> {
        let more = self.paging.size - self.items.len();
        (!self.is_full).then(|| (self.paging.after.clone(), more))
    }

    /// Takes what the core gave, and where it would go on.
    pub fn add(&mut self, items: impl IntoIterator<Item = T>, next: Option<String>) {
        self.items.extend(items);
        self.is_full = next.is_none() || self.items.len() >= self.paging.size;
        self.paging.after = next;
    }

    /// All that is on the page, and where the next begins.
    pub fn done(self) -> (Vec<T>, Option<String>) {
        (self.items, self.paging.after)
    }
}

/// Where to go on, as answers tell it; `next` is the core's word for it.
pub fn next(tree: Tree, next: Option<&str>) -> Tree {
    tree.text_if("nextToken", next.map(|next| URL_SAFE_NO_PAD.encode(next)))
}

fn read_token(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::parameters::of;
    use super::*;

    #[test]
    fn a_page_says_where_to_go_on() {
        let first = Paging::read(&of(&[("MaxResults", "2")]), false).unwrap();
        let (page, more) = first.cut(vec!["a", "b", "c"], |item| (*item).to_owned());
        assert_eq!((page, more.as_deref()), (vec!["a", "b"], Some("b")));
        let told = next(Tree::new(), more.as_deref()).element("r", None);
        let token = told.trim_start_matches("<r><nextToken>").trim_end_matches("</nextToken></r>");
        let second = Paging::read(&of(&[("MaxResults", "2"), ("NextToken", token)]), false).unwrap();
        assert_eq!(second.cut(vec!["a", "b", "c"], |item| (*item).to_owned()), (vec!["c"], None));
    }

    #[test]
    fn a_page_is_filled_in_parts() {
        let mut pages = Pages::read(&of(&[("MaxResults", "3")]), false).unwrap();
        assert_eq!(pages.wants(), Some((None, 3)));
        pages.add(["a"], Some("b".to_owned()));
        assert_eq!(pages.wants(), Some((Some("b".to_owned()), 2)));
        pages.add(["c", "d"], Some("d".to_owned()));
        assert_eq!(pages.wants(), None);
        assert_eq!(pages.done(), (vec!["a", "c", "d"], Some("d".to_owned())));
        let mut all = Pages::read(&of(&[]), false).unwrap();
        all.add(["a"], Some("a".to_owned()));
        all.add([], None);
        assert_eq!((all.wants(), all.done()), (None, (vec!["a"], None)));
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for (pairs, is_named, code) in [
            (("MaxResults", "0"), false, "InvalidParameterValue"),
            (("MaxResults", "x"), false, "InvalidParameterValue"),
            (("MaxResults", "5"), true, "InvalidParameterCombination"),
            (("NextToken", "?"), false, "InvalidNextToken"),
        ] {
            assert_eq!(Paging::read(&of(&[pairs]), is_named).unwrap_err().code, code, "{pairs:?}");
        }
        assert_eq!(Paging::read(&of(&[("MaxResults", "5000")]), false).unwrap().size, MOST);
    }
}
