//! What comes to be written.

use std::time::Duration;

use tokio::sync::mpsc::Receiver;

use super::job::Job;
use super::line::{Line, Waiting};

/// What the writer is sent.
pub(super) enum Message {
    Job(Waiting),
    /// Nothing more comes.
    Close,
}

/// What has come and what waits of it. The places in the queue bound both.
pub(super) struct Incoming {
    messages: Receiver<Message>,
    line: Line,
}

impl Incoming {
    pub(super) fn of(messages: Receiver<Message>) -> Self {
        Self {
            messages,
            line: Line::default(),
        }
    }

    /// Until there is something to be written; `false` when nothing will be any more.
    pub(super) async fn wait(&mut self) -> bool {
        self.gather();
        while self.line.is_empty() {
            let Some(message) = self.messages.recv().await else {
                return false;
            };
            self.take(message);
            self.gather();
        }
        true
    }

    /// What shares the next commit.
    pub(super) fn next(&mut self, now: Duration) -> Vec<Box<dyn Job>> {
        self.line.next(now)
    }

    /// What has come meanwhile and may join a commit of so many.
    pub(super) fn joins(&mut self, present: usize) -> Vec<Box<dyn Job>> {
        self.gather();
        self.line.joins(present)
    }

    fn gather(&mut self) {
        while let Ok(message) = self.messages.try_recv() {
            self.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Job(waiting) => self.line.push(waiting),
            // What is queued already was accepted: it is still made.
            Message::Close => self.messages.close(),
        }
    }
}
