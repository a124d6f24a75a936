//! Lists come in pages: `{items, next_page_token}`. What every list takes, and tags, which most resources have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Description, PageSize, PageToken, ResourceName, TagKey, TagValue};

/// Most tags of a resource.
pub const MAX_TAGS: usize = 50;

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next page begins; left out on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<PageToken>,
}

/// The query of a list without filters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PageQuery {
    /// Most items on a page. Default: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<PageSize>,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
}

/// Tags: what people note on a resource, at most 50 a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<TagKey, TagValue>")]
pub struct Tags(BTreeMap<TagKey, TagValue>);

/// More tags than a resource may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} tags are more than the {MAX_TAGS} that a resource may have")]
pub struct TagsError(usize);

impl TryFrom<BTreeMap<TagKey, TagValue>> for Tags {
    type Error = TagsError;

    fn try_from(tags: BTreeMap<TagKey, TagValue>) -> Result<Self, TagsError> {
        if tags.len() > MAX_TAGS { Err(TagsError(tags.len())) } else { Ok(Self(tags)) }
    }
}

impl Tags {
    /// The tags by their keys.
    pub fn get(&self) -> &BTreeMap<TagKey, TagValue> {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Body of `PUT …/tags`: all tags that the resource is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetTags {
    /// The tags, in place of those it has.
    pub tags: Tags,
}

/// Body of `PATCH` on resources of which nothing but the words about them can be changed. What is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Rename {
    /// A new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// A new description; an empty one for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
}

// By hand, because the derive has no word for the number of properties.
#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Tags {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::Ref;
        use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, SchemaType, Type};
        let keys = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .pattern(Some(TagKey::FORM.pattern))
            .min_length(Some(TagKey::FORM.min))
            .max_length(Some(TagKey::FORM.max));
        let values = Ref::from_schema_name("TagValue");
        let schema = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::Object))
            .description(Some("Tags: what people note on a resource."))
            .property_names(Some(Schema::from(keys.build())))
            .additional_properties(Some(AdditionalProperties::RefOr(values.into())))
            .max_properties(Some(MAX_TAGS));
        Schema::from(schema.build()).into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Tags {
    fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
        schemas.push(("TagValue".into(), <TagValue as utoipa::PartialSchema>::schema()));
    }
}
