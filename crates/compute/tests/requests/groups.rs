//! Rules whose other side are members of a group: in the same VPC, and among all accounts' default ones.

use compute::compute::{
    ComputeError, InstanceRequest, InterfaceRequest, LaunchInterface, NewSecurityGroup, NewVpc,
};
use compute::id::{SecurityGroupId, VpcId};
use compute::resource::{Direction, Peer, Protocol, SecurityGroup, SecurityRule, Tags};

use super::host::{Host, request};

async fn group(host: &Host, account: &str, name: &str, vpc: Option<VpcId>) -> SecurityGroup {
    let (name, description, tags) = (name.to_owned(), String::new(), Tags::default());
    let new = NewSecurityGroup { name, description, vpc, rules: Some(vec![]), tags };
    host.compute.create_security_group(account, &new).await.unwrap()
}

fn from(account: &str, group: SecurityGroupId) -> SecurityRule {
    SecurityRule {
        direction: Direction::Ingress,
        protocol: Protocol::All,
        peer: Peer::Group { account: account.to_owned(), group },
        description: String::new(),
        id: None,
    }
}

#[tokio::test]
async fn members_of_another_account_are_let_in_by_their_group() {
    let host = Host::start().await;
    let [ours, theirs] = &host.accounts;
    let image = host.image(None).await;
    let app = group(&host, ours, "app", None).await;
    // As EC2 of 2007 has it: an account and a name.
    group(&host, theirs, "web", None).await;
    let web = host.compute.security_group_named(theirs, None, "web").await.unwrap();
    let rule = from(theirs, web.id);
    host.compute.change_rules(ours, app.id, std::slice::from_ref(&rule), &[]).await.unwrap();

    let in_group = |id| {
        let interface = LaunchInterface { security_groups: vec![id], ..LaunchInterface::default() };
        InstanceRequest { interfaces: vec![InterfaceRequest::New(interface)], ..request(image) }
    };
    let server = host.launch(ours, in_group(app.id)).await;
    let client = host.launch(theirs, in_group(web.id)).await;
    let plan = host.networks.in_force();
    let rules = &plan.groups.iter().find(|group| group.id == app.id).unwrap().rules;
    assert_eq!(rules, std::slice::from_ref(&rule));
    let groups_of =
        |address| &plan.members.iter().find(|member| Some(member.address) == address).unwrap().groups;
    assert_eq!(groups_of(server.private_address), &[app.id]);
    assert_eq!(
        groups_of(client.private_address),
        &[web.id],
        "the peer's members are known in the same network"
    );

    // It is referred to by another account's, and stays until that rule is gone.
    let theirs_is_used = host.compute.delete_security_group(theirs, web.id).await;
    assert!(matches!(theirs_is_used, Err(ComputeError::InUse { .. })), "{theirs_is_used:?}");
    host.compute.change_rules(ours, app.id, &[], &[rule]).await.unwrap();
    let plan = host.networks.in_force();
    assert!(plan.groups.iter().find(|group| group.id == app.id).unwrap().rules.is_empty());
}

#[tokio::test]
async fn groups_whose_members_are_never_met_cannot_be_named() {
    let host = Host::start().await;
    let [ours, theirs] = &host.accounts;
    let new = NewVpc {
        cidr: "10.1.0.0/16".parse().unwrap(),
        name: String::new(),
        description: String::new(),
        tags: Tags::default(),
    };
    let (our_vpc, their_vpc) = (
        host.compute.create_vpc(ours, &new).await.unwrap().id,
        host.compute.create_vpc(theirs, &new).await.unwrap().id,
    );
    let plain = group(&host, ours, "plain", None).await;
    let inside = group(&host, ours, "inside", Some(our_vpc)).await;
    let other = group(&host, ours, "other", Some(our_vpc)).await;
    let foreign = group(&host, theirs, "foreign", Some(their_vpc)).await;
    let cases = [
        (plain.id, from(ours, inside.id), false),
        (inside.id, from(ours, plain.id), false),
        (inside.id, from(theirs, foreign.id), false),
        (inside.id, from(ours, other.id), true),
        (inside.id, from(ours, inside.id), true),
    ];
    for (group, rule, is_met) in cases {
        let before = host.compute.security_group(ours, group).await.unwrap();
        let changed = host.compute.change_rules(ours, group, std::slice::from_ref(&rule), &[]).await;
        assert_eq!(changed.is_ok(), is_met, "{rule:?}: {changed:?}");
        if !is_met {
            assert!(matches!(changed, Err(ComputeError::Invalid { .. })), "{changed:?}");
            assert_eq!(host.compute.security_group(ours, group).await.unwrap(), before);
        }
    }
}

#[tokio::test]
async fn a_group_is_found_by_its_name_where_there_is_one() {
    let host = Host::start().await;
    let [ours, theirs] = &host.accounts;
    // The other account has never done anything, and has its default group all the same.
    let default = host.compute.security_group_named(theirs, None, "default").await.unwrap();
    assert_eq!((default.name.as_str(), &default.account), ("default", theirs));
    for (account, name) in
        [(ours.as_str(), "nosuch"), ("999999999999", "default"), ("x/y", "default"), ("", "")]
    {
        let absent = host.compute.security_group_named(account, None, name).await;
        assert!(matches!(absent, Err(ComputeError::NotFound { .. })), "{account} {name}: {absent:?}");
    }
    // Nothing was made for an account that is not there.
    assert!(host.compute.vpcs(theirs, None, 10).await.unwrap().items.len() == 1);
}

#[tokio::test]
async fn an_account_stays_whose_group_another_ones_rule_names() {
    let host = Host::start().await;
    let [ours, theirs] = &host.accounts;
    let app = group(&host, ours, "app", None).await;
    let default = host.compute.security_group_named(theirs, None, "default").await.unwrap();
    let rule = from(theirs, default.id);
    host.compute.change_rules(ours, app.id, std::slice::from_ref(&rule), &[]).await.unwrap();
    let delete = || host.compute.delete_account(&host.identity, theirs.parse().unwrap());
    let refused = delete().await.unwrap_err().to_string();
    assert!(refused.contains(&app.id.to_string()), "{refused}");
    assert!(host.compute.security_group(theirs, default.id).await.is_ok());
    host.compute.change_rules(ours, app.id, &[], &[rule]).await.unwrap();
    delete().await.unwrap();
    assert!(host.compute.security_group(theirs, default.id).await.is_err());
}

#[tokio::test]
async fn rules_are_replaced_where_they_are_or_none_is() {
    let host = Host::start().await;
    let account = &host.accounts[0];
    let group = group(&host, account, "web", None).await;
    let rule = |port: u16| SecurityRule {
        direction: Direction::Ingress,
        protocol: Protocol::Tcp { from: port, to: port },
        peer: Peer::Cidr("10.0.0.0/8".parse().unwrap()),
        description: String::new(),
        id: Some(format!("rule {port}")),
    };
    let [a, b, c] = [rule(1), rule(2), rule(3)];
    host.compute.change_rules(account, group.id, &[a.clone(), b.clone(), c.clone()], &[]).await.unwrap();
    let rules = async || host.compute.security_group(account, group.id).await.unwrap().rules;
    let cases = [
        (vec![(a.clone(), rule(4)), (b.clone(), c.clone())], "there already"),
        (vec![(a.clone(), rule(4)), (rule(5), rule(6))], "there is no rule"),
        (vec![(a.clone(), rule(4)), (b.clone(), rule(4))], "there already"),
    ];
    for (changes, why) in cases {
        let refused = host.compute.replace_rules(account, group.id, &changes).await.unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
        assert_eq!(rules().await, [a.clone(), b.clone(), c.clone()]);
    }
    // Two can take each other's place.
    let changes = [(c.clone(), rule(9)), (a.clone(), b.clone()), (b.clone(), a.clone())];
    host.compute.replace_rules(account, group.id, &changes).await.unwrap();
    assert_eq!(rules().await, [b, a, rule(9)]);
}
