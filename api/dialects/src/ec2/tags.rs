//! Tags in requests and answers.

use compute::resource::Tags;

use super::errors::Refusal;
use super::parameters::Parameters;
use super::xml::Tree;

/// `tagSet`, if there are any: clients of this cloud take its absence for none.
pub fn set(tree: Tree, tags: &Tags) -> Tree {
    let tag = |(key, value): (&String, &String)| Tree::new().text("key", key).text("value", value);
    if tags.0.is_empty() { tree } else { tree.list("tagSet", tags.0.iter().map(tag)) }
}

/// The pairs of `Tag.n.Key` and `Tag.n.Value`; `None` for a key alone.
///
/// # Errors
///
/// One has no key, or one of the cloud's own.
pub fn pairs(parameters: &Parameters) -> Result<Vec<(String, Option<String>)>, Refusal> {
    let pair = |group: Parameters| {
        let key = group.required("Key")?.to_owned();
        if key.starts_with("aws:") {
            let why = "Tag keys starting with 'aws:' are reserved for internal use";
            return Err(Refusal::new(400, "InvalidParameterValue", why));
        }
        let value = group.iter().find(|(name, _)| *name == "Value").map(|(_, value)| value.to_owned());
        Ok((key, value))
    };
    parameters.groups("Tag")?.into_iter().map(pair).collect()
}

/// The tags of `TagSpecification.n` for a new resource of this type; all types that are named must be among `types`.
///
/// # Errors
///
/// A type is none that is made, or a key comes twice.
pub fn specified(parameters: &Parameters, wanted: &str, types: &[&str]) -> Result<Tags, Refusal> {
    let mut tags = Tags::default();
    for group in parameters.groups("TagSpecification")? {
        let kind = group.required("ResourceType")?;
        if !types.contains(&kind) {
            return Err(group.invalid("ResourceType"));
        }
        for (key, value) in pairs(&group)? {
            if kind == wanted && tags.0.insert(key.clone(), value.unwrap_or_default()).is_some() {
                let key: String = key.chars().take(64).collect();
                let why = format!("Duplicate tag key '{key}' specified.");
                return Err(Refusal::new(400, "InvalidParameterValue", why));
            }
        }
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::super::parameters::of;
    use super::*;

    #[test]
    fn tags_of_a_specification_are_those_of_its_type() {
        let parameters = of(&[
            ("TagSpecification.1.ResourceType", "instance"),
            ("TagSpecification.1.Tag.1.Key", "role"),
            ("TagSpecification.1.Tag.1.Value", "db"),
            ("TagSpecification.2.ResourceType", "volume"),
            ("TagSpecification.2.Tag.1.Key", "disk"),
        ]);
        let types = &["instance", "volume"];
        assert_eq!(
            specified(&parameters, "instance", types).unwrap().0,
            [("role".into(), "db".into())].into()
        );
        assert_eq!(specified(&parameters, "volume", types).unwrap().0, [("disk".into(), "".into())].into());
        assert_eq!(specified(&parameters, "volume", &["volume"]).unwrap_err().code, "InvalidParameterValue");
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for (pairs, code) in [
            (vec![("Tag.1.Key", "aws:x")], "InvalidParameterValue"),
            (vec![("Tag.1.Value", "x")], "MissingParameter"),
        ] {
            assert_eq!(super::pairs(&of(&pairs)).unwrap_err().code, code);
        }
        assert_eq!(
            pairs(&of(&[("Tag.1.Key", "a"), ("Tag.2.Key", "b"), ("Tag.2.Value", "")])).unwrap(),
            [("a".to_owned(), None), ("b".to_owned(), Some(String::new()))]
        );
    }
}
