//! What can go wrong in the journal.

use sea_orm::DbErr;

use super::arming::OpenedEpisode;
use crate::domain::execution::State;
use crate::domain::ids::ExecutionId;
use crate::store::{Fault, StoreError};

/// An error of the journal.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum JournalError {
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The execution stands where this step does not lead from.
    #[error(
        "execution {execution} is {found} and cannot become {wanted}: see `vigia execution show {execution}`"
    )]
    WrongState {
        /// The execution.
        execution: ExecutionId,
        /// Where it stands.
        found: State,
        /// Where it was to go.
        wanted: State,
    },
    /// A later owner has sent it: its outcome is the later owner's to write.
    #[error(
        "execution {execution} was taken over by another process, which settles it: nothing to do here"
    )]
    TakenOver {
        /// The execution.
        execution: ExecutionId,
    },
    /// A later owner trades. Nothing was written.
    #[error("another process has the right to trade: nothing is left to do here")]
    NotOwner,
    /// A kill switch is on. Nothing was written.
    #[error("a kill switch is on: `vigia kill-switch list` says which")]
    Stopped,
    /// The account is paused. Nothing was written.
    #[error("the account is paused: `vigia account list` says why")]
    Paused,
    /// The episode is not armed, so it cannot fire.
    #[error("episode {episode} is not armed ({}): open it first", stands_text(*stands))]
    NotArmed {
        /// The episode that was to fire.
        episode: i64,
        /// What stands instead; `None` where nothing was ever armed.
        stands: Option<OpenedEpisode>,
    },
}

fn stands_text(stands: Option<OpenedEpisode>) -> String {
    match stands {
        None => "nothing was armed".to_owned(),
        Some(OpenedEpisode::Armed { episode, .. }) => format!("episode {episode} is"),
        Some(OpenedEpisode::Fired { episode, .. }) => format!("episode {episode} has fired"),
    }
}

impl Fault for JournalError {
    fn is_outage(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_outage())
    }
}

impl From<DbErr> for JournalError {
    fn from(error: DbErr) -> Self {
        Self::Store(error.into())
    }
}
