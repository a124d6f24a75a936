//! VPCs and their subnets.

use compute::compute::{NewSubnet, NewVpc};
use compute::id::{SubnetId, VpcId};
use compute::resource::Subnet;
use native_api::{
    self as api, CreateSubnet, CreateVpc, ErrorBody, NetworkQuery, Page, PageQuery, Rename, SetTags,
};

use super::Call;
use super::answer::{Answer, created, done, ok};
use super::convert::{self, has_tags, id, is_named};
use super::errors::OrRefuse;
use super::request::{after, page_size, token};
use super::snapshots::{renamed, tagged};

/// CreateVpc.
pub async fn create_vpc(call: &Call<'_>, request: CreateVpc) -> Result<Answer, ErrorBody> {
    let new = NewVpc {
        cidr: id(&request.cidr),
        name: convert::words(request.name),
        description: convert::words(request.description),
        tags: convert::new_tags(&request.tags),
    };
    created(&convert::vpc(call.compute().create_vpc(call.account(), &new).await.or_refuse()?))
}

/// ListVpcs.
pub async fn list_vpcs(call: &Call<'_>, query: PageQuery) -> Result<Answer, ErrorBody> {
    let (size, after) = (page_size(query.page_size), after(query.page_token.as_ref())?);
    let listed = call.compute().vpcs(call.account(), after.as_deref(), size).await.or_refuse()?;
    let items: Vec<_> = listed.items.into_iter().map(convert::vpc).collect();
    ok(&Page { items, next_page_token: token(listed.next.as_deref()) })
}

/// GetVpc.
pub async fn get_vpc(call: &Call<'_>, id: VpcId) -> Result<Answer, ErrorBody> {
    ok(&convert::vpc(call.compute().vpc(call.account(), id).await.or_refuse()?))
}

/// UpdateVpc.
pub async fn update_vpc(call: &Call<'_>, id: VpcId, request: Rename) -> Result<Answer, ErrorBody> {
    ok(&convert::vpc(call.compute().change_vpc(call.account(), id, &renamed(request)).await.or_refuse()?))
}

/// SetVpcTags.
pub async fn set_vpc_tags(call: &Call<'_>, id: VpcId, request: SetTags) -> Result<Answer, ErrorBody> {
    ok(&convert::vpc(call.compute().change_vpc(call.account(), id, &tagged(&request)).await.or_refuse()?))
}

/// DeleteVpc.
pub async fn delete_vpc(call: &Call<'_>, id: VpcId) -> Result<Answer, ErrorBody> {
    call.compute().delete_vpc(call.account(), id).await.or_refuse()?;
    done()
}

/// With how many addresses are free in it.
fn shown(call: &Call<'_>, subnet: Subnet) -> api::Subnet {
    let taken = call.compute().taken_addresses(&subnet);
    convert::subnet(subnet, taken)
}

/// CreateSubnet.
pub async fn create_subnet(call: &Call<'_>, request: CreateSubnet) -> Result<Answer, ErrorBody> {
    let new = NewSubnet {
        vpc: id(&request.vpc),
        cidr: id(&request.cidr),
        zone: request.zone.map(Into::into),
        private: request.private,
        name: convert::words(request.name),
        description: convert::words(request.description),
        tags: convert::new_tags(&request.tags),
    };
    let subnet = call.compute().create_subnet(call.account(), &new).await.or_refuse()?;
    created(&shown(call, subnet))
}

/// ListSubnets.
pub async fn list_subnets(call: &Call<'_>, query: NetworkQuery) -> Result<Answer, ErrorBody> {
    let vpc = query.vpc.as_ref().map(id);
    let wanted = |subnet: &Subnet| {
        vpc.is_none_or(|vpc| subnet.vpc == vpc)
            && is_named(&subnet.name, query.name.as_ref())
            && has_tags(&subnet.tags, &query.tag)
    };
    let (size, after) = (page_size(query.page_size), after(query.page_token.as_ref())?);
    let listed = call.compute().subnets(call.account(), after.as_deref(), size, wanted).await.or_refuse()?;
    let items: Vec<_> = listed.items.into_iter().map(|subnet| shown(call, subnet)).collect();
    ok(&Page { items, next_page_token: token(listed.next.as_deref()) })
}

/// GetSubnet.
pub async fn get_subnet(call: &Call<'_>, id: SubnetId) -> Result<Answer, ErrorBody> {
    let subnet = call.compute().subnet(call.account(), id).await.or_refuse()?;
    ok(&shown(call, subnet))
}

/// UpdateSubnet.
pub async fn update_subnet(call: &Call<'_>, id: SubnetId, request: Rename) -> Result<Answer, ErrorBody> {
    let subnet = call.compute().change_subnet(call.account(), id, &renamed(request)).await.or_refuse()?;
    ok(&shown(call, subnet))
}

/// SetSubnetTags.
pub async fn set_subnet_tags(call: &Call<'_>, id: SubnetId, request: SetTags) -> Result<Answer, ErrorBody> {
    let subnet = call.compute().change_subnet(call.account(), id, &tagged(&request)).await.or_refuse()?;
    ok(&shown(call, subnet))
}

/// DeleteSubnet.
pub async fn delete_subnet(call: &Call<'_>, id: SubnetId) -> Result<Answer, ErrorBody> {
    call.compute().delete_subnet(call.account(), id).await.or_refuse()?;
    done()
}
