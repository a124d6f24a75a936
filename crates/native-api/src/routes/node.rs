//! Rows: regions, zones, jobs, usage, events, health, metrics, the host.

use super::Operation::*;
use super::{Access, Content, Method, Route, Success, json, page};

const EVENTS: &[Success] = &[Success {
    status: 200,
    content: Content::Lines("Event"),
    description: "Events as they happen, one on each line.",
}];
const METRICS: &[Success] =
    &[Success { status: 200, content: Content::Prometheus, description: "Prometheus text, version 0.0.4." }];

/// The rows.
pub(super) const ROWS: &[Route] = &[
    Route::new(Method::Get, "/v1/regions", ListRegions, "Lists regions", &[page("Region", "Regions.")]).query("PageQuery"),
    Route::new(Method::Get, "/v1/zones", ListZones, "Lists zones", &[page("Zone", "Zones.")]).query("PageQuery"),
    Route::new(Method::Get, "/v1/jobs", ListJobs, "Lists jobs", &[page("Job", "Jobs in the order of their ids; those that ended are kept for a day.")])
        .query("PageQuery"),
    Route::new(Method::Get, "/v1/jobs/{job_id}", GetJob, "Shows a job", &[json(200, "Job", "The job as it is now.")]),
    Route::new(Method::Get, "/v1/usage", ListUsage, "Lists usage records", &[page("UsageRecord", "Usage records, oldest first; then those of what runs.")])
        .about("Of one's own instances, and of others' that were launched from one's own images with product codes.")
        .query("UsageQuery"),
    Route::new(Method::Get, "/v1/events", StreamEvents, "Follows what happens", EVENTS)
        .about("Of the caller's account. The stream has no end of its own; a line may take as long as something takes to happen. \
                Go on after a broken connection with the last revision as `since`.")
        .query("EventQuery"),
    Route::new(Method::Get, "/v1/health", GetHealth, "Whether the daemon is well", &[json(200, "Health", "It is.")])
        .access(Access::Open),
    Route::new(Method::Get, "/v1/metrics", GetMetrics, "Counters as Prometheus text", METRICS).access(Access::Operator),
    Route::new(Method::Get, "/v1/host", GetHost, "The host and what is left of it", &[json(200, "Host", "As it is now.")])
        .access(Access::Operator),
];
