//! What is done for each operation: one flat match, which an operation without a handler does not pass.
#![deny(clippy::wildcard_enum_match_arm)]

use native_api::ErrorBody;
use native_api::Operation::{self, *};

use super::answer::Answer;
use super::request::Input;
use super::{
    Call, access_keys, accounts, addresses, certificates, connect, console, events, images, instances,
    interfaces, key_pairs, launch, metrics, networks, node, policies, roles, security_groups, snapshots,
    users, volumes,
};
use crate::server::Place;

/// Does what is asked.
pub async fn handle(
    call: &Call<'_>,
    operation: Operation,
    input: &mut Input,
    place: Place,
) -> Result<Answer, ErrorBody> {
    match operation {
        LaunchInstances => launch::launch(call, input.body().await?).await,
        ListInstances => instances::list(call, input.query()?).await,
        GetInstance => instances::get(call, input.id()?).await,
        UpdateInstance => instances::update(call, input.id()?, input.body().await?).await,
        StartInstance => instances::start(call, input.id()?).await,
        StopInstance => instances::stop(call, input.id()?, input.body().await?).await,
        RebootInstance => instances::reboot(call, input.id()?, input.body().await?).await,
        RenewInstance => instances::renew(call, input.id()?, input.body().await?).await,
        TerminateInstance => instances::terminate(call, input.id()?).await,
        GetConsole => console::get(call, input.id()?, input.query()?, input, place).await,
        ConnectToInstance => connect::connect(call, input.id()?, input.query()?, input, place).await,
        GetInstanceMetrics => instances::metrics(call, input.id()?).await,
        GetUserData => instances::user_data(call, input.id()?).await,
        SetInstanceTags => instances::set_tags(call, input.id()?, input.body().await?).await,
        ListReservations => instances::list_reservations(call, input.query()?).await,
        GetReservation => instances::get_reservation(call, input.id()?).await,
        ListInstanceTypes => node::list_instance_types(call, input.query()?),
        GetInstanceType => node::get_instance_type(call, input.word(0)),
        ImportImage => images::import(call, input.body().await?).await,
        CreateImage => images::create(call, input.body().await?).await,
        ListImages => images::list(call, input.query()?).await,
        GetImage => images::get(call, input.id()?).await,
        UpdateImage => images::update(call, input.id()?, input.body().await?).await,
        DeregisterImage => images::deregister(call, input.id()?).await,
        SetImageTags => images::set_tags(call, input.id()?, input.body().await?).await,
        CreateVolume => volumes::create(call, input.body().await?).await,
        ListVolumes => volumes::list(call, input.query()?).await,
        GetVolume => volumes::get(call, input.id()?).await,
        UpdateVolume => volumes::update(call, input.id()?, input.body().await?).await,
        AttachVolume => volumes::attach(call, input.id()?, input.body().await?).await,
        DetachVolume => volumes::detach(call, input.id()?, input.body().await?).await,
        DeleteVolume => volumes::delete(call, input.id()?).await,
        SetVolumeTags => volumes::set_tags(call, input.id()?, input.body().await?).await,
        CreateSnapshot => snapshots::create(call, input.body().await?).await,
        ListSnapshots => snapshots::list(call, input.query()?).await,
        GetSnapshot => snapshots::get(call, input.id()?).await,
        UpdateSnapshot => snapshots::update(call, input.id()?, input.body().await?).await,
        DeleteSnapshot => snapshots::delete(call, input.id()?).await,
        SetSnapshotTags => snapshots::set_tags(call, input.id()?, input.body().await?).await,
        CreateKeyPair => key_pairs::create(call, input.body().await?).await,
        ImportKeyPair => key_pairs::import(call, input.body().await?).await,
        ListKeyPairs => key_pairs::list(call, input.query()?).await,
        GetKeyPair => key_pairs::get(call, input.id()?).await,
        DeleteKeyPair => key_pairs::delete(call, input.id()?).await,
        SetKeyPairTags => key_pairs::set_tags(call, input.id()?, input.body().await?).await,
        ListRegions => node::list_regions(call, input.query()?),
        ListZones => node::list_zones(call, input.query()?),
        CreateVpc => networks::create_vpc(call, input.body().await?).await,
        ListVpcs => networks::list_vpcs(call, input.query()?).await,
        GetVpc => networks::get_vpc(call, input.id()?).await,
        UpdateVpc => networks::update_vpc(call, input.id()?, input.body().await?).await,
        DeleteVpc => networks::delete_vpc(call, input.id()?).await,
        SetVpcTags => networks::set_vpc_tags(call, input.id()?, input.body().await?).await,
        CreateSubnet => networks::create_subnet(call, input.body().await?).await,
        ListSubnets => networks::list_subnets(call, input.query()?).await,
        GetSubnet => networks::get_subnet(call, input.id()?).await,
        UpdateSubnet => networks::update_subnet(call, input.id()?, input.body().await?).await,
        DeleteSubnet => networks::delete_subnet(call, input.id()?).await,
        SetSubnetTags => networks::set_subnet_tags(call, input.id()?, input.body().await?).await,
        CreateNetworkInterface => interfaces::create(call, input.body().await?).await,
        ListNetworkInterfaces => interfaces::list(call, input.query()?).await,
        GetNetworkInterface => interfaces::get(call, input.id()?).await,
        UpdateNetworkInterface => interfaces::update(call, input.id()?, input.body().await?).await,
        AttachNetworkInterface => interfaces::attach(call, input.id()?, input.body().await?).await,
        DetachNetworkInterface => interfaces::detach(call, input.id()?, input.body().await?).await,
        DeleteNetworkInterface => interfaces::delete(call, input.id()?).await,
        SetNetworkInterfaceTags => interfaces::set_tags(call, input.id()?, input.body().await?).await,
        CreateSecurityGroup => security_groups::create(call, input.body().await?).await,
        ListSecurityGroups => security_groups::list(call, input.query()?).await,
        GetSecurityGroup => security_groups::get(call, input.id()?).await,
        UpdateSecurityGroup => security_groups::update(call, input.id()?, input.body().await?).await,
        UpdateSecurityGroupRules => {
            security_groups::update_rules(call, input.id()?, input.body().await?).await
        }
        DeleteSecurityGroup => security_groups::delete(call, input.id()?).await,
        SetSecurityGroupTags => security_groups::set_tags(call, input.id()?, input.body().await?).await,
        GetSecurityGroupCounts => security_groups::counts(call, input.id()?).await,
        AllocateAddress => addresses::allocate(call, input.body().await?).await,
        ListAddresses => addresses::list(call, input.query()?).await,
        GetAddress => addresses::get(call, input.id()?).await,
        AssociateAddress => addresses::associate(call, input.id()?, input.body().await?).await,
        DisassociateAddress => addresses::disassociate(call, input.id()?).await,
        ReleaseAddress => addresses::release(call, input.id()?).await,
        SetAddressTags => addresses::set_tags(call, input.id()?, input.body().await?).await,
        ListJobs => node::list_jobs(call, input.query()?).await,
        GetJob => node::get_job(call, input.id()?).await,
        ListUsage => node::list_usage(call, input.query()?).await,
        CreateAccount => accounts::create(call, input.body().await?).await,
        ListAccounts => accounts::list(call, input.query()?).await,
        GetAccount => accounts::get(call, input.id()?).await,
        UpdateAccount => accounts::update(call, input.id()?, input.body().await?).await,
        DeleteAccount => accounts::delete(call, input.id()?).await,
        CreateUser => users::create(call, input.body().await?).await,
        ListUsers => users::list(call, input.query()?).await,
        GetUser => users::get(call, input.word(0)).await,
        DeleteUser => users::delete(call, input.word(0)).await,
        AttachUserPolicy => users::attach_policy(call, input.word(0), input.word(1)).await,
        DetachUserPolicy => users::detach_policy(call, input.word(0), input.word(1)).await,
        CreateAccessKey => access_keys::create(call, input.body().await?).await,
        ListAccessKeys => access_keys::list(call, input.query()?).await,
        UpdateAccessKey => {
            let change = input.body().await?;
            access_keys::update(call, input.word(0), change).await
        }
        DeleteAccessKey => access_keys::delete(call, input.word(0)).await,
        UploadCertificate => certificates::upload(call, input.body().await?).await,
        ListCertificates => certificates::list(call, input.query()?).await,
        DeleteCertificate => certificates::delete(call, input.id()?).await,
        CreateRole => roles::create(call, input.body().await?).await,
        ListRoles => roles::list(call, input.query()?).await,
        GetRole => roles::get(call, input.word(0)).await,
        UpdateRole => {
            let change = input.body().await?;
            roles::update(call, input.word(0), change).await
        }
        DeleteRole => roles::delete(call, input.word(0)).await,
        AttachRolePolicy => roles::attach_policy(call, input.word(0), input.word(1)).await,
        DetachRolePolicy => roles::detach_policy(call, input.word(0), input.word(1)).await,
        CreatePolicy => policies::create(call, input.body().await?).await,
        ListPolicies => policies::list(call, input.query()?).await,
        GetPolicy => policies::get(call, input.word(0)).await,
        UpdatePolicy => {
            let change = input.body().await?;
            policies::update(call, input.word(0), change).await
        }
        DeletePolicy => policies::delete(call, input.word(0)).await,
        CreateSession => roles::create_session(call, input.body().await?).await,
        GetCaller => accounts::caller(call).await,
        StreamEvents => events::stream(call, input.query()?, place).await,
        GetHealth => node::health(call).await,
        GetMetrics => metrics::get(call).await,
        GetHost => node::host(call).await,
    }
}
