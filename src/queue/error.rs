//! What can go wrong with the queue.

/// An error of the queue. Each says what to do next; none holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// It did not answer, or could not.
    #[error("{queue} is not available: {cause}")]
    Unavailable {
        /// Where the jobs are, as the operator knows it.
        queue: &'static str,
        /// Why.
        cause: String,
    },
    /// No such job.
    #[error("there is no job `{0}`: see `vigia job list`; older ones are removed")]
    NotFound(String),
    /// What was asked for is not possible; says why, and what is.
    #[error("{0}")]
    Refused(String),
}
