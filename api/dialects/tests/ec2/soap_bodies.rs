//! What Query asks by parameters, as SOAP's elements: written from the guide of 2007, apart from the tables that are tested. So
//! one entry of a test is asked by both.

use std::collections::BTreeMap;

/// The elements in an action's own, as they are canonical. What the action has no element for has one of its own name all the
/// same: a client of a later version sends that.
pub fn body(action: &str, asked: &[(String, String)]) -> String {
    let pairs = asked.iter().filter(|(_, value)| !value.is_empty());
    let mut asked = Asked(pairs.map(|(name, value)| (name.as_str(), value.as_str())).collect());
    let inside = match action {
        "AuthorizeSecurityGroupIngress" | "RevokeSecurityGroupIngress" => asked.permission(),
        "ConfirmProductInstance" => {
            asked.text("productCode", "ProductCode") + &asked.text("instanceId", "InstanceId")
        }
        "CreateKeyPair" | "DeleteKeyPair" => asked.text("keyName", "KeyName"),
        "CreateSecurityGroup" => {
            asked.text("groupName", "GroupName") + &asked.text("groupDescription", "GroupDescription")
        }
        "DeleteSecurityGroup" => asked.text("groupName", "GroupName"),
        "DeregisterImage" => asked.text("imageId", "ImageId"),
        "DescribeImageAttribute" | "ModifyImageAttribute" | "ResetImageAttribute" => {
            asked.text("imageId", "ImageId") + &asked.attribute()
        }
        "DescribeImages" => {
            asked.list("executableBySet", "user", "ExecutableBy")
                + &asked.list("imagesSet", "imageId", "ImageId")
                + &asked.list("ownersSet", "owner", "Owner")
        }
        "DescribeInstances" | "RebootInstances" | "TerminateInstances" => {
            asked.list("instancesSet", "instanceId", "InstanceId")
        }
        "DescribeKeyPairs" => asked.list("keySet", "keyName", "KeyName"),
        "DescribeSecurityGroups" => asked.list("securityGroupSet", "groupName", "GroupName"),
        "GetConsoleOutput" => asked.first("instanceId", "InstanceId"),
        "RegisterImage" => asked.text("imageLocation", "ImageLocation"),
        "RunInstances" => asked.launch(),
        _ => String::new(),
    };
    inside + &asked.rest()
}

/// An element as it is canonical.
fn element(name: &str, inside: &str) -> String {
    format!("<{name}>{inside}</{name}>")
}

fn canonical(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#xD;")
}

/// Parameters that have no element yet.
struct Asked<'a>(BTreeMap<&'a str, &'a str>);

impl Asked<'_> {
    /// A parameter's element, if there is one.
    fn text(&mut self, name: &str, parameter: &str) -> String {
        self.0.remove(parameter).map(|value| element(name, &canonical(value))).unwrap_or_default()
    }

    /// The values of a list, in the order of their numbers.
    fn values(&mut self, parameter: &str) -> Vec<String> {
        let numbered = (1..10).map(|number| format!("{parameter}.{number}"));
        let names = std::iter::once(parameter.to_owned()).chain(numbered);
        names.filter_map(|name| self.0.remove(name.as_str())).map(canonical).collect()
    }

    /// The first value of a list, by itself.
    fn first(&mut self, name: &str, parameter: &str) -> String {
        self.values(parameter).first().map(|value| element(name, value)).unwrap_or_default()
    }

    fn items(&mut self, name: &str, parameter: &str) -> String {
        self.values(parameter).iter().map(|value| element("item", &element(name, value))).collect()
    }

    /// A list, which is there with nothing in it, too.
    fn list(&mut self, list: &str, name: &str, parameter: &str) -> String {
        element(list, &self.items(name, parameter))
    }

    /// A permission: a protocol and ports from a network, or all that a group sends.
    fn permission(&mut self) -> String {
        let group = self.text("groupName", "GroupName");
        let range = self.text("ipProtocol", "IpProtocol")
            + &self.text("fromPort", "FromPort")
            + &self.text("toPort", "ToPort");
        let pair = self.text("userId", "SourceSecurityGroupOwnerId")
            + &self.text("groupName", "SourceSecurityGroupName");
        let network = self.text("cidrIp", "CidrIp");
        let items = |inside: String| match inside.is_empty() {
            true => inside,
            false => element("item", &inside),
        };
        let sources = element("groups", &items(pair)) + &element("ipRanges", &items(network));
        group + &element("ipPermissions", &element("item", &(range + &sources)))
    }

    /// An attribute of an image by its element: what is in it is what is to be changed.
    fn attribute(&mut self) -> String {
        let changed = match self.0.remove("OperationType") {
            Some(operation) => {
                let groups = self.items("group", "UserGroup") + &self.items("group", "Group");
                element(operation, &(groups + &self.items("userId", "UserId")))
            }
            None => self.items("productCode", "ProductCode"),
        };
        self.0.remove("Attribute").map(|name| element(name, &changed)).unwrap_or_default()
    }

    fn launch(&mut self) -> String {
        let item = self.text("imageId", "ImageId")
            + &self.text("minCount", "MinCount")
            + &self.text("maxCount", "MaxCount")
            + &self.text("keyName", "KeyName");
        let groups = self.list("groupSet", "groupId", "SecurityGroup");
        let data = self.text("data", "UserData");
        let data = match data.is_empty() {
            true => data,
            false => format!("<userData encoding=\"base64\" version=\"1.0\">{data}</userData>"),
        };
        element("instancesSet", &element("item", &item))
            + &groups
            + &data
            + &self.text("addressingType", "AddressingType")
    }

    fn rest(self) -> String {
        let small = |(name, value): (&str, &str)| {
            let (first, rest) = name.split_at(1);
            element(&(first.to_ascii_lowercase() + rest), &canonical(value))
        };
        self.0.into_iter().map(small).collect()
    }
}
