//! ModifyInstanceAttribute: what can be changed of an instance: all that is asked for, or nothing. User data and passwords are
//! those of a guest's first boot, so only of one that is stopped.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-modifyinstanceattribute>

use compute::compute::InstanceChange;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::act::{check, named};
use super::launch::{description, name, password, user_data};

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let parameters = call.parameters;
    let instance = named(call).await?;
    for name in ["CreditSpecification", "Recyclable", "SecurityGroupIds.1"] {
        if parameters.get(name).is_some() {
            return Err(Refusal::unsupported(name));
        }
    }
    let change = InstanceChange {
        name: name(parameters, "InstanceName")?,
        description: description(parameters)?,
        host_name: parameters.get("HostName").map(str::to_owned),
        user_data: user_data(parameters)?,
        password: password(parameters)?,
        protected: parameters.flag("DeletionProtection")?,
        ..InstanceChange::default()
    };
    if change.user_data.is_some() {
        check(&instance, &["Stopped"])?;
    }
    call.compute().change_instance(call.account(), instance.id, &change).await?;
    Ok(json!({}))
}
