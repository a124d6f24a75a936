//! How each action of 2007 is asked: by which parameters of Query, and by which elements of SOAP. The elements become the same
//! parameters, so that a handler is written once; those that only SOAP can say, as several images to launch, have names that
//! no request of Query may use.

use super::super::errors::Refusal;
use super::super::parameters::{NOT_ASKED, Parameters};

/// How an action is asked.
pub struct Shape {
    /// Its name.
    pub action: &'static str,
    /// Parameters of Query; one that ends in `.n` is a list.
    pub query: &'static [&'static str],
    /// Elements of SOAP, by their paths from the action's element, each with what it becomes.
    pub soap: &'static [(&'static str, Part)],
}

/// What an element becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its text is this parameter. Each `#` is the place of the `item` that it is in, from 1.
    Text(&'static str),
    /// That it is there says this.
    Says(&'static str, &'static str),
    /// An attribute that it must have is this parameter, and its elements are looked at.
    Attributes(&'static [(&'static str, &'static str)]),
}

use Part::{Attributes, Says, Text};

const PERMISSION: &[&str] = &[
    "GroupName",
    "SourceSecurityGroupName",
    "SourceSecurityGroupOwnerId",
    "IpProtocol",
    "FromPort",
    "ToPort",
    "CidrIp",
];

const PERMISSIONS: &[(&str, Part)] = &[
    ("userId", Text("UserId")),
    ("groupName", Text("GroupName")),
    ("ipPermissions/item/ipProtocol", Text("IpPermissions.#.IpProtocol")),
    ("ipPermissions/item/fromPort", Text("IpPermissions.#.FromPort")),
    ("ipPermissions/item/toPort", Text("IpPermissions.#.ToPort")),
    ("ipPermissions/item/groups/item/userId", Text("IpPermissions.#.Groups.#.UserId")),
    ("ipPermissions/item/groups/item/groupName", Text("IpPermissions.#.Groups.#.GroupName")),
    ("ipPermissions/item/ipRanges/item/cidrIp", Text("IpPermissions.#.IpRanges.#.CidrIp")),
];

const INSTANCES: &[(&str, Part)] = &[("instancesSet/item/instanceId", Text("InstanceId.#"))];
const IMAGE: &[(&str, Part)] = &[("imageId", Text("ImageId"))];
const KEY_NAME: &[(&str, Part)] = &[("keyName", Text("KeyName"))];

const ATTRIBUTE: &[(&str, Part)] = &[
    ("imageId", Text("ImageId")),
    ("launchPermission", Says("Attribute", "launchPermission")),
    ("productCodes", Says("Attribute", "productCodes")),
];

const CHANGED_ATTRIBUTE: &[(&str, Part)] = &[
    ("imageId", Text("ImageId")),
    ("launchPermission", Says("Attribute", "launchPermission")),
    ("launchPermission/add", Says("OperationType", "add")),
    ("launchPermission/add/item/group", Text("UserGroup.#")),
    ("launchPermission/add/item/userId", Text("UserId.#")),
    ("launchPermission/remove", Says("OperationType", "remove")),
    ("launchPermission/remove/item/group", Text("UserGroup.#")),
    ("launchPermission/remove/item/userId", Text("UserId.#")),
    ("productCodes", Says("Attribute", "productCodes")),
    ("productCodes/item/productCode", Text("ProductCode.#")),
];

const LAUNCH: &[(&str, Part)] = &[
    ("instancesSet/item/imageId", Text("Launch.#.ImageId")),
    ("instancesSet/item/minCount", Text("Launch.#.MinCount")),
    ("instancesSet/item/maxCount", Text("Launch.#.MaxCount")),
    ("instancesSet/item/keyName", Text("Launch.#.KeyName")),
    ("groupSet/item/groupId", Text("SecurityGroup.#")),
    ("additionalInfo", Text("AdditionalInfo")),
    ("userData", Attributes(&[("version", "UserData.Version"), ("encoding", "UserData.Encoding")])),
    ("userData/data", Text("UserData")),
    ("addressingType", Text("AddressingType")),
];

/// All of them, by their names.
#[rustfmt::skip]
pub static SHAPES: &[Shape] = &[
    Shape { action: "AuthorizeSecurityGroupIngress", query: PERMISSION, soap: PERMISSIONS },
    Shape {
        action: "ConfirmProductInstance",
        query: &["ProductCode", "InstanceId"],
        soap: &[("productCode", Text("ProductCode")), ("instanceId", Text("InstanceId"))],
    },
    Shape { action: "CreateKeyPair", query: &["KeyName"], soap: KEY_NAME },
    Shape {
        action: "CreateSecurityGroup",
        query: &["GroupName", "GroupDescription"],
        soap: &[("groupName", Text("GroupName")), ("groupDescription", Text("GroupDescription"))],
    },
    Shape { action: "DeleteKeyPair", query: &["KeyName"], soap: KEY_NAME },
    Shape { action: "DeleteSecurityGroup", query: &["GroupName"], soap: &[("groupName", Text("GroupName"))] },
    Shape { action: "DeregisterImage", query: &["ImageId"], soap: IMAGE },
    Shape { action: "DescribeImageAttribute", query: &["ImageId", "Attribute"], soap: ATTRIBUTE },
    Shape {
        action: "DescribeImages",
        query: &["ImageId.n", "Owner.n", "ExecutableBy.n"],
        soap: &[
            ("imagesSet/item/imageId", Text("ImageId.#")),
            ("imageSet/item/imageId", Text("ImageId.#")),
            ("ownersSet/item/owner", Text("Owner.#")),
            ("executableBySet/item/user", Text("ExecutableBy.#")),
        ],
    },
    Shape { action: "DescribeInstances", query: &["InstanceId.n"], soap: INSTANCES },
    Shape { action: "DescribeKeyPairs", query: &["KeyName.n"], soap: &[("keySet/item/keyName", Text("KeyName.#"))] },
    Shape {
        action: "DescribeSecurityGroups",
        query: &["GroupName.n"],
        soap: &[("securityGroupSet/item/groupName", Text("GroupName.#"))],
    },
    Shape { action: "GetConsoleOutput", query: &["InstanceId.n"], soap: &[("instanceId", Text("InstanceId"))] },
    Shape {
        action: "ModifyImageAttribute",
        query: &["ImageId", "Attribute", "OperationType", "UserId.n", "UserGroup.n", "Group.n", "ProductCode.n"],
        soap: CHANGED_ATTRIBUTE,
    },
    Shape { action: "RebootInstances", query: &["InstanceId.n"], soap: INSTANCES },
    Shape { action: "RegisterImage", query: &["ImageLocation"], soap: &[("imageLocation", Text("ImageLocation"))] },
    Shape { action: "ResetImageAttribute", query: &["ImageId", "Attribute"], soap: ATTRIBUTE },
    Shape { action: "RevokeSecurityGroupIngress", query: PERMISSION, soap: PERMISSIONS },
    Shape {
        action: "RunInstances",
        query: &[
            "ImageId", "MinCount", "MaxCount", "KeyName", "SecurityGroup.n", "UserData", "AddressingType",
        ],
        soap: LAUNCH,
    },
    Shape { action: "TerminateInstances", query: &["InstanceId.n"], soap: INSTANCES },
];

/// The shape of an action of 2007; each has one.
pub fn of(action: &str) -> &'static Shape {
    SHAPES.iter().find(|shape| shape.action == action).expect("each row has its shape")
}

/// Refuses parameters that an action of 2007 has not when it is asked by Query. One without a value asks for nothing.
pub fn check_query(action: &str, parameters: &Parameters) -> Result<(), Refusal> {
    let shape = of(action);
    for (name, value) in parameters.iter() {
        let is_known = value.is_empty()
            || matches!(name, "Action" | "Operation")
            // Tokens came later. One that was passed over would not do what it is for.
            || (NOT_ASKED.contains(&name) && name != "ClientToken")
            || shape.query.iter().any(|known| is_called(known, name));
        if !is_known {
            return Err(Refusal::unknown_parameter(name));
        }
    }
    Ok(())
}

/// Whether a parameter of this name is the known one, or an item of the known list. A list of one may come without a number.
fn is_called(known: &str, name: &str) -> bool {
    let Some(list) = known.strip_suffix(".n") else { return known == name };
    let Some(rest) = name.strip_prefix(list) else { return false };
    let number = rest.strip_prefix('.').unwrap_or_default();
    rest.is_empty() || (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::super::super::parameters::of as parameters;
    use super::super::ROWS;
    use super::*;

    #[test]
    fn each_row_has_a_shape() {
        let names: Vec<_> = SHAPES.iter().map(|shape| shape.action).collect();
        let rows: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names, rows);
        assert_eq!(rows.len(), 20);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let known = &[
            ("Action", "DescribeImages"),
            ("Signature", "x"),
            ("ImageId", "a"),
            ("ImageId.2", "b"),
            ("Owner.1", "self"),
            ("Filter.1.Name", ""),
        ];
        assert_eq!(check_query("DescribeImages", &parameters(known)), Ok(()));
        for (action, name) in [
            ("DescribeImages", "imageId"),
            ("DescribeImages", "ImageId.x"),
            ("DescribeImages", "ImageId."),
            ("DescribeImages", "MaxResults"),
            ("RunInstances", "InstanceType"),
            ("RunInstances", "ClientToken"),
            ("RunInstances", "AdditionalInfo"),
            ("RunInstances", "Launch.1.ImageId"),
            ("RunInstances", "UserData.Version"),
            ("RunInstances", "ImageId.1"),
        ] {
            let refusal = check_query(action, &parameters(&[(name, "x")])).unwrap_err();
            assert_eq!(refusal.code, "UnknownParameter", "{action} {name}");
            assert!(refusal.message.contains(name), "{refusal:?}");
        }
    }
}
