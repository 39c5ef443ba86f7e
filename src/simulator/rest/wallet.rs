//! Money in and out of the exchange: nothing of it is simulated.

use serde_json::{Value, json};

use super::page::Page;
use super::{ApiError, Call};

/// A list that is always empty.
pub(super) fn nothing(call: &Call<'_>) -> Result<Value, ApiError> {
    Page::parse(&call.query)?;
    Ok(json!({ "data": [], "nextCursor": null }))
}

/// No bitcoin and no dollars are moved here.
pub(super) fn refused(_: &Call<'_>) -> Result<Value, ApiError> {
    Err(ApiError::bad(
        "path",
        "the simulator has no wallet: give an account its balance when it is made",
    ))
}
