//! `/metrics`: figures of the service in the text format of OpenMetrics, which Prometheus reads. Each
//! is described in `docs/metrics.md`.
//!
//! What is counted lies in atomics; a scrape reads them, and what the actors publish, on the I/O
//! thread. It takes no lock that trading waits for longer than the copy of one entry takes.

mod accounts;
mod acting;
mod market;
mod page;
mod process;
mod serving;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::door::{Door, Viewer, refusal};
use crate::actors::Shared;
use page::Page;

/// What the text is, as OpenMetrics prescribes.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn routes() -> Router<Door> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(door): State<Door>, _: Viewer) -> Response {
    match page(&door.shared).await.text() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

async fn page(shared: &Shared) -> Page {
    let mut page = Page::default();
    process::figures(&mut page, shared);
    serving::figures(&mut page, shared).await;
    acting::figures(&mut page, shared);
    market::figures(&mut page, shared);
    accounts::figures(&mut page, shared).await;
    page
}
