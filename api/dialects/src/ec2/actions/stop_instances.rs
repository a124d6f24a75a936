//! StopInstances: stops instances. Guests are asked to go down, unless `Force` says that they are not.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StopInstances.html>

use compute::lifecycle::Action;

use super::super::xml::Tree;
use super::super::{Call, Refusal};
use super::act;

pub async fn handle(call: &Call<'_>) -> Result<Tree, Refusal> {
    let parameters = call.parameters;
    if parameters.flag("Hibernate")? == Some(true) {
        let why = "Instances cannot be hibernated here.";
        return Err(Refusal::new(400, "UnsupportedHibernationConfiguration", why));
    }
    let force = parameters.flag("Force")?.unwrap_or(false);
    let force = force || parameters.flag("SkipOsShutdown")?.unwrap_or(false);
    let action = if force { Action::StopForced } else { Action::Stop };
    Ok(act::told(act::on_all(call, |_| action).await?))
}
