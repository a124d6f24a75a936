//! Methods: regions, zones, jobs, usage, health, the host.

use super::{Client, ClientError, NOTHING};
use crate::{Health, Host, Job, JobId, Operation, Page, PageQuery, Region, UsageQuery, UsageRecord, Zone};

impl Client {
    /// Lists regions.
    pub async fn list_regions(&self, query: &PageQuery) -> Result<Page<Region>, ClientError> {
        self.call(Operation::ListRegions, &[], Some(query), NOTHING).await
    }

    /// Lists zones.
    pub async fn list_zones(&self, query: &PageQuery) -> Result<Page<Zone>, ClientError> {
        self.call(Operation::ListZones, &[], Some(query), NOTHING).await
    }

    /// Lists jobs.
    pub async fn list_jobs(&self, query: &PageQuery) -> Result<Page<Job>, ClientError> {
        self.call(Operation::ListJobs, &[], Some(query), NOTHING).await
    }

    /// Shows a job.
    pub async fn get_job(&self, id: &JobId) -> Result<Job, ClientError> {
        self.call(Operation::GetJob, &[id.as_str()], NOTHING, NOTHING).await
    }

    /// Lists usage records.
    pub async fn list_usage(&self, query: &UsageQuery) -> Result<Page<UsageRecord>, ClientError> {
        self.call(Operation::ListUsage, &[], Some(query), NOTHING).await
    }

    /// Whether the daemon is well.
    pub async fn get_health(&self) -> Result<Health, ClientError> {
        self.call(Operation::GetHealth, &[], NOTHING, NOTHING).await
    }

    /// The host and what is left of it.
    pub async fn get_host(&self) -> Result<Host, ClientError> {
        self.call(Operation::GetHost, &[], NOTHING, NOTHING).await
    }
}
