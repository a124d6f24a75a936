//! DeleteImage: deletes an image of the account. Instances that were launched from it stay, and are in its way unless `Force`
//! says that they are not.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-deleteimage>

use compute::resource::Instance;
use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::image;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let found = image::find(call, call.parameters.required("ImageId")?).await?;
    let is_forced = call.parameters.flag("Force")?.unwrap_or(false);
    // Another account's is not deleted, whoever uses it.
    if !is_forced && found.account == call.account() {
        let is_of = |instance: &Instance| instance.ended.is_none() && instance.image == found.id;
        let users = call.compute().instance_views(call.account(), None, 1, is_of).await?;
        if !users.items.is_empty() {
            let why = "The specified image has been used to create instances.";
            return Err(Refusal::new(403, "ImageUsingByInstance", why));
        }
    }
    call.compute().delete_image(call.account(), found.id).await?;
    Ok(json!({}))
}
