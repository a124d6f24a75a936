//! Launches with several network interfaces: new ones and ones that are there, and what becomes of them.

use std::time::Duration;

use compute::capacity::Amounts;
use compute::compute::{
    ComputeError, InstanceRequest, InterfaceRequest, LaunchInterface, NewInterface, NewSubnet, NewVpc,
    Protection, PublicAddress,
};
use compute::id::{ImageId, InstanceId, InterfaceId, SubnetId};
use compute::lifecycle::{Action, Report, State};
use compute::outside::Sight;
use compute::resource::{Instance, Interface, Resource, Subnet, Tags};

use super::host::{Host, request};

/// Two subnets of a VPC.
async fn subnets(host: &Host, account: &str, vpc: &str) -> [Subnet; 2] {
    let (name, description, tags) = (String::new(), String::new(), Tags::default());
    let new = NewVpc { cidr: vpc.parse().unwrap(), name, description, tags };
    let vpc = host.compute.create_vpc(account, &new).await.unwrap();
    let zone = host.compute.config().catalog.zones[0].name.clone();
    let mut made = Vec::new();
    for part in [1, 2] {
        let cidr = vpc.cidr.to_string().replace(".0.0/16", &format!(".{part}.0/24"));
        let new = NewSubnet {
            vpc: vpc.id,
            cidr: cidr.parse().unwrap(),
            zone: Some(zone.clone()),
            name: String::new(),
            description: String::new(),
            private: false,
            tags: Tags::default(),
        };
        made.push(host.compute.create_subnet(account, &new).await.unwrap());
    }
    made.try_into().unwrap()
}

/// An interface that no instance has.
async fn loose(host: &Host, account: &str, subnet: SubnetId) -> InterfaceId {
    let new = NewInterface {
        subnet,
        address: None,
        security_groups: vec![],
        name: String::new(),
        description: "mine".to_owned(),
        tags: Tags::default(),
        token: None,
    };
    host.compute.create_interface(account, &new).await.unwrap().id
}

fn new(subnet: SubnetId) -> LaunchInterface {
    LaunchInterface { subnet: Some(subnet), ..LaunchInterface::default() }
}

fn with(image: ImageId, interfaces: &[InterfaceRequest]) -> InstanceRequest {
    InstanceRequest { interfaces: interfaces.to_vec(), ..request(image) }
}

fn existing(interface: InterfaceId) -> InterfaceRequest {
    InterfaceRequest::Existing { interface, delete_with_instance: false }
}

async fn terminate(host: &Host, account: &str, id: InstanceId) {
    end(host, account, id).await;
    while host.compute.instance(account, id).await.unwrap().state() != State::Terminated {
        tokio::task::yield_now().await;
    }
}

/// Asks for it, and sees to it that its guest does as it is told.
async fn end(host: &Host, account: &str, id: InstanceId) {
    let (action, allowance) = (Action::Terminate, Amounts::UNLIMITED);
    host.compute.act(account, id, action, allowance, Protection::Respected).await.unwrap();
    host.compute.saw(id, Sight { report: Report::PoweredOff, reason: String::new() });
}

async fn all(host: &Host, account: &str) -> Vec<Interface> {
    host.compute.interfaces(account, None, 100, |_| true).await.unwrap().items
}

async fn of(host: &Host, instance: &Instance) -> Vec<Interface> {
    let view = host.compute.instance_view(&instance.account, instance.id).await.unwrap();
    view.interfaces.into_iter().map(|(interface, _)| interface).collect()
}

#[tokio::test]
async fn interfaces_are_in_the_order_asked_and_go_as_was_said() {
    let host = Host::start().await;
    let account = &host.accounts[0];
    let image = host.image(None).await;
    let [front, back] = subnets(&host, account, "10.1.0.0/16").await;
    let kept = loose(&host, account, back.id).await;
    let address = "10.1.2.9".parse().unwrap();
    let stays = LaunchInterface {
        address: Some(address),
        description: "stays".to_owned(),
        delete_with_instance: false,
        tags: Tags([("team".to_owned(), "storage".to_owned())].into()),
        ..new(back.id)
    };
    let wanted = [InterfaceRequest::New(new(front.id)), existing(kept), InterfaceRequest::New(stays)];
    let instance = host
        .launch(account, InstanceRequest { public_address: PublicAddress::Always, ..with(image, &wanted) })
        .await;
    let seen = of(&host, &instance).await;
    assert_eq!(instance.interfaces, seen.iter().map(|one| one.id).collect::<Vec<_>>());
    assert_eq!(seen.iter().map(|one| one.index).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(seen.iter().map(|one| one.subnet).collect::<Vec<_>>(), [front.id, back.id, back.id]);
    let goes: Vec<bool> = seen.iter().map(|one| one.delete_with_instance).collect();
    assert_eq!(goes, [true, false, false]);
    assert_eq!((seen[1].id, seen[1].description.as_str()), (kept, "mine"));
    assert_eq!((seen[2].address, seen[2].description.as_str()), (address, "stays"));
    assert_eq!(seen[2].tags.0["team"], "storage");
    assert_eq!(instance.private_address, Some(seen[0].address), "the first one's is the instance's");
    let members: Vec<InterfaceId> =
        host.networks.in_force().members.iter().map(|member| member.interface).collect();
    assert!(seen.iter().all(|one| members.contains(&one.id)), "{members:?}");
    let view = host.compute.instance_view(account, instance.id).await.unwrap();
    let publics: Vec<bool> = view.interfaces.iter().map(|(_, public)| public.is_some()).collect();
    assert_eq!(publics, [true, false, false]);

    terminate(&host, account, instance.id).await;
    let left = all(&host, account).await;
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().all(|one| one.instance.is_none() && one.index == 0), "{left:?}");
    assert!(host.networks.in_force().members.is_empty());
    // Its address is free, those that are left have theirs.
    assert_eq!(host.compute.taken_addresses(&front), 0);
    assert_eq!(host.compute.taken_addresses(&back), 2);

    // The next one has them, and who had them before shows nothing of them.
    let next = host.launch(account, with(image, &[existing(seen[2].id), existing(kept)])).await;
    assert_eq!(next.interfaces, [seen[2].id, kept]);
    assert_eq!(next.private_address, Some(address));
    let page = host.compute.instance_views(account, None, 10, |_| true).await.unwrap().items;
    let shown = |id| page.iter().find(|view| view.instance.id == id).unwrap().interfaces.len();
    assert_eq!((shown(instance.id), shown(next.id)), (0, 2));
}

#[tokio::test]
async fn a_launch_that_is_refused_takes_no_interface() {
    let host = Host::start().await;
    let [account, stranger] = &host.accounts;
    let image = host.image(None).await;
    let [front, back] = subnets(&host, account, "10.1.0.0/16").await;
    let [elsewhere, _] = subnets(&host, account, "10.2.0.0/16").await;
    let theirs = subnets(&host, stranger, "10.1.0.0/16").await;
    let theirs = loose(&host, stranger, theirs[0].id).await;
    let [free, far] = [loose(&host, account, front.id).await, loose(&host, account, elsewhere.id).await];
    let used = host.launch(account, with(image, &[InterfaceRequest::New(new(front.id))])).await;
    let before = all(&host, account).await;
    let fresh = |subnet: &Subnet| InterfaceRequest::New(new(subnet.id));
    let at = |address: &str| {
        InterfaceRequest::New(LaunchInterface { address: Some(address.parse().unwrap()), ..new(back.id) })
    };
    let network =
        |error: &ComputeError| matches!(error, ComputeError::Invalid { parameter: "network_interface", .. });
    type Refusal = fn(&ComputeError) -> bool;
    let cases: &[(&[InterfaceRequest], Refusal)] = &[
        (&[fresh(&front), existing(used.interfaces[0])], |e| matches!(e, ComputeError::InUse { .. })),
        (&[existing(theirs)], |e| matches!(e, ComputeError::NotFound { what: "network interface", .. })),
        (&[existing(free), existing(free)], network),
        (&[existing(free), fresh(&elsewhere)], network),
        (&[fresh(&front), existing(far)], network),
        (&[existing(free), at("10.1.2.9"), at("10.1.2.9")], |e| {
            matches!(e, ComputeError::Address { taken: true, .. })
        }),
        (&[existing(free), at("10.1.1.9")], |e| {
            matches!(e, ComputeError::Invalid { parameter: "private_address", .. })
        }),
        (&vec![fresh(&front); 17], |e| matches!(e, ComputeError::Limit { most: 16, .. })),
    ];
    for (index, (interfaces, expected)) in cases.iter().enumerate() {
        let refused = host.try_launch(account, vec![with(image, interfaces)]).await.unwrap_err();
        assert!(expected(&refused), "{index}: {refused:?}");
    }
    // One interface is for one instance, of whatever kind.
    let several = InstanceRequest { max: 2, ..with(image, &[existing(free)]) };
    let twice = with(image, &[existing(free)]);
    for kinds in [vec![several], vec![twice.clone(), twice.clone()]] {
        let refused = host.try_launch(account, kinds).await.unwrap_err();
        assert!(network(&refused), "{refused:?}");
    }
    let public = InstanceRequest { public_address: PublicAddress::Always, ..twice };
    let refused = host.try_launch(account, vec![public]).await.unwrap_err();
    assert!(matches!(refused, ComputeError::Invalid { parameter: "public_address", .. }), "{refused:?}");

    assert_eq!(all(&host, account).await, before);
    let taken = [&front, &back, &elsewhere].map(|subnet| host.compute.taken_addresses(subnet));
    assert_eq!(taken, [2, 0, 1], "no address is held");
    assert_eq!(host.compute.instance_views(account, None, 10, |_| true).await.unwrap().items.len(), 1);

    // Sixteen are not too many, and an address that is asked for is given to nobody else of the same instance.
    let mut most = vec![fresh(&back); 15];
    most.push(at("10.1.2.5"));
    let most = host.launch(account, with(image, &most)).await;
    assert_eq!(of(&host, &most).await[15].address.to_string(), "10.1.2.5");
}

#[tokio::test]
async fn interfaces_of_an_instance_are_in_one_zone() {
    let host = Host::start().await;
    let account = &host.accounts[0];
    let image = host.image(None).await;
    let [here, _] = subnets(&host, account, "10.1.0.0/16").await;
    let new_subnet = NewSubnet {
        vpc: here.vpc,
        cidr: "10.1.3.0/24".parse().unwrap(),
        zone: Some("local-b".to_owned()),
        name: String::new(),
        description: String::new(),
        private: false,
        tags: Tags::default(),
    };
    let there = host.compute.create_subnet(account, &new_subnet).await.unwrap();
    let both = [InterfaceRequest::New(new(here.id)), InterfaceRequest::New(new(there.id))];
    let refused = host.try_launch(account, vec![with(image, &both)]).await.unwrap_err();
    assert!(refused.to_string().contains("zone local-b"), "{refused}");
    let other = loose(&host, account, there.id).await;
    let one = host.launch(account, with(image, &[InterfaceRequest::New(new(here.id))])).await;
    let (action, allowance) = (Action::StopForced, Amounts::UNLIMITED);
    host.compute.act(account, one.id, action, allowance, Protection::Respected).await.unwrap();
    while host.compute.instance(account, one.id).await.unwrap().state() != State::Stopped {
        tokio::task::yield_now().await;
    }
    let refused = host.compute.attach_interface(account, other, one.id, false).await.unwrap_err();
    assert!(refused.to_string().contains("zone local-b"), "{refused}");
}

#[tokio::test]
async fn what_was_given_back_is_not_taken_from_the_next_one() {
    let host = Host::start().await;
    let account = &host.accounts[0];
    let image = host.image(None).await;
    let interface = loose(&host, account, host.compute.default_subnet(account).await.unwrap().id).await;
    let first = host.launch(account, with(image, &[existing(interface)])).await;
    // It is given back, and whoever does that hears nothing of it: it is done once more.
    host.records.lose(host.compute.interface(account, interface).await.unwrap().key());
    end(&host, account, first.id).await;
    while !host.records.has_lost() {
        tokio::task::yield_now().await;
    }
    while host.compute.interface(account, interface).await.unwrap().instance.is_some() {
        tokio::task::yield_now().await;
    }
    let next = host.launch(account, with(image, &[existing(interface)])).await;
    while host.compute.instance(account, first.id).await.unwrap().state() != State::Terminated {
        host.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    assert_eq!(host.compute.interface(account, interface).await.unwrap().instance, Some(next.id));
    let members = host.networks.in_force().members;
    assert_eq!(members.iter().map(|member| member.interface).collect::<Vec<_>>(), [interface]);
}
