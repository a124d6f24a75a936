//! What networks are refused with: EC2's codes that only they have.

use super::super::Refusal;

/// Two parameters that do not go together.
pub fn combination(one: &str, other: &str) -> Refusal {
    Refusal::combination(format!("The parameter {one} may not be used in combination with {other}"))
}

/// A value that makes no sense, in EC2's own words for it.
pub fn value(why: impl Into<String>) -> Refusal {
    Refusal::new(400, "InvalidParameterValue", why)
}

/// The value of a parameter that makes no sense.
pub fn parameter(name: &str, text: &str, why: &str) -> Refusal {
    value(format!("Value ({}) for parameter {name} is invalid. {why}", shown(text)))
}

/// What has not the form of an id.
pub fn malformed_id(code: &'static str, word: &str, text: &str) -> Refusal {
    Refusal::new(400, code, format!("Invalid id: \"{}\" (expecting \"{word}-...\")", shown(text)))
}

/// Two groups, or a group and something else, that can never meet.
pub fn different_networks() -> Refusal {
    let why = "You have specified two resources that belong to different networks.";
    Refusal::new(400, "InvalidGroup.NotFound", why)
}

/// There is no attachment of this id.
pub fn no_attachment(id: &str) -> Refusal {
    let why = format!("The attachment '{}' does not exist.", shown(id));
    Refusal::new(400, "InvalidAttachmentID.NotFound", why)
}

/// There is no rule of this id.
pub fn no_rule(id: &str) -> Refusal {
    let why = format!("The security group rule ID '{}' does not exist", shown(id));
    Refusal::new(400, "InvalidSecurityGroupRuleId.NotFound", why)
}

/// A group has no such rule.
pub fn no_permission() -> Refusal {
    let why = "The specified rule does not exist in this security group.";
    Refusal::new(400, "InvalidPermission.NotFound", why)
}

/// What is no rule.
pub fn malformed_permission(why: impl Into<String>) -> Refusal {
    Refusal::new(400, "InvalidPermission.Malformed", why)
}

/// Something is still needed.
pub fn dependency(why: impl Into<String>) -> Refusal {
    Refusal::new(400, "DependencyViolation", why)
}

/// A text of a client's, no longer than a message bears.
pub fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}
