//! The config drive: the documents of OpenStack's metadata service as files, for guests that read a disk before they ask, or
//! whose metadata service is off. They come from the same rows, so that both tell the same.
//!
//! <https://docs.openstack.org/nova/latest/user/metadata.html#config-drives>
//!
//! Not on it is what a role gives, which ends long before the disk is written anew, and what a guest would leave at the
//! service (`password`).

use std::sync::Arc;

use compute::compute::ComputeError;
use compute::id::InstanceId;
use compute::resource::{Instance, Resource};

use crate::cloud::OPENSTACK;
use crate::service::Inner;
use crate::tree::{At, Content, Found, LATEST, Row, value};
use crate::view::{Part, View};

/// A file of a config drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its path from the root of the disk, as `openstack/latest/meta_data.json`.
    pub path: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// What the config drive of an instance has on it now.
pub async fn files(inner: &Inner, id: InstanceId) -> Result<Vec<ConfigFile>, ComputeError> {
    let account = inner.compute.account_of(id);
    let account = account.ok_or(ComputeError::NotFound { what: Instance::NAME, id: id.to_string() })?;
    let instance = inner.compute.instance(&account, id).await?;
    let rows: Vec<&Row> = OPENSTACK.rows.iter().filter(|row| is_document(row)).collect();
    let parts: Vec<Part> = rows.iter().flat_map(|row| row.needs).copied().collect();
    let config = Arc::clone(&inner.config);
    let view = View::load(&inner.compute, &inner.identity, config, instance, &parts).await?;

    let newest = OPENSTACK.versions.last().map(|newest| (LATEST, *newest));
    let versions = OPENSTACK.versions.iter().map(|version| (*version, *version)).chain(newest);
    let mut files = Vec::new();
    for (folder, version) in versions {
        for row in rows.iter().filter(|row| row.since <= version) {
            if let Found::Value(_, bytes) = value(&At { view: &view, version, bound: &[] }, row) {
                let path = [OPENSTACK.at, &[folder, row.path]].concat().join("/");
                files.push(ConfigFile { path, bytes });
            }
        }
    }
    Ok(files)
}

fn is_document(row: &Row) -> bool {
    match row.content {
        Content::Json(_) | Content::UserData(_) => true,
        Content::Text(_) | Content::Role(_) => false,
    }
}
