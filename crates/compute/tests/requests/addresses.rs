//! Public addresses that take each other's place, and interfaces that are asked for twice.

use compute::compute::{ComputeError, InstanceRequest, NewInterface, PublicAddress, Token};
use compute::outside::MemberPlan;
use compute::resource::Tags;

use super::host::{Host, request};

#[tokio::test]
async fn an_address_takes_the_place_of_another() {
    let host = Host::start().await;
    let account = &host.accounts[0];
    let image = host.image(None).await;
    let instance = host
        .launch(account, InstanceRequest { public_address: PublicAddress::Always, ..request(image) })
        .await;
    let other = host.launch(account, request(image)).await;
    let (first, second) = (instance.interfaces[0], other.interfaces[0]);
    let allocate = || host.compute.allocate_address(account, None, "", 0, Tags::default());
    let [a, b] = [allocate().await.unwrap(), allocate().await.unwrap()];
    let all = async || host.compute.addresses(account, None, 100, |_| true).await.unwrap().items;
    assert_eq!(all().await.len(), 3, "the instance's own among them");

    // Its own one goes, an allocated one only leads nowhere.
    host.compute.replace_address(account, a.id, first, false).await.unwrap();
    assert_eq!(all().await.len(), 2);
    host.compute.replace_address(account, b.id, first, false).await.unwrap();
    assert_eq!(host.compute.address(account, a.id).await.unwrap().interface, None);
    let public = |interface| {
        let plan = host.networks.in_force();
        plan.members.into_iter().find(|member| member.interface == interface).unwrap().public
    };
    assert_eq!((public(first), public(second)), (Some(b.address), None));

    // Again is success; elsewhere only where that is asked for.
    host.compute.replace_address(account, b.id, first, false).await.unwrap();
    let refused = host.compute.replace_address(account, b.id, second, false).await;
    assert!(matches!(refused, Err(ComputeError::InUse { .. })), "{refused:?}");
    assert_eq!((public(first), public(second)), (Some(b.address), None));
    host.compute.replace_address(account, b.id, second, true).await.unwrap();
    assert_eq!((public(first), public(second)), (None, Some(b.address)));
}

/// The host has six of them: addresses that instances need limit how many there are, those that they like do not.
#[tokio::test]
async fn instances_get_public_addresses_as_long_as_there_are_some() {
    let host = Host::start().await;
    let account = &host.accounts[0];
    let image = host.image(None).await;
    let some = |public_address, min, max| InstanceRequest { min, max, public_address, ..request(image) };
    let launch = async |kinds: Vec<InstanceRequest>| {
        let launched = host.try_launch(account, kinds).await?;
        let mut public = Vec::new();
        for instance in launched.instances {
            let view = host.compute.instance_view(account, instance.id).await?;
            public.push(view.interfaces[0].1.is_some());
        }
        Ok::<_, ComputeError>(public)
    };
    let (liked, needed) = (PublicAddress::IfAny, PublicAddress::Always);
    assert_eq!(launch(vec![some(PublicAddress::Never, 1, 1)]).await.unwrap(), [false]);
    // By turns, and those that need one have it first.
    let both = launch(vec![some(liked, 2, 2), some(needed, 3, 3)]).await.unwrap();
    assert_eq!(both, [true, true, true, true, true]);
    let both = launch(vec![some(liked, 1, 1), some(needed, 1, 1)]).await.unwrap();
    assert_eq!(both, [false, true]);
    assert_eq!(launch(vec![some(liked, 1, 2)]).await.unwrap(), [false, false]);
    let refused = launch(vec![some(needed, 1, 1)]).await;
    assert!(matches!(refused, Err(ComputeError::Address { taken: false, .. })), "{refused:?}");
}

#[tokio::test]
async fn an_interface_is_made_once_for_a_token() {
    let host = Host::start().await;
    let account = &host.accounts[0];
    let subnet = host.compute.default_subnet(account).await.unwrap().id;
    let asked = |parameters: &str| NewInterface {
        subnet,
        address: None,
        security_groups: vec![],
        name: String::new(),
        description: String::new(),
        tags: Tags::default(),
        token: Some(Token {
            operation: "ec2/CreateNetworkInterface",
            token: "one".to_owned(),
            parameters: parameters.to_owned(),
        }),
    };
    let made = host.compute.create_interface(account, &asked("a")).await.unwrap();
    assert_eq!(host.compute.create_interface(account, &asked("a")).await.unwrap(), made);
    let other = host.compute.create_interface(account, &asked("b")).await;
    assert!(matches!(other, Err(ComputeError::TokenMismatch)), "{other:?}");
    assert_eq!(host.compute.interfaces(account, None, 10, |_| true).await.unwrap().items, [made]);
}

#[tokio::test]
async fn the_least_of_two_limits_is_in_force() {
    let host = Host::start().await;
    let account = &host.accounts[0];
    let image = host.image(None).await;
    let [small, tiny] = ["m1.small", "tiny"].map(str::to_owned);
    let small = host.launch(account, InstanceRequest { instance_type: small, ..request(image) }).await;
    let tiny = host.launch(account, InstanceRequest { instance_type: tiny, ..request(image) }).await;
    let limits = || {
        let plan = host.networks.in_force();
        [&small, &tiny].map(|instance| {
            let is_its = |member: &&MemberPlan| member.interface == instance.interfaces[0];
            plan.members.iter().find(is_its).unwrap().bandwidth_mbps
        })
    };
    assert_eq!(limits(), [250, 0], "an instance of 2007 has 250 Mbit/s");
    for (mbps, in_force) in [(100, [100, 100]), (300, [250, 300])] {
        for instance in [&small, &tiny] {
            let address =
                host.compute.allocate_address(account, None, "", mbps, Tags::default()).await.unwrap();
            let interface = instance.interfaces[0];
            host.compute.replace_address(account, address.id, interface, false).await.unwrap();
        }
        assert_eq!(limits(), in_force);
    }
}
