//! Where metrics are gathered.

use std::fmt;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::requests::REQUESTS;
use crate::error::{Error, Result};

/// From a range in the kernel's cache to an upload to S3, in seconds.
const BUCKETS: [f64; 19] = [
    5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
    30.0, 60.0,
];

const UPKEEP: Duration = Duration::from_secs(2);

/// What the process counts: operations of the stores, requests, receipts. Clones share it.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Becomes the process's recorder of [`metrics`]. Call it before stores are opened: they take
    /// their counters when they first need them.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_node::{Error, Metrics};
    ///
    /// let metrics = Metrics::install()?;
    /// assert!(!metrics.render().contains("storehouse_operations_total")); // no store is open
    /// assert!(matches!(Metrics::install(), Err(Error::Metrics(_))));
    /// # Ok::<(), storehouse_node::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::Metrics`] if the process has a recorder already.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn install() -> Result<Self> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS)
            .map_err(|e| Error::Metrics(e.into()))?
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|e| Error::Metrics(e.to_string().into()))?;
        metrics::describe_counter!(REQUESTS, "Requests answered, by method and status.");
        metrics::describe_counter!(
            "node_receipts_total",
            "Receipts of retrievals that were written."
        );
        metrics::describe_counter!(
            "node_receipt_failures_total",
            "Times that a receipt could not be written, and is to be tried again."
        );
        metrics::describe_gauge!(
            "node_free_bytes",
            "Bytes free on the disk that a store lies on."
        );
        let sorting = handle.clone();
        tokio::spawn(async move {
            // Until then measurements lie unsorted in memory.
            loop {
                tokio::time::sleep(UPKEEP).await;
                sorting.run_upkeep();
            }
        });
        Ok(Self(handle))
    }

    /// Everything counted so far, in Prometheus' text format.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let metrics = storehouse_node::Metrics::install()?;
    /// metrics::counter!("my_program_starts_total").increment(1);
    /// assert!(metrics.render().contains("my_program_starts_total 1"));
    /// # Ok::<(), storehouse_node::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
