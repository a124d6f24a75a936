//! Which names lead where, for whom.

use std::net::Ipv4Addr;

use compute::compute::{InstanceRequest, InterfaceRequest, LaunchInterface, NewInterface, PublicAddress};
use compute::id::SubnetId;
use compute::lifecycle::Report;
use compute::outside::Sight;
use compute::resource::{Cloud, Instance, Tags};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::world::{ACCOUNT, Host, OTHER_ACCOUNT, until};

fn address(instance: &Instance) -> Ipv4Addr {
    instance.private_address.unwrap()
}

/// An instance with an interface in this subnet.
fn within(host: &Host, subnet: SubnetId, address: Option<Ipv4Addr>) -> InstanceRequest {
    let interface = LaunchInterface { subnet: Some(subnet), address, ..LaunchInterface::default() };
    InstanceRequest { interfaces: vec![InterfaceRequest::New(interface)], ..host.request() }
}

#[tokio::test]
async fn names_by_address_and_by_host_name() {
    let host = Host::plain().await;
    let network = host.network();
    let named =
        |name: &str, cloud| InstanceRequest { host_name: Some(name.to_owned()), cloud, ..host.request() };
    let asker = address(&host.launch(host.request()).await);
    let web = host.launch(named("Web-1", Cloud::Ec2)).await;
    let at = address(&web).to_string();
    let dashed = at.replace('.', "-");
    let [a, b, c, d] = web.interfaces[0].number().to_be_bytes();
    for name in [
        "web-1.eu.compute.internal",
        "WEB-1.EU.Compute.Internal",
        "web-1.novalocal",
        &format!("ip-{dashed}.eu.compute.internal"),
        &format!("IP-{dashed}.novalocal"),
        &format!("domU-02-B0-{a:02X}-{b:02X}-{c:02X}-{d:02X}.eu.compute.internal"),
    ] {
        assert_eq!(host.look(network, asker, name), [&*at], "{name}");
    }
    for name in [
        "web.eu.compute.internal",
        "x.web-1.eu.compute.internal",
        "ip-127-98-3-250.eu.compute.internal",
        "ip-10-0-0-5.eu.compute.internal",
        "domU-02-B0-00-00-00-01.eu.compute.internal",
        &format!("domU-12-31-{a:02X}-{b:02X}-{c:02X}-{d:02X}.eu.compute.internal"),
        "*.eu.compute.internal",
        "web-1.eu.example",
    ] {
        let answer = host.ask(network, asker, name, RecordType::A);
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain, "{name}");
        assert!(answer.metadata.authoritative && answer.answers.is_empty());
        let [soa] = &answer.authorities[..] else { panic!("{answer}") };
        assert_eq!(soa.record_type(), RecordType::SOA);
        assert!(soa.ttl <= 10 && soa.name.zone_of(answer.queries[0].name()), "{answer}");
    }

    // As they call themselves, so they are called.
    let of = |address: Ipv4Addr| {
        let [a, b, c, d] = address.octets();
        format!("{d}.{c}.{b}.{a}.in-addr.arpa")
    };
    assert_eq!(host.look(network, asker, &of(address(&web))), ["Web-1.eu.compute.internal."]);
    let huawei = host.launch(named("db", Cloud::Huawei)).await;
    assert_eq!(host.look(network, asker, &of(address(&huawei))), ["db.novalocal."]);
    let own = format!("ip-{}.eu.compute.internal.", asker.to_string().replace('.', "-"));
    assert_eq!(host.look(network, asker, &of(asker)), [own]);

    // One that has a domain of its own is not found by it here, but by its address.
    let far = host.launch(named("www.far.example", Cloud::Native)).await;
    assert!(host.passes_on(network, asker, "www.far.example"));
    let by_address = format!("ip-{}.eu.compute.internal.", address(&far).to_string().replace('.', "-"));
    assert_eq!(host.look(network, asker, &of(address(&far))), [by_address]);
    // And nobody takes another's name by address.
    host.launch(named(&format!("ip-{dashed}"), Cloud::Native)).await;
    assert_eq!(host.look(network, asker, &format!("ip-{dashed}.eu.compute.internal")), [&*at]);
}

#[tokio::test]
async fn a_host_name_that_two_have_is_nobodys() {
    let host = Host::plain().await;
    let network = host.network();
    let named = |name: &str| InstanceRequest { host_name: Some(name.to_owned()), ..host.request() };
    let first = host.launch(named("db")).await;
    let asker = address(&first);
    let look = |name: &str| host.look(network, asker, name);
    assert_eq!(look("db.eu.compute.internal"), [asker.to_string()]);
    // Another account's is in another VPC, though in the same network.
    let foreign = host.launch_for(OTHER_ACCOUNT, named("db")).await;
    assert_eq!(look("db.eu.compute.internal"), [asker.to_string()]);
    let theirs = host.look(network, address(&foreign), "db.eu.compute.internal");
    assert_eq!(theirs, [address(&foreign).to_string()]);
    let [a, b, c, d] = address(&foreign).octets();
    let reverse = look(&format!("{d}.{c}.{b}.{a}.in-addr.arpa"));
    assert_eq!(reverse, [format!("ip-{a}-{b}-{c}-{d}.eu.compute.internal.")], "what it is called is its own");

    // One that never ran, as the machines here do not end.
    let mut never = named("DB");
    never.rules.start_when_created = false;
    let second = host.launch(never).await;
    assert_eq!(look("db.eu.compute.internal"), [""; 0]);
    let [a, b, c, d] = asker.octets();
    assert_eq!(
        look(&format!("{d}.{c}.{b}.{a}.in-addr.arpa")),
        [format!("ip-{a}-{b}-{c}-{d}.eu.compute.internal.")]
    );
    host.terminate(second.id).await;
    until("the second to be gone", || look("db.eu.compute.internal") == [asker.to_string()]).await;
}

#[tokio::test]
async fn an_address_is_called_like_whoever_has_its_interface() {
    let host = Host::plain().await;
    let new = NewInterface {
        subnet: host.compute.default_subnet(ACCOUNT).await.unwrap().id,
        address: None,
        security_groups: vec![],
        name: String::new(),
        description: String::new(),
        tags: Tags::default(),
        token: None,
    };
    let interface = host.compute.create_interface(ACCOUNT, &new).await.unwrap();
    let existing = InterfaceRequest::Existing { interface: interface.id, delete_with_instance: false };
    let called = |name: &str| InstanceRequest {
        host_name: Some(name.to_owned()),
        interfaces: vec![existing.clone()],
        ..host.request()
    };
    let asker = address(&host.launch(host.request()).await);
    let look = |name: &str| host.look(host.network(), asker, name);
    let at = interface.address.to_string();
    let [a, b, c, d] = interface.address.octets();
    let reverse = format!("{d}.{c}.{b}.{a}.in-addr.arpa");
    let first = host.launch(called("first")).await;
    assert_eq!(look("first.eu.compute.internal"), [at.as_str()]);
    assert_eq!(look(&reverse), ["first.eu.compute.internal."]);
    host.terminate(first.id).await;
    host.compute.saw(first.id, Sight { report: Report::PoweredOff, reason: String::new() });
    while host.compute.interface(ACCOUNT, interface.id).await.unwrap().instance.is_some() {
        tokio::task::yield_now().await;
    }
    host.launch(called("second")).await;
    until("the next one's name", || look("second.eu.compute.internal") == [at.as_str()]).await;
    until("the first one's end", || look("first.eu.compute.internal").iter().all(String::is_empty)).await;
    assert_eq!(look(&reverse), ["second.eu.compute.internal."]);
}

#[tokio::test]
async fn each_vpc_has_its_own_names() {
    let host = Host::plain().await;
    let (one, subnet_one) = host.vpc("10.0.0.0/16").await;
    let (two, subnet_two) = host.vpc("10.0.0.0/16").await;
    let launch = async |subnet, address: &str, name: &str| {
        let request = InstanceRequest {
            host_name: Some(name.to_owned()),
            ..within(&host, subnet, Some(address.parse().unwrap()))
        };
        host.launch(request).await
    };
    launch(subnet_one, "10.0.0.5", "web").await;
    launch(subnet_one, "10.0.0.6", "only-one").await;
    launch(subnet_two, "10.0.0.5", "db").await;
    launch(subnet_two, "10.0.0.7", "web").await;
    let guest = Ipv4Addr::new(10, 0, 0, 5);
    for (name, in_one, in_two) in [
        ("web.eu.compute.internal", Some("10.0.0.5"), Some("10.0.0.7")),
        ("only-one.eu.compute.internal", Some("10.0.0.6"), None),
        ("ip-10-0-0-6.eu.compute.internal", Some("10.0.0.6"), None),
        ("ip-10-0-0-7.eu.compute.internal", None, Some("10.0.0.7")),
        ("5.0.0.10.in-addr.arpa", Some("web.eu.compute.internal."), Some("db.eu.compute.internal.")),
        ("6.0.0.10.in-addr.arpa", Some("only-one.eu.compute.internal."), None),
    ] {
        for (network, expected) in [(one, in_one), (two, in_two)] {
            let expected: Vec<&str> = expected.into_iter().collect();
            assert_eq!(host.look(network, guest, name), expected, "{name} in {network:?}");
        }
    }
    // Who has no interface in a network is nobody there.
    let question = super::world::question("web.eu.compute.internal", RecordType::A).to_vec().unwrap();
    assert_eq!(host.answer(one, Ipv4Addr::new(10, 0, 0, 7), &question), None);
    assert_eq!(host.answer(two, Ipv4Addr::new(10, 0, 0, 6), &question), None);
    assert_eq!(host.answer(one, Ipv4Addr::new(10, 0, 0, 1), &question), None, "the router");
    let plain = host.launch(host.request()).await;
    assert_eq!(host.answer(one, address(&plain), &question), None);
}

#[tokio::test]
async fn a_public_name_leads_to_the_private_address_inside() {
    let host = Host::plain().await;
    let (vpc, subnet) = host.vpc("10.0.0.0/24").await;
    let inside = host
        .launch(InstanceRequest { public_address: PublicAddress::Always, ..within(&host, subnet, None) })
        .await;
    let neighbour = host.launch(within(&host, subnet, None)).await;
    let stranger = host.launch(host.request()).await;
    let view = host.compute.instance_view(ACCOUNT, inside.id).await.unwrap();
    let public = view.interfaces[0].1.as_ref().unwrap().clone();
    let [a, b, c, d] = public.address.octets();
    let name = format!("ec2-{a}-{b}-{c}-{d}.eu.example");
    let reverse = format!("{d}.{c}.{b}.{a}.in-addr.arpa");
    let (within, outside) = ((vpc, address(&neighbour)), (host.network(), address(&stranger)));
    let look = |(network, from): (_, _), name: &str| host.look(network, from, name);
    until("the public address to lead there", || look(within, &name) == [address(&inside).to_string()]).await;
    assert_eq!(look(outside, &name), [public.address.to_string()]);
    for from in [within, outside] {
        assert_eq!(look(from, &reverse), [format!("{name}.")]);
        assert_eq!(look(from, "ec2-203-0-113-6.eu.example"), [""; 0], "nobody's");
        assert_eq!(look(from, "6.113.0.203.in-addr.arpa"), [""; 0]);
        assert!(host.passes_on(from.0, from.1, "9.113.0.203.in-addr.arpa"), "another host's");
    }

    // It leads elsewhere: to one in the other network, then to none, then it is nobody's.
    let to = |interface| host.compute.associate_address(ACCOUNT, public.id, interface, true);
    to(Some(stranger.interfaces[0])).await.unwrap();
    until("the change", || look(within, &name) == [public.address.to_string()]).await;
    assert_eq!(look(outside, &name), [address(&stranger).to_string()]);
    to(None).await.unwrap();
    until("the change", || look(outside, &name) == [public.address.to_string()]).await;
    host.compute.release_address(ACCOUNT, public.id).await.unwrap();
    until("the end", || look(outside, &name).is_empty()).await;
    let other = host.compute.allocate_address(ACCOUNT, Some(public.address), "", 0, Tags::default()).await;
    other.unwrap();
    until("another", || look(outside, &name) == [public.address.to_string()]).await;
}

#[tokio::test]
async fn what_there_is_of_another_type_is_not_nothing() {
    let host = Host::plain().await;
    let network = host.network();
    let asker = address(&host.launch(host.request()).await);
    let name = format!("ip-{}.eu.compute.internal", asker.to_string().replace('.', "-"));
    for (name, kind, answers) in [
        (&*name, RecordType::AAAA, 0),
        (&name, RecordType::MX, 0),
        (&name, RecordType::ANY, 1),
        ("eu.compute.internal", RecordType::SOA, 1),
        ("eu.compute.internal", RecordType::A, 0),
        ("98.127.in-addr.arpa", RecordType::PTR, 0),
        ("0.98.127.in-addr.arpa", RecordType::SOA, 1),
        ("novalocal", RecordType::NS, 0),
    ] {
        if name == "98.127.in-addr.arpa" {
            // Not all of it is this network's.
            assert!(host.passes_on(network, asker, name));
            continue;
        }
        let answer = host.ask(network, asker, name, kind);
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError, "{name} {kind}");
        assert_eq!((answer.answers.len(), answer.authorities.len()), (answers, 1 - answers), "{name} {kind}");
    }
    for name in
        ["example.com", "internal", "compute.internal", "xeu.compute.internal", ".", "5.0.0.10.in-addr.arpa"]
    {
        assert!(host.passes_on(network, asker, name), "{name}");
    }
    // Whatever is below an address of ours, or in the place of one.
    for name in ["x.5.0.98.127.in-addr.arpa", "05.0.98.127.in-addr.arpa", "256.0.98.127.in-addr.arpa"] {
        let answer = host.ask(network, asker, name, RecordType::PTR);
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain, "{name}");
    }
}
