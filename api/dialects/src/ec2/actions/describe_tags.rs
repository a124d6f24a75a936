//! DescribeTags: an account's tags, by filters, in pages.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeTags.html>

use compute::compute::{ComputeError, InstanceFilter, Listed};
use compute::resource::Tags;

use super::super::filters::Filters;
use super::super::ids::CloudId;
use super::super::paging::{Paging, next};
use super::super::xml::Tree;
use super::super::{Call, Refusal};

const FILTERS: &[&str] = &["key", "resource-id", "resource-type", "value"];

/// A tag of something.
struct Tag {
    kind: &'static str,
    resource: String,
    key: String,
    value: String,
}

impl Tag {
    fn field(&self, name: &str) -> Vec<String> {
        let field = match name {
            "key" => &self.key,
            "resource-id" => &self.resource,
            "resource-type" => self.kind,
            "value" => &self.value,
            _ => return Vec::new(),
        };
        vec![field.to_owned()]
    }

    /// By which it has its place in the list.
    fn place(&self) -> String {
        format!("{}\n{}", self.resource, self.key)
    }
}

/// All that a list of the core's has, in tags.
macro_rules! tags_of {
    ($all:ident, $kind:literal, $list:expr) => {
        let mut after: Option<String> = None;
        loop {
            let listed: Result<Listed<_>, ComputeError> = $list(after.as_deref()).await;
            let Listed { items, next, .. } = listed?;
            for item in &items {
                add(&mut $all, $kind, &item.id.written(), &item.tags);
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    };
}

fn add(all: &mut Vec<Tag>, kind: &'static str, resource: &str, tags: &Tags) {
    all.extend(tags.0.iter().map(|(key, value)| Tag {
        kind,
        resource: resource.to_owned(),
        key: key.clone(),
        value: value.clone(),
    }));
}

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    const PAGE: usize = usize::MAX;
    let filters = Filters::read(call.parameters, FILTERS)?;
    let paging = Paging::read(call.parameters, false)?;
    let (core, account) = (call.compute(), call.account());
    let (mut all, every): (Vec<Tag>, _) = (Vec::new(), InstanceFilter::default());
    tags_of!(all, "elastic-ip", |after| core.addresses(account, after, PAGE, |_| true));
    tags_of!(all, "image", |after| core.images(account, after, PAGE, |image| image.account == account));
    tags_of!(all, "instance", |after| core.instances(account, &every, after, PAGE));
    tags_of!(all, "key-pair", |after| core.key_pairs(account, after, PAGE, |_| true));
    tags_of!(all, "network-interface", |after| core.interfaces(account, after, PAGE, |_| true));
    tags_of!(all, "security-group", |after| core.security_groups(account, after, PAGE, |_| true));
    tags_of!(all, "snapshot", |after| core.snapshots(account, after, PAGE, |_| true));
    tags_of!(all, "subnet", |after| core.subnets(account, after, PAGE, |_| true));
    tags_of!(all, "volume", |after| core.volumes(account, after, PAGE, |_| true));
    tags_of!(all, "vpc", |after| core.vpcs(account, after, PAGE));
    all.retain(|tag| filters.pass(&Tags::default(), |name| tag.field(name)));
    all.sort_by_key(Tag::place);
    let (page, more) = paging.cut(all, Tag::place);
    let view = |tag: Tag| {
        Tree::new()
            .text("resourceId", tag.resource)
            .text("resourceType", tag.kind)
            .text("key", tag.key)
            .text("value", tag.value)
    };
    Ok(next(Tree::new().list("tagSet", page.into_iter().map(view)), more.as_deref()))
}
