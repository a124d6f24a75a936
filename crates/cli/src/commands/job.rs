//! `bothy jobs`: long operations, and waiting for them.

use std::time::Duration;

use jiff::Timestamp;
use native_api::{Job, JobId, JobState, Operation, PageQuery};

use super::Wait;
use crate::Context;
use crate::failure::{Exit, Failure};
use crate::output::{age, bytes, maybe, word};

/// What can be done with jobs.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List jobs
    Ls,
    /// Show a job
    Show {
        /// Its id
        id: JobId,
        #[command(flatten)]
        wait: Wait,
    },
}

/// Does it.
pub async fn run(context: &Context, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Ls => {
            let jobs: Vec<Job> = context.client.all(Operation::ListJobs, &PageQuery::default()).await?;
            let now = Timestamp::now();
            let headers = ["ID", "KIND", "STATE", "DONE", "IMAGE", "AGE"];
            context.output.list(
                &jobs,
                |job| job.id.to_string(),
                headers,
                |job| {
                    [
                        job.id.to_string(),
                        word(&job.kind),
                        word(&job.state),
                        done(job),
                        maybe(job.image.as_ref()),
                        age(job.created_at, now),
                    ]
                },
            )
        }
        Command::Show { id, wait } if wait.wait => show(context, &wait_for(context, id, wait.limit()).await?),
        Command::Show { id, .. } => show(context, &context.client.get_job(id).await?),
    }
}

/// Waits until a job is done, with a bar that shows how far it is.
///
/// # Errors
/// It failed, or takes longer.
pub async fn wait_for(context: &Context, id: &JobId, limit: Duration) -> Result<Job, Failure> {
    let bar = context.output.bar(id.as_str());
    let look = async || {
        let job = context.client.get_job(id).await?;
        bar.set_message(format!("{} {}", word(&job.kind), word(&job.state)));
        bar.set_length(job.total_bytes.unwrap_or(job.done_bytes));
        bar.set_position(job.done_bytes);
        Ok(job)
    };
    let seen =
        context.client.wait_until(&format!("the end of {id}"), limit, look, |job| job.state.is_final()).await;
    bar.finish_and_clear();
    let job = seen?;
    match job.error {
        Some(error) => {
            let failure = Failure::from(native_api::ClientError::Refused(error));
            Err(failure.within(format_args!("{id} failed")))
        }
        None if job.state == JobState::Failed => Err(Failure::new(
            Exit::Failed,
            format!("{id} failed, and does not say why"),
            "see the daemon's log",
        )),
        None => Ok(job),
    }
}

/// Shows one.
pub fn show(context: &Context, job: &Job) -> Result<(), Failure> {
    context.output.one(
        job,
        job.id.as_str(),
        &[
            ("id", job.id.to_string()),
            ("kind", word(&job.kind)),
            ("state", word(&job.state)),
            ("done", done(job)),
            ("image", maybe(job.image.as_ref())),
            ("error", maybe(job.error.as_ref())),
            ("created", job.created_at.to_string()),
            ("ended", maybe(job.ended_at.as_ref())),
        ],
    )
}

fn done(job: &Job) -> String {
    match job.total_bytes {
        Some(total) => format!("{} of {}", bytes(job.done_bytes), bytes(total)),
        None => bytes(job.done_bytes),
    }
}
