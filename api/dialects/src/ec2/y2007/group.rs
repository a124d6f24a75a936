//! Security groups as 2007 has them: by their names, in the one network that accounts had then, which is here the account's
//! default VPC.

use compute::compute::ComputeError;
use compute::resource::SecurityGroup;

use super::super::{Call, Refusal};

/// The name that every account's own group has.
pub const DEFAULT: &str = "default";

/// A group of the caller's.
pub async fn named(call: &Call<'_>, name: &str) -> Result<SecurityGroup, Refusal> {
    of(call, call.account(), name).await
}

/// A group of whichever account's.
pub async fn of(call: &Call<'_>, account: &str, name: &str) -> Result<SecurityGroup, Refusal> {
    match call.compute().security_group_named(account, None, name).await {
        Ok(group) => Ok(group),
        // The core names accounts and VPCs, too; clients of then know groups only.
        Err(ComputeError::NotFound { .. }) => Err(Refusal::no_such("security group", name)),
        Err(error) => Err(error.into()),
    }
}
