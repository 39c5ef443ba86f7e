//! The hops from a tick to the exchange's answer, each measured from the end of the one before.

use crate::meter::Histogram;

/// The hops of live triggers that a tick has caused. An execution that comes by twice is measured
/// the first time.
#[derive(Debug, Default)]
pub struct Hops {
    /// From the tick's frame, read from the socket, to the message to whoever waits for the level.
    pub reached: Histogram,
    /// To the automation's exact decision on its book.
    pub decided: Histogram,
    /// To the execution's row in the journal.
    pub fired: Histogram,
    /// To an executor that has it in hand.
    pub picked: Histogram,
    /// To `sending` in the journal: the last look, the place in the rate budget, the write.
    pub sending: Histogram,
    /// To the request handed to the HTTP client.
    pub left: Histogram,
    /// To its answer.
    pub answered: Histogram,
    /// From the tick to the request, over all of them.
    pub tick_to_order: Histogram,
}

impl Hops {
    /// The hops in their order, by name.
    pub fn each(&self) -> [(&'static str, &Histogram); 7] {
        [
            ("reached", &self.reached),
            ("decided", &self.decided),
            ("fired", &self.fired),
            ("picked", &self.picked),
            ("sending", &self.sending),
            ("left", &self.left),
            ("answered", &self.answered),
        ]
    }
}
