//! The body of a SOAP request as parameters: by its action's shape, each element becomes the parameter that Query has for the
//! same. An element that the shape does not have is refused by its name.

use super::super::errors::Refusal;
use super::super::parameters::Parameters;
use super::super::version::{Api, Version};
use super::super::y2007::shapes::{Part, Shape};
use super::document::Element;
use super::envelope::malformed;

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/";

/// The version that an action's name space says. The names of days may have a slash behind them or not.
///
/// # Errors
///
/// It is none of this cloud's, or of a version that has no SOAP.
pub fn version(operation: Element<'_>) -> Result<Version, Refusal> {
    let namespace = operation.namespace();
    let name = namespace.strip_prefix(NAMESPACE).ok_or_else(|| {
        malformed(format!("There is no name space {}", namespace.chars().take(64).collect::<String>()))
    })?;
    let version = Version::read(name.strip_suffix('/').unwrap_or(name))?;
    match version.api {
        Api::Y2007 => Ok(version),
        Api::Ec2 | Api::Sts => {
            let why = format!("SOAP is spoken as of {}; use Query.", Api::Y2007.version());
            Err(Refusal::new(400, "UnsupportedProtocol", why))
        }
    }
}

/// The parameters that an action's element says.
///
/// # Errors
///
/// It has what the action has not.
pub fn parameters(operation: Element<'_>, shape: &Shape) -> Result<Parameters, Refusal> {
    let mut reading = Reading { shape, namespace: operation.namespace(), pairs: Vec::new() };
    reading.read(operation, "", &[])?;
    Parameters::new(reading.pairs)
}

struct Reading<'a> {
    shape: &'a Shape,
    namespace: &'a str,
    pairs: Vec<(String, String)>,
}

impl Reading<'_> {
    /// Reads the elements in one that is at this path, in the items of these places.
    fn read(&mut self, element: Element<'_>, path: &str, places: &[usize]) -> Result<(), Refusal> {
        let mut items = 0;
        for child in element.children() {
            let name = child.name();
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            let mut places = places.to_vec();
            if name == "item" {
                items += 1;
                places.push(items);
            }
            self.one(child, &path, &places)?;
        }
        Ok(())
    }

    fn one(&mut self, element: Element<'_>, path: &str, places: &[usize]) -> Result<(), Refusal> {
        let part = self.shape.soap.iter().find(|(known, _)| *known == path).map(|(_, part)| *part);
        let has_more = self.shape.soap.iter().any(|(known, _)| is_below(known, path));
        if element.namespace() != self.namespace || (part.is_none() && !has_more) {
            return Err(Refusal::unknown_parameter(element.name()));
        }
        match part {
            Some(Part::Text(name)) => self.pairs.push((placed(name, places), element.text())),
            Some(Part::Says(name, value)) => self.pairs.push((name.to_owned(), value.to_owned())),
            Some(Part::Attributes(attributes)) => {
                for (attribute, name) in attributes {
                    let value = element.attribute(attribute).ok_or_else(|| Refusal::invalid(name, ""))?;
                    self.pairs.push(((*name).to_owned(), value.to_owned()));
                }
            }
            None => {}
        }
        if has_more {
            return self.read(element, path, places);
        }
        match element.children().next() {
            Some(child) => Err(Refusal::unknown_parameter(child.name())),
            None => Ok(()),
        }
    }
}

fn is_below(known: &str, path: &str) -> bool {
    known.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
}

/// A parameter's name with the places of the items that it is in.
fn placed(name: &str, places: &[usize]) -> String {
    let mut places = places.iter();
    let parts = name.split('.').map(|part| match part {
        "#" => places.next().map(usize::to_string).unwrap_or_default(),
        part => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::super::super::parameters::of;
    use super::super::super::y2007::shapes;
    use super::super::document::Document;
    use super::*;

    fn read(action: &str, inside: &str) -> Result<Parameters, Refusal> {
        let text =
            format!("<{action} xmlns=\"http://ec2.amazonaws.com/doc/2007-03-01/\">{inside}</{action}>");
        let document = Document::read(&text).unwrap();
        parameters(document.root(), shapes::of(action))
    }

    #[test]
    fn a_body_says_what_parameters_say() {
        let inside = "<instancesSet><item><imageId>ami-1</imageId><minCount>5</minCount></item>\
                      <item><imageId>ami-2</imageId><keyName/></item></instancesSet><groupSet><item>\
                      <groupId>web</groupId></item></groupSet><userData version=\"1.0\" encoding=\"base64\">\
                      <data>eA==</data></userData>";
        let expected = of(&[
            ("Launch.1.ImageId", "ami-1"),
            ("Launch.1.MinCount", "5"),
            ("Launch.2.ImageId", "ami-2"),
            ("Launch.2.KeyName", ""),
            ("SecurityGroup.1", "web"),
            ("UserData", "eA=="),
            ("UserData.Encoding", "base64"),
            ("UserData.Version", "1.0"),
        ]);
        assert_eq!(read("RunInstances", inside), Ok(expected));
        let inside = "<imageId>ami-1</imageId><launchPermission><add><item><userId>1</userId></item><item>\
                      <group>all</group></item></add></launchPermission>";
        let expected = of(&[
            ("ImageId", "ami-1"),
            ("Attribute", "launchPermission"),
            ("OperationType", "add"),
            ("UserId.1", "1"),
            ("UserGroup.2", "all"),
        ]);
        assert_eq!(read("ModifyImageAttribute", inside), Ok(expected));
    }

    #[test]
    fn what_an_action_has_not_is_refused() {
        for (action, inside, code) in [
            ("DescribeInstances", "<maxResults>5</maxResults>", "UnknownParameter"),
            ("DescribeInstances", "<instancesSet><item><x/></item></instancesSet>", "UnknownParameter"),
            ("DescribeInstances", "<instancesSet xmlns=\"urn:x\"/>", "UnknownParameter"),
            (
                "DescribeInstances",
                "<instancesSet><item><instanceId><b/></instanceId></item></instancesSet>",
                "UnknownParameter",
            ),
            ("RunInstances", "<userData version=\"1.0\"><data/></userData>", "InvalidParameterValue"),
            ("CreateKeyPair", "<keyName>a</keyName><keyName>b</keyName>", "InvalidParameter"),
            (
                "ModifyImageAttribute",
                "<launchPermission><add/><remove/></launchPermission>",
                "InvalidParameter",
            ),
            ("ModifyImageAttribute", "<launchPermission/><productCodes/>", "InvalidParameter"),
        ] {
            assert_eq!(read(action, inside).unwrap_err().code, code, "{inside}");
        }
    }

    #[test]
    fn versions_are_name_spaces() {
        let of = |namespace: &str| {
            let text = format!("<a xmlns=\"{namespace}\"/>");
            let document = Document::read(&text).unwrap();
            version(document.root()).map_or_else(|refusal| refusal.code.into_owned(), |version| version.name)
        };
        assert_eq!(of("http://ec2.amazonaws.com/doc/2007-03-01/"), "2007-03-01");
        assert_eq!(of("http://ec2.amazonaws.com/doc/2007-03-01"), "2007-03-01");
        assert_eq!(of("http://ec2.amazonaws.com/doc/2016-11-15/"), "UnsupportedProtocol");
        assert_eq!(of("http://ec2.amazonaws.com/doc/x/"), "InvalidParameterValue");
        assert_eq!(of("urn:x"), "MalformedSOAPMessage");
        assert_eq!(of(""), "MalformedSOAPMessage");
    }
}
