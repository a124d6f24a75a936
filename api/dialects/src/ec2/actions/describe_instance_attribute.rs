//! DescribeInstanceAttribute: one attribute of one instance.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceAttribute.html>

use super::super::ids::CloudId;
use super::super::xml::Tree;
use super::super::{Call, Refusal, states};
use super::act::known;
use super::instance;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    let instance = known(call, parameters.required("InstanceId")?).await?;
    let attribute = parameters.required("Attribute")?;
    let tree = Tree::new().text("instanceId", instance.id.written());
    let value = |text: String| Tree::new().text("value", text);
    Ok(match attribute {
        "instanceType" => tree.tree("instanceType", value(instance.instance_type)),
        "kernel" => tree.tree("kernel", Tree::new()),
        "ramdisk" => tree.tree("ramdisk", Tree::new()),
        "userData" if instance.user_data.is_empty() => tree.tree("userData", Tree::new()),
        "userData" => tree.tree("userData", value(instance.user_data)),
        "disableApiTermination" => tree.tree("disableApiTermination", value(instance.protected.to_string())),
        "disableApiStop" => tree.tree("disableApiStop", value(false.to_string())),
        "instanceInitiatedShutdownBehavior" => {
            let behavior = states::shutdown_behavior(instance.rules.on_power_off).to_owned();
            tree.tree("instanceInitiatedShutdownBehavior", value(behavior))
        }
        "rootDeviceName" => tree.tree("rootDeviceName", value(instance::root_device(&instance).to_owned())),
        "blockDeviceMapping" => instance::block_devices(tree, &instance),
        "productCodes" => {
            let code = |code: &String| Tree::new().text("productCode", code).text("type", "marketplace");
            tree.list("productCodes", instance.product_codes.iter().map(code))
        }
        "sourceDestCheck" => tree.tree("sourceDestCheck", value(true.to_string())),
        "groupSet" => {
            let mut groups = Vec::new();
            if let Some(first) = instance.interfaces.first() {
                for id in call.compute().interface(call.account(), *first).await?.security_groups {
                    let name = call.compute().security_group(call.account(), id).await?.name;
                    groups.push(Tree::new().text("groupId", id.written()).text("groupName", name));
                }
            }
            tree.list("groupSet", groups)
        }
        "ebsOptimized" => {
            let optimized = instance.dialect["EbsOptimized"].as_bool().unwrap_or(false);
            tree.tree("ebsOptimized", value(optimized.to_string()))
        }
        "sriovNetSupport" => tree.tree("sriovNetSupport", Tree::new()),
        "enaSupport" => tree.tree("enaSupport", value(true.to_string())),
        "enclaveOptions" => tree.tree("enclaveOptions", Tree::new().text("enabled", false)),
        _ => return Err(parameters.invalid("Attribute")),
    })
}
