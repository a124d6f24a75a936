//! The APIs that the daemon speaks, each a module in front of the core: what callers say becomes calls on `compute`, and what
//! it answers becomes what they expect. `native` is our own, `alibaba` Alibaba Cloud's, `ec2` Amazon's. `server` is what they all
//! stand behind.
//!
//! Nothing here knows a machine, a disk or a database; a decision that two APIs would share belongs into `compute`.

#![forbid(unsafe_code)]
#![recursion_limit = "256"] // of `json!`, for which each field of a document is a step

pub mod alibaba;
pub mod ec2;
pub mod native;
pub mod server;
mod signing;

/// Which actions of which API are served, as a table in Markdown.
pub fn coverage() -> String {
    let native =
        native_api::Operation::ALL.iter().map(|operation| ("bothy v1".to_owned(), operation.as_str()));
    let alibaba =
        alibaba::coverage().into_iter().map(|row| (format!("Alibaba Cloud {}", row.product), row.action));
    let ec2 = ec2::coverage().into_iter().map(|row| (format!("Amazon {}", row.product), row.action));
    let rows = native.chain(alibaba).chain(ec2).map(|(api, action)| format!("| {api} | {action} |\n"));
    format!("| API | action |\n|---|---|\n{}", rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_coverage_has_each_api() {
        let table = super::coverage();
        for row in [
            "| bothy v1 | LaunchInstances |",
            "| Alibaba Cloud Ecs 2014-05-26 | CreateInstance |",
            "| Amazon EC2 2016-11-15 | StartInstances |",
        ] {
            assert!(table.contains(row), "{table}");
        }
    }
}
