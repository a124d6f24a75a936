//! Lists of instances in pages of either style, of all that there are and of some that are named.

use serde_json::Value;

use super::caller::{Caller, ECS, Host, Pairs};

/// The ids on a page of DescribeInstances, and the page.
async fn page(root: &Caller, more: Pairs<'_>) -> (Vec<String>, Value) {
    let answer = root.ecs("DescribeInstances", more).await;
    let found = answer["Instances"]["Instance"].as_array().unwrap();
    (found.iter().map(|one| one["InstanceId"].as_str().unwrap().to_owned()).collect(), answer)
}

async fn five(host: &Host, root: &Caller) -> Vec<String> {
    let image = host.image();
    let launch = [("ImageId", image.as_str()), ("InstanceType", "ecs.n1.small"), ("Amount", "5")];
    let answer = root.ecs("RunInstances", &launch).await;
    let ids = answer["InstanceIdSets"]["InstanceIdSet"].as_array().unwrap();
    let mut ids: Vec<String> = ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    ids.sort();
    for id in &ids {
        root.until(id, "Running").await;
    }
    ids
}

#[tokio::test]
async fn pages_of_all_are_counted_without_what_is_released() {
    let host = Host::start().await;
    let root = host.root().await;
    let mut ids = five(&host, &root).await;
    let numbered = async |number: &str| {
        let (found, answer) = page(&root, &[("PageNumber", number), ("PageSize", "2")]).await;
        (found, answer["TotalCount"].as_u64().unwrap())
    };
    assert_eq!(numbered("1").await, (ids[..2].to_vec(), 5));
    assert_eq!(numbered("3").await, (ids[4..].to_vec(), 5));
    assert_eq!(numbered("4").await, (vec![], 5));
    assert_eq!(numbered("18446744073709551615").await, (vec![], 5));
    let released = ids.remove(1);
    root.ecs("DeleteInstance", &[("InstanceId", &released), ("Force", "true")]).await;
    assert_eq!(numbered("1").await, (ids[..2].to_vec(), 4), "at once");
    assert_eq!(numbered("2").await, (ids[2..].to_vec(), 4));
    // A filter that all pass leads to the same.
    let (found, answer) = page(&root, &[("InstanceName", "*"), ("PageSize", "3")]).await;
    assert_eq!((found, &answer["TotalCount"]), (ids[..3].to_vec(), &4.into()));
    let statuses = root.ecs("DescribeInstanceStatus", &[("PageSize", "3")]).await;
    assert_eq!(statuses["TotalCount"], 4);
    assert_eq!(statuses["InstanceStatuses"]["InstanceStatus"][2]["InstanceId"], ids[2]);
    let stranger = host.stranger().await;
    let nothing = page(&stranger, &[]).await;
    assert_eq!((nothing.0.len(), &nothing.1["TotalCount"]), (0, &0.into()));
}

#[tokio::test]
async fn pages_of_named_ones_are_cut_in_both_styles() {
    let host = Host::start().await;
    let root = host.root().await;
    let ids = five(&host, &root).await;
    let named = format!("[\"{}\", \"{}\", \"i-1111\", \"{}\"]", ids[4], ids[0], ids[2]);
    let wanted = [ids[0].clone(), ids[2].clone(), ids[4].clone()];
    let of = ("InstanceIds", named.as_str());
    let (found, answer) = page(&root, &[of, ("PageNumber", "2"), ("PageSize", "2")]).await;
    assert_eq!((found, &answer["TotalCount"]), (wanted[2..].to_vec(), &3.into()));
    for of in [Some(of), None] {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let mut asked = vec![("MaxResults", "2"), ("NextToken", token.as_str())];
            asked.extend(of);
            let (found, answer) = page(&root, &asked).await;
            assert!(found.len() <= 2);
            all.extend(found);
            token = answer["NextToken"].as_str().unwrap().to_owned();
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(all, if of.is_some() { wanted.to_vec() } else { ids.clone() });
    }
    // A token of no list: `nothing` in the form of one.
    root.call(ECS, "DescribeInstances", &[of, ("NextToken", "bm90aGluZw")])
        .await
        .refused(400, "InvalidParameter");
    let two = format!("{},{}", ids[3], ids[1]);
    let statuses = root.ecs("DescribeInstanceStatus", &[("InstanceId", &two)]).await;
    assert_eq!(statuses["TotalCount"], 2);
    assert_eq!(statuses["InstanceStatuses"]["InstanceStatus"][0]["InstanceId"], ids[1]);
}
