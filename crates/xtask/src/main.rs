//! `cargo xtask`: the developer commands. Each is a module with its arguments, its help and one function `run`.

mod api;
mod bench;
mod build;
mod check;
mod cpio;
mod daemon;
mod demo;
mod fuzz;
mod guest_image;
mod host;
mod host_vm;
mod image;
mod isolation;
mod kernel;
mod package;
mod packages;
mod probe;
mod progress;
mod recipe;
mod run;
mod soak;
mod test;
mod tree;

use clap::{Parser, Subcommand};

/// Developer commands of bothy. Start with `cargo xtask demo`.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Arguments),
    /// The part of the demo that runs on the KVM host
    #[command(hide = true)]
    DemoStory(demo::StoryArguments),
    Test(test::Arguments),
    Check(check::Arguments),
    HostVm(host_vm::Arguments),
    /// Process 1 of the nested host
    #[command(hide = true)]
    HostAgent,
    Image(image::Arguments),
    Fuzz(fuzz::Arguments),
    Bench(bench::Arguments),
    /// The part of the benchmarks that runs on the KVM host
    #[command(hide = true)]
    BenchStory(bench::StoryArguments),
    /// The part of the daemon's benchmark that runs in a network of its own
    #[command(hide = true)]
    BenchApiStory(bench::ApiStoryArguments),
    /// The part of it that runs on the KVM host
    #[command(hide = true)]
    BenchGuestStory(bench::GuestStoryArguments),
    /// The part of the benchmarks of clouds' APIs that runs in a network of its own
    #[command(hide = true)]
    BenchCloudStory(bench::CloudStoryArguments),
    /// The part of the network's benchmark that runs in a network of its own
    #[command(hide = true)]
    BenchNetStory(bench::NetStoryArguments),
    Soak(soak::Arguments),
    /// The part of the soak test that runs in a network of its own
    #[command(hide = true)]
    SoakStory(soak::StoryArguments),
    Package(package::Arguments),
    Api(api::Arguments),
}

fn main() -> anyhow::Result<std::process::ExitCode> {
    match Arguments::parse().command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::DemoStory(arguments) => demo::tell(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::HostVm(arguments) => host_vm::run(&arguments),
        Command::HostAgent => Ok(host_vm::run_agent()),
        Command::Image(arguments) => image::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::BenchStory(arguments) => bench::tell(&arguments),
        Command::BenchApiStory(arguments) => bench::tell_api(&arguments),
        Command::BenchGuestStory(arguments) => bench::tell_guest(&arguments),
        Command::BenchCloudStory(arguments) => bench::tell_cloud(&arguments),
        Command::BenchNetStory(arguments) => bench::tell_net(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
        Command::SoakStory(arguments) => soak::tell(&arguments),
        Command::Package(arguments) => package::run(&arguments),
        Command::Api(arguments) => api::run(&arguments),
    }
}
