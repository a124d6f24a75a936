//! VMMs are started, watched, found again and ended, with the fake VMM for a program: each way they can end, a daemon that
//! is killed at any moment, records that lie, a thousand at once.
//!
//! Arguments are parts of the names of tests to run; none means all.

#![expect(
    clippy::unwrap_used,
    reason = "all of it is a test, which clippy cannot see without the usual harness"
)]

#[path = "../host/mod.rs"]
mod host;
mod killed;
mod lives;
mod many;
mod world;

use std::ffi::OsStr;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;

use tokio::runtime::Runtime;

type Test = (&'static str, fn() -> Pin<Box<dyn Future<Output = ()>>>);

macro_rules! tests {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$((stringify!($name), || Box::pin($module::$name()))),*]
    };
}

const TESTS: &[Test] = tests![
    lives::a_life,
    lives::ends_of_a_machine,
    lives::ends_of_a_process,
    lives::guest_reboots_and_resets,
    lives::boots_that_fail,
    lives::a_boot_that_is_given_up,
    lives::what_cannot_be,
    lives::console_over_boots,
    lives::children_go_with_it,
    lives::children_go_after_it_died,
    lives::in_cgroups,
    lives::out_of_memory,
    lives::full_disk,
    killed::adoption,
    killed::a_vmm_that_hangs,
    killed::a_last_breath,
    killed::never_booted,
    killed::records_that_lie,
    killed::not_on_record,
    killed::at_any_moment,
    many::a_thousand,
];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.first().and_then(|word| word.to_str()) {
        Some("vmm-launcher") => return bothyd::vmms::launch(arguments.into_iter().skip(1)),
        Some("daemon") => run(killed::daemon(&arguments[1..])),
        Some("full") => run(lives::on_a_full_disk(Path::new(&arguments[1]))),
        _ => {
            let filters: Vec<&str> = arguments
                .iter()
                .filter_map(|word| word.to_str())
                .filter(|word| !word.starts_with('-'))
                .collect();
            for (name, test) in TESTS {
                if filters.is_empty() || filters.iter().any(|filter| name.contains(filter)) {
                    println!("test {name} ...");
                    run(test());
                    println!("test {name} ... ok");
                }
            }
        }
    }
    ExitCode::SUCCESS
}

fn run(test: impl Future<Output = ()>) {
    Runtime::new().unwrap().block_on(test);
}

/// Says why a part of a test was not run.
/// Where it is promised that nothing has to be skipped, that fails.
fn skip(reason: &str) {
    assert!(std::env::var_os("BOTHY_REQUIRE_CGROUPS").is_none(), "{reason}");
    println!("  skipped: {reason}");
}

/// Arguments of a command.
fn os(text: &str) -> &OsStr {
    OsStr::new(text)
}
