//! An instance as 2007 shows it. Its names are empty until it runs.

use compute::compute::InstanceView;
use compute::dns::Domains;
use compute::lifecycle::State;

use super::super::actions::instance::HOST_FAILED;
use super::super::ids::CloudId;
use super::super::states;
use super::super::xml::Tree;

/// What is shown of an instance, in the order of `RunningInstancesItemType`.
pub fn view(domains: &Domains, view: &InstanceView) -> Tree {
    let instance = &view.instance;
    let state = states::instance(instance.state());
    let has_names = matches!(instance.state(), State::Running | State::Rebooting);
    let name = |name: Option<String>| name.filter(|_| has_names).unwrap_or_default();
    let reason = instance.reason.as_ref();
    let reason = reason.map(|reason| if reason.host_failed { HOST_FAILED } else { &reason.message });
    Tree::new()
        .text("instanceId", instance.id.written())
        .text("imageId", instance.image.written())
        .tree("instanceState", state.tree())
        .text("privateDnsName", name(view.private_name(domains)))
        .text("dnsName", name(view.public_name(domains)))
        .text_if("reason", reason)
        .text_if("keyName", instance.key_pair.as_ref().map(|key| &key.name))
        .text("amiLaunchIndex", instance.launch_index)
        .and(product_codes(&instance.product_codes))
}

/// The product codes of an instance or an image, if it has some.
pub fn product_codes(codes: &[String]) -> Tree {
    match codes {
        [] => Tree::new(),
        codes => {
            Tree::new().list("productCodes", codes.iter().map(|code| Tree::new().text("productCode", code)))
        }
    }
}

/// The groups of a reservation, by their names.
pub fn group_set(names: &[String]) -> Tree {
    Tree::new().list("groupSet", names.iter().map(|name| Tree::new().text("groupId", name)))
}
