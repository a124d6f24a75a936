//! Rules of groups that are changed, by the ids that they keep.

use super::caller::Host;
use super::networks::{WEB, made, one, with};

#[tokio::test]
async fn rules_that_are_changed_keep_their_ids() {
    let host = Host::start().await;
    let root = host.root().await;
    let words = [("GroupName", "web"), ("GroupDescription", "front end")];
    let group = made(&root, "CreateSecurityGroup", &words, "groupId").await;
    let of = ("GroupId", &*group);
    let added = root.ec2("AuthorizeSecurityGroupIngress", &with(&[of], WEB)).await.ok();
    let ids = added.all("securityGroupRuleId");
    let modify = "ModifySecurityGroupRules";
    let all = [
        of,
        ("SecurityGroupRule.1.SecurityGroupRuleId", &*ids[0]),
        ("SecurityGroupRule.1.SecurityGroupRule.IpProtocol", "udp"),
        ("SecurityGroupRule.1.SecurityGroupRule.FromPort", "53"),
        ("SecurityGroupRule.1.SecurityGroupRule.ToPort", "53"),
        ("SecurityGroupRule.1.SecurityGroupRule.CidrIpv4", "10.0.0.0/8"),
        ("SecurityGroupRule.2.SecurityGroupRuleId", &*ids[1]),
        ("SecurityGroupRule.2.SecurityGroupRule.IpProtocol", "-1"),
        ("SecurityGroupRule.2.SecurityGroupRule.ReferencedGroupId", &*group),
        ("SecurityGroupRule.2.SecurityGroupRule.Description", "each other"),
    ];
    let rules = async || {
        let both = [("SecurityGroupRuleId.1", &*ids[0]), ("SecurityGroupRuleId.2", &*ids[1])];
        let shown = root.ec2("DescribeSecurityGroupRules", &both).await.ok();
        let mut seen: Vec<_> =
            shown.all("securityGroupRuleId").into_iter().zip(shown.all("ipProtocol")).collect();
        seen.sort();
        (seen, shown.all("description"))
    };
    let before = rules().await;
    let without = |name: &str| -> Vec<(&str, &str)> {
        all.iter().filter(|(other, _)| *other != name).copied().collect()
    };
    let instead = |name: &'static str, value: &'static str| {
        let mut pairs = without(name);
        pairs.push((name, value));
        pairs
    };
    for (pairs, code) in [
        (without("GroupId"), "MissingParameter"),
        (vec![of], "MissingParameter"),
        (all[..2].to_vec(), "MissingParameter"),
        (without("SecurityGroupRule.2.SecurityGroupRuleId"), "MissingParameter"),
        (without("SecurityGroupRule.1.SecurityGroupRule.IpProtocol"), "MissingParameter"),
        (without("SecurityGroupRule.1.SecurityGroupRule.CidrIpv4"), "MissingParameter"),
        (without("SecurityGroupRule.1.SecurityGroupRule.ToPort"), "InvalidParameterValue"),
        (instead("SecurityGroupRule.2.SecurityGroupRuleId", "sgr-1"), "InvalidSecurityGroupRuleId.Malformed"),
        (
            instead("SecurityGroupRule.2.SecurityGroupRuleId", "sgr-0000000000000000f"),
            "InvalidSecurityGroupRuleId.NotFound",
        ),
        (
            instead("SecurityGroupRule.2.SecurityGroupRule.CidrIpv4", "10.0.0.0/8"),
            "InvalidParameterCombination",
        ),
        (instead("SecurityGroupRule.1.SecurityGroupRule.CidrIpv4", "10.0.0.0/33"), "InvalidParameterValue"),
        (instead("SecurityGroupRule.1.SecurityGroupRule.CidrIpv6", "::/0"), "UnsupportedOperation"),
        (
            instead("SecurityGroupRule.2.SecurityGroupRule.ReferencedGroupId", "sg-0000000a"),
            "InvalidGroup.NotFound",
        ),
        (instead("SecurityGroupRule.2.SecurityGroupRule.Description", "a|b"), "InvalidParameterValue"),
    ] {
        root.ec2(modify, &pairs).await.refused(400, code);
    }
    let same = [&all[..6], &[("SecurityGroupRule.2.SecurityGroupRuleId", &*ids[0])], &all[7..]].concat();
    root.ec2(modify, &same).await.refused(400, "InvalidParameterValue");
    let twice = [
        &all[..7],
        &[
            ("SecurityGroupRule.2.SecurityGroupRule.IpProtocol", "udp"),
            ("SecurityGroupRule.2.SecurityGroupRule.FromPort", "53"),
            ("SecurityGroupRule.2.SecurityGroupRule.ToPort", "53"),
            ("SecurityGroupRule.2.SecurityGroupRule.CidrIpv4", "10.0.0.0/8"),
        ],
    ]
    .concat();
    root.ec2(modify, &twice).await.refused(400, "InvalidPermission.Duplicate");
    assert_eq!(rules().await, before, "nothing was changed");

    assert_eq!(root.ec2(modify, &all).await.ok().all("return"), ["true"]);
    let mut expected = vec![(ids[0].clone(), "udp".to_owned()), (ids[1].clone(), "-1".to_owned())];
    expected.sort();
    assert_eq!(rules().await, (expected, vec!["each other".to_owned()]));
    // What it said before can be said anew, by another rule. What is said of one leaves it its id.
    let again = root.ec2("AuthorizeSecurityGroupIngress", &with(&[of], WEB)).await.ok();
    assert!(again.all("securityGroupRuleId").iter().all(|id| !ids.contains(id)), "{}", again.text);
    let described = [
        of,
        ("SecurityGroupRuleDescription.1.SecurityGroupRuleId", &*ids[0]),
        ("SecurityGroupRuleDescription.1.Description", "names"),
    ];
    root.ec2("UpdateSecurityGroupRuleDescriptionsIngress", &described).await.ok();
    let mut said = rules().await.1;
    said.sort();
    assert_eq!(said, ["each other", "names"]);
    let gone = [of, ("SecurityGroupRuleId.1", &*ids[0]), ("SecurityGroupRuleId.2", &*ids[1])];
    assert_eq!(root.ec2("RevokeSecurityGroupIngress", &gone).await.ok().all("ipProtocol"), ["udp", "-1"]);

    // The rule that comes with a group has an id, too, and keeps it.
    let filter = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", &*group)];
    let shown = root.ec2("DescribeSecurityGroupRules", &filter).await.ok();
    let egress = shown.all("isEgress").iter().position(|is| is == "true").unwrap();
    let id = shown.all("securityGroupRuleId").remove(egress);
    let narrower = [
        of,
        ("SecurityGroupRule.1.SecurityGroupRuleId", &*id),
        ("SecurityGroupRule.1.SecurityGroupRule.IpProtocol", "-1"),
        ("SecurityGroupRule.1.SecurityGroupRule.CidrIpv4", "10.0.0.0/8"),
    ];
    root.ec2(modify, &narrower).await.ok();
    let shown = root.ec2("DescribeSecurityGroupRules", &[("SecurityGroupRuleId.1", &id)]).await.ok();
    assert_eq!(
        (one(&shown, "isEgress"), one(&shown, "cidrIpv4")),
        ("true".to_owned(), "10.0.0.0/8".to_owned())
    );
}
