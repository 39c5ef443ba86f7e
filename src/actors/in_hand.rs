//! Which executions an executor has in hand now.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::ids::ExecutionId;

/// Executions in hand. A mark is taken back when it is dropped, also by a panic.
#[derive(Clone, Debug, Default)]
pub struct InHand(Arc<Mutex<HashSet<ExecutionId>>>);

/// The mark of one execution in hand.
#[derive(Debug)]
pub struct InHandMark(InHand, ExecutionId);

impl InHand {
    /// Marks an execution; `None` if it is in hand already.
    pub fn take(&self, id: ExecutionId) -> Option<InHandMark> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(id).then(|| InHandMark(self.clone(), id))
    }

    /// How many are in hand.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for InHandMark {
    fn drop(&mut self) {
        self.0
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.1);
    }
}
