//! What can be asked of today's EC2 and of STS: a row here and a file below for each action. The coverage of the cloud's API
//! that documentation shows is these rows and those of `y2007`. Whatever has none is answered `InvalidAction`.

mod act;
mod get_caller_identity;
mod start_instances;

use std::future::Future;
use std::pin::Pin;

use super::errors::Refusal;
use super::version::Api;
use super::xml::Tree;
use super::{Call, y2007};

/// What an action does, which decides who answers a dry run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing.
    Reads,
    /// It changes something. A dry run of it says whether the caller may.
    Changes,
    /// It changes something, and looks at `DryRun` itself.
    Tries,
}

/// What an action is done with, for policies. An action with none of these is everybody's who has a key.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// All there is: the action cannot be allowed for less.
    All,
    /// What is to be made of this kind, which has no name yet.
    Every(&'static str),
    /// What these parameters name, of this kind.
    Named(&'static str, &'static [&'static str]),
    /// What `ResourceId` names, whatever it is.
    Tagged,
}

pub type Handler =
    for<'a> fn(&'a Call<'a>) -> Pin<Box<dyn Future<Output = Result<Tree, Refusal>> + Send + 'a>>;

/// An action.
pub struct Row {
    /// The API that has it.
    pub api: Api,
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub effect: Effect,
    /// What it is done with.
    pub on: &'static [Target],
    /// What is done.
    pub handle: Handler,
}

/// A row of the API `$api`, whose handler is in the module of that name.
macro_rules! row {
    ($api:ident, $name:literal, $effect:ident, $on:expr, $module:ident) => {
        $crate::ec2::actions::Row {
            api: $crate::ec2::version::Api::$api,
            name: $name,
            effect: $crate::ec2::actions::Effect::$effect,
            on: $on,
            handle: |call| Box::pin($module::handle(call)),
        }
    };
}
pub(super) use row;

const INSTANCES: &[Target] = &[Target::Named("instance", &["InstanceId"])];

/// All actions, by their names within each API.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    row!(Ec2, "StartInstances", Changes, INSTANCES, start_instances),
    // The core decides who may assume which role; who one is, one may always know.
    row!(Sts, "GetCallerIdentity", Reads, &[], get_caller_identity),
];

fn all() -> impl Iterator<Item = &'static Row> {
    y2007::ROWS.iter().chain(ROWS)
}

/// The row of an action.
///
/// # Errors
///
/// The API has no such action.
pub fn find(api: Api, action: &str) -> Result<&'static Row, Refusal> {
    all().find(|row| row.api == api && row.name == action).ok_or_else(|| {
        let action: String = action.chars().take(64).collect();
        Refusal::new(400, "InvalidAction", format!("The action {action} is not valid for this web service."))
    })
}

/// An action that is served, as documentation shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The API, as `EC2 2016-11-15`.
    pub product: String,
    /// The action's name.
    pub action: &'static str,
}

/// All actions that are served.
pub fn coverage() -> Vec<Coverage> {
    let of = |api: Api| {
        let product = format!("{} {}", api.word().to_ascii_uppercase(), api.version());
        all()
            .filter(move |row| row.api == api)
            .map(move |row| Coverage { product: product.clone(), action: row.name })
    };
    Api::ALL.into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_each_action_has_one() {
        let all = coverage();
        for (index, pair) in all.windows(2).enumerate() {
            assert!(
                pair[0].product != pair[1].product || pair[0].action < pair[1].action,
                "{index}: {pair:?}"
            );
        }
    }

    #[test]
    fn what_has_no_row_is_no_action() {
        for (api, action) in [
            (Api::Ec2, "DescribeEverything"),
            (Api::Ec2, "startinstances"),
            (Api::Sts, "StartInstances"),
            (Api::Y2007, "StartInstances"),
        ] {
            let code = find(api, action).map(|row| row.name).unwrap_err().code;
            assert_eq!(code, "InvalidAction", "{api:?} {action}");
        }
    }
}
