//! DescribeKeyPairs: key pairs of the caller's, all or those that are named.

use super::super::xml::Tree;
use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let names = call.parameters.list("KeyName")?;
    for name in &names {
        call.compute().key_pair(call.account(), name).await?;
    }
    let wanted = |name: &String| names.is_empty() || names.contains(name);
    let all = call.compute().key_pairs(call.account(), None, usize::MAX, |pair| wanted(&pair.name)).await?;
    let pair = |pair: compute::resource::KeyPair| {
        Tree::new().text("keyName", &pair.name).text("keyFingerprint", pair.fingerprints.ec2())
    };
    Ok(Tree::new().list("keySet", all.items.into_iter().map(pair)))
}
