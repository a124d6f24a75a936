//! Policies that every account has: the clouds' own, which users attach by name without making them. Dialects look here
//! before they look among the account's own; nothing of these is stored.

use super::PermissionPolicy;

/// A policy that is there from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// Its name, its cloud's.
    pub name: &'static str,
    /// Its document.
    pub text: &'static str,
}

/// All of them.
pub const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "AdministratorAccess",
        text: r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    },
    BuiltIn {
        name: "AliyunECSFullAccess",
        text: r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["ecs:*","vpc:DescribeVpcs","vpc:DescribeVSwitches"],"Resource":"*"}]}"#,
    },
    BuiltIn {
        name: "AliyunECSReadOnlyAccess",
        text: r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["ecs:Describe*","ecs:List*","ecs:Get*","vpc:DescribeVpcs","vpc:DescribeVSwitches"],"Resource":"*"}]}"#,
    },
    BuiltIn {
        name: "AliyunKMSFullAccess",
        text: r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}"#,
    },
    BuiltIn {
        name: "AliyunRAMFullAccess",
        text: r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"ram:*","Resource":"*"}]}"#,
    },
    BuiltIn {
        name: "AliyunRAMReadOnlyAccess",
        text: r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["ram:Get*","ram:List*"],"Resource":"*"}]}"#,
    },
    BuiltIn {
        name: "AliyunSTSAssumeRoleAccess",
        text: r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}"#,
    },
    BuiltIn {
        name: "AliyunVPCFullAccess",
        text: r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"vpc:*","Resource":"*"}]}"#,
    },
    BuiltIn {
        name: "AmazonEC2FullAccess",
        text: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}"#,
    },
    BuiltIn {
        name: "AmazonEC2ReadOnlyAccess",
        text: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:Describe*","ec2:GetConsoleOutput"],"Resource":"*"}]}"#,
    },
];

/// The built-in policy of this name, if there is one.
pub fn built_in(name: &str) -> Option<PermissionPolicy> {
    let known = BUILT_IN.iter().find(|policy| policy.name == name)?;
    Some(known.text.parse().expect("a test reads all of them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_can_be_read() {
        for policy in BUILT_IN {
            assert_eq!(built_in(policy.name).expect("it is there").text(), policy.text);
        }
        assert!(built_in("aliyunecsfullaccess").is_none(), "names keep their case");
    }
}
