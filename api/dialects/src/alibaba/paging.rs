//! Lists in pages, in the cloud's two styles: by the page's number, with a count of all, or by a token that says where to go
//! on. Whoever lists gives the core `takes` as part of what is wanted.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::errors::Refusal;
use super::parameters::Parameters;

const DEFAULT_SIZE: usize = 10;
const MAX_SIZE: usize = 100;

/// A page that is asked for.
#[derive(Debug)]
pub struct Paging {
    /// How many it has at most.
    pub size: usize,
    /// Where it begins, in the core's words.
    pub after: Option<String>,
    /// The page's number, from 1; `None` for the style with tokens.
    number: Option<usize>,
    seen: usize,
}

impl Paging {
    /// The page that a request asks for. Either of the newer style's parameters means that style.
    pub fn read(parameters: &Parameters) -> Result<Self, Refusal> {
        let size = |name| -> Result<Option<usize>, Refusal> {
            let size: Option<usize> = parameters.parsed(name)?;
            match size {
                Some(0) => Err(parameters.invalid(name)),
                Some(size) => Ok(Some(size.min(MAX_SIZE))),
                None => Ok(None),
            }
        };
        let token = parameters.get("NextToken");
        let most = size("MaxResults")?;
        if most.is_some() || token.is_some() {
            let after = token.map(|token| read_token(token).ok_or_else(|| parameters.invalid("NextToken")));
            let size = most.or(size("PageSize")?).unwrap_or(DEFAULT_SIZE);
            return Ok(Self { size, after: after.transpose()?, number: None, seen: 0 });
        }
        let number = match parameters.parsed("PageNumber")? {
            Some(0) => return Err(parameters.invalid("PageNumber")),
            number => number.unwrap_or(1),
        };
        let size = size("PageSize")?.unwrap_or(DEFAULT_SIZE);
        Ok(Self { size, after: None, number: Some(number), seen: 0 })
    }

    /// Whether one that is wanted is on this page. Where all are counted, those behind the page are counted too.
    pub fn takes(&mut self, is_wanted: bool) -> bool {
        if !is_wanted {
            return false;
        }
        self.seen += 1;
        match self.number {
            None => true,
            Some(number) => self.seen.div_ceil(self.size) == number,
        }
    }

    /// How many come before this page, in the style that counts all.
    pub fn skipped(&self) -> Option<usize> {
        self.number.map(|number| (number - 1).saturating_mul(self.size))
    }

    /// There are this many in all: for lists that were counted by somebody else.
    pub fn counted(&mut self, all: usize) {
        self.seen = all;
    }

    /// The part of a list that is on this page, for lists that are not in the store.
    pub fn cut<T>(&mut self, all: impl IntoIterator<Item = T>) -> Vec<T> {
        // These are short: a token's page is all of it.
        self.size = if self.number.is_none() { usize::MAX } else { self.size };
        all.into_iter().filter(|_| self.takes(true)).collect()
    }

    /// Adds to an answer what it says of the page; `next` is where the core would go on.
    pub fn told(&self, mut answer: Value, next: Option<&str>) -> Value {
        let told = match self.number {
            Some(number) => json!({
                "TotalCount": self.seen, "PageNumber": number, "PageSize": self.size, "NextToken": "" }),
            None => json!({ "NextToken": next.map(|next| URL_SAFE_NO_PAD.encode(next)).unwrap_or_default() }),
        };
        if let (Some(answer), Value::Object(told)) = (answer.as_object_mut(), told) {
            answer.extend(told);
        }
        answer
    }
}

fn read_token(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paging(pairs: &[(&str, &str)]) -> Result<Paging, Refusal> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Paging::read(&Parameters::new(pairs).unwrap())
    }

    #[test]
    fn a_page_by_number_counts_all() {
        let mut second = paging(&[("PageNumber", "2"), ("PageSize", "3")]).unwrap();
        let page: Vec<_> = (0..10).filter(|n| second.takes(n % 2 == 0)).collect();
        assert_eq!(page, [6, 8]);
        assert_eq!(
            second.told(json!({}), None),
            json!({ "TotalCount": 5, "PageNumber": 2, "PageSize": 3, "NextToken": "" })
        );
        let mut usual = paging(&[]).unwrap();
        assert_eq!(usual.cut(0..12).len(), 10);
        assert_eq!(paging(&[("PageSize", "1000")]).unwrap().size, 100);
    }

    #[test]
    fn a_page_by_token_says_where_to_go_on() {
        let first = paging(&[("MaxResults", "5"), ("PageNumber", "7")]).unwrap();
        let told = first.told(json!({}), Some("i-1a2b3c4d"));
        let token = told["NextToken"].as_str().unwrap();
        assert_eq!(told.as_object().unwrap().len(), 1);
        assert_eq!(paging(&[("NextToken", token)]).unwrap().after.as_deref(), Some("i-1a2b3c4d"));
        assert_eq!(first.told(json!({}), None)["NextToken"], "");
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for bad in [
            ("PageNumber", "0"),
            ("PageSize", "0"),
            ("PageSize", "-1"),
            ("MaxResults", "x"),
            ("NextToken", "?"),
        ] {
            assert_eq!(paging(&[bad]).unwrap_err().code, "InvalidParameter", "{bad:?}");
        }
    }
}
