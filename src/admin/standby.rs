//! The HTTP of a process that waits for its turn: alive, not ready, and nothing else yet.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::task::JoinHandle;

use super::access::Access;
use super::health::told;
use super::server::Listener;
use crate::supervision::Progress;

/// Each answer ends its connection: the next one may be for the service that this process becomes.
const LAST: [(header::HeaderName, &str); 1] = [(header::CONNECTION, "close")];

/// The running server of a standby. Dropped, it ends and takes its file away; whoever connects then
/// waits for the next server of the same listener.
pub struct Waiting {
    task: JoinHandle<()>,
    access: Access,
    told_in: Option<PathBuf>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(folder) = &self.told_in {
            self.access.withdraw(folder);
        }
    }
}

impl Waiting {
    /// Answers for a process that waits, which gets on as `progress` says.
    ///
    /// # Errors
    /// Where the listener cannot be used.
    pub fn start(listener: &Listener, progress: Progress) -> Result<Self> {
        let routes = Router::new()
            .route("/healthz", get(alive))
            .route("/readyz", get(ready))
            .fallback(nothing_else)
            .with_state(progress);
        Ok(Self {
            task: listener.serve(routes)?,
            access: Access::fresh(listener.address()),
            told_in: None,
        })
    }

    /// Writes its address into the data folder, which nobody else may write to by now.
    ///
    /// # Errors
    /// Where the folder does not take it.
    pub fn tell(&mut self, folder: &Path) -> Result<()> {
        let written = self.access.write(folder);
        written.context("the data folder takes no admin.json")?;
        self.told_in = Some(folder.to_owned());
        Ok(())
    }
}

async fn alive(State(progress): State<Progress>) -> Response {
    let (status, told) = told(&progress, "alive, standing by");
    (status, LAST, told).into_response()
}

async fn ready() -> Response {
    let report = json!({"ready": false, "standing_by": true});
    (StatusCode::SERVICE_UNAVAILABLE, LAST, Json(report)).into_response()
}

async fn nothing_else() -> Response {
    let error = "this process stands by, while another trades: ask that one, or wait until this one \
                 has taken over";
    let report = json!({"error": error, "standing_by": true});
    (StatusCode::SERVICE_UNAVAILABLE, LAST, Json(report)).into_response()
}
