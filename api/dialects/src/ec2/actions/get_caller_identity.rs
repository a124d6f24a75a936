//! GetCallerIdentity: who signed the request. Everybody may ask who they are.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>

use compute::identity::Who;

use super::super::ids::principal;
use super::super::xml::Tree;
use super::super::{Call, Refusal};

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let account = call.account();
    let (arn, id) = match &call.caller.who {
        Who::Root { .. } => (format!("arn:aws:iam::{account}:root"), account.to_owned()),
        Who::User { name, id, .. } => (format!("arn:aws:iam::{account}:user/{name}"), principal("AIDA", *id)),
        Who::Role { name, id, session, .. } => (
            format!("arn:aws:sts::{account}:assumed-role/{name}/{session}"),
            format!("{}:{session}", principal("AROA", *id)),
        ),
    };
    Ok(Tree::new().text("Arn", arn).text("UserId", id).text("Account", account))
}
