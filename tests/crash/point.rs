//! The steps of an execution at which the table kills.

use crate::act::Act;

/// Where it is killed, in the order of the steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Point {
    /// The trigger stands; nobody was told.
    Fired,
    /// The job is in hand; nothing is planned.
    JobTaken,
    /// The job's executions stand; nobody was told.
    JobPlanned,
    /// What is done instead stands; nobody was told.
    FellBack,
    Planned,
    Sending,
    Signed,
    /// The request has arrived and is not carried out.
    Unheard,
    /// The request is carried out; the reply is on its way, or never comes.
    Unanswered,
    Answered,
    FirstLeg,
    SecondSending,
    SecondSigned,
    SecondUnanswered,
    SecondAnswered,
    Recording,
    Recorded,
    /// The job's outcome is known; the queue was not told.
    Settling,
    /// The queue knows.
    Acknowledged,
}

/// What an execution comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Route {
    Live,
    Job,
}

impl Point {
    pub const ALL: [Self; 19] = [
        Self::Fired,
        Self::JobTaken,
        Self::JobPlanned,
        Self::FellBack,
        Self::Planned,
        Self::Sending,
        Self::Signed,
        Self::Unheard,
        Self::Unanswered,
        Self::Answered,
        Self::FirstLeg,
        Self::SecondSending,
        Self::SecondSigned,
        Self::SecondUnanswered,
        Self::SecondAnswered,
        Self::Recording,
        Self::Recorded,
        Self::Settling,
        Self::Acknowledged,
    ];

    /// The failpoint, and which pass of it; none where the kill comes from outside.
    pub fn place(self) -> Option<(&'static str, u32)> {
        Some(match self {
            Self::Fired => ("automation.fired", 1),
            Self::JobTaken => ("job.taken", 1),
            Self::JobPlanned => ("job.planned", 1),
            Self::FellBack => ("execution.fallen_back", 1),
            Self::Planned => ("execution.planned", 1),
            Self::Sending => ("execution.sending", 1),
            Self::Signed => ("request.signed", 1),
            Self::Unheard | Self::Unanswered | Self::SecondUnanswered => return None,
            Self::Answered => ("execution.answered", 1),
            Self::FirstLeg => ("execution.first_leg", 1),
            Self::SecondSending => ("execution.sending", 2),
            Self::SecondSigned => ("request.signed", 2),
            Self::SecondAnswered => ("execution.answered", 2),
            Self::Recording => ("execution.recording", 1),
            Self::Recorded => ("execution.recorded", 1),
            Self::Settling => ("job.settling", 1),
            Self::Acknowledged => ("job.acknowledged", 1),
        })
    }

    /// From which an execution that comes to it may come.
    pub fn routes(self) -> &'static [Route] {
        match self {
            Self::Fired => &[Route::Live],
            Self::JobTaken | Self::JobPlanned | Self::Settling | Self::Acknowledged => {
                &[Route::Job]
            }
            _ => &[Route::Live, Route::Job],
        }
    }

    /// Whether an act comes to it.
    pub fn is_of(self, act: Act) -> bool {
        match self {
            Self::FellBack => act == Act::Fallback,
            Self::FirstLeg
            | Self::SecondSending
            | Self::SecondSigned
            | Self::SecondUnanswered
            | Self::SecondAnswered => act == Act::Reduce,
            _ => true,
        }
    }

    /// Whether `sending` stands and the exchange has not carried out the request.
    pub fn is_unapplied(self) -> bool {
        matches!(self, Self::Sending | Self::Signed | Self::Unheard)
    }

    /// The same of the second request.
    pub fn is_unapplied_second(self) -> bool {
        matches!(self, Self::SecondSending | Self::SecondSigned)
    }
}
