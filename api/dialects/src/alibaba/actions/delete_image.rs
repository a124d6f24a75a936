//! DeleteImage: deletes an image of the account. Instances that were launched from it stay.
//!
//! <https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-deleteimage>

use serde_json::{Value, json};

use super::super::{Call, Refusal};
use super::image;

pub async fn handle(call: &Call<'_>) -> Result<Value, Refusal> {
    let found = image::find(call, call.parameters.required("ImageId")?).await?;
    call.compute().delete_image(call.account(), found.id).await?;
    Ok(json!({}))
}
