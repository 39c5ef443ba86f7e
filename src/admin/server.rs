//! The HTTP server. It lives on the I/O thread, so that a slow reader never meets a price.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::access::Access;
use super::report::{QueueReport, StatusReport, unread};
use crate::actors::Shared;

/// The running server. Dropped, it ends and takes its file away.
pub struct Admin {
    task: JoinHandle<()>,
    file: PathBuf,
    address: std::net::SocketAddr,
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.task.abort();
        // Left behind it would only lead to a closed door.
        let _ = std::fs::remove_file(&self.file);
    }
}

#[derive(Clone)]
struct Door {
    shared: Arc<Shared>,
    access: Arc<Access>,
}

impl Admin {
    /// Listens on `listen` and writes address and token into the data folder.
    ///
    /// # Errors
    /// A taken port or a folder that cannot be written.
    pub async fn start(listen: &str, folder: &Path, shared: Arc<Shared>) -> Result<Self> {
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!("admin.listen {listen}: choose another port, or \"\" for none")
        })?;
        let address = listener.local_addr()?;
        let access = Arc::new(Access::fresh(address));
        let file = access
            .write(folder)
            .context("the data folder takes no admin.json")?;
        let routes = Router::new()
            .route("/healthz", get(alive))
            .route("/readyz", get(ready))
            .route("/v1/status", get(status))
            .with_state(Door { shared, access });
        let task = actix_rt::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(event = "admin.ended", %error);
            }
        });
        tracing::info!(event = "admin.listening", %address);
        Ok(Self {
            task,
            file,
            address,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.address
    }
}

/// Whoever may ask this may not know more of the queue than its state: causes name servers.
async fn alive(State(door): State<Door>) -> String {
    let queue = QueueReport::of(&door.shared);
    format!("alive\njobs: {}\n", queue.state)
}

async fn ready(State(door): State<Door>) -> Response {
    let (waiting, queue) = (unread(&door.shared), QueueReport::of(&door.shared));
    let status = if waiting.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(json!({
            "ready": waiting.is_empty(), "waiting_for": waiting.len(), "jobs": queue.state,
        })),
    )
        .into_response()
}

async fn status(State(door): State<Door>, headers: HeaderMap) -> Response {
    let authorization = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if !authorization.is_some_and(|value| door.access.admits(value)) {
        let error =
            json!({ "error": "a bearer token is needed; it is in admin.json of the data folder" });
        return (StatusCode::UNAUTHORIZED, Json(error)).into_response();
    }
    match StatusReport::of(&door.shared).await {
        Ok(report) => Json(report).into_response(),
        Err(error) => {
            let error = json!({ "error": error.to_string() });
            (StatusCode::SERVICE_UNAVAILABLE, Json(error)).into_response()
        }
    }
}
