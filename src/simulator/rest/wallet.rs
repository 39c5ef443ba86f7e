//! Money in and out of the exchange: addresses and invoices that nobody can pay, and no way out.
//! Payments come by the control interface.

use serde::Deserialize;
use serde_json::{Value, json};

use super::body::parse;
use super::page::Page;
use super::{ApiError, Call};
use crate::simulator::clock::iso;
use crate::simulator::world::lock;

type Answer = Result<Value, ApiError>;

/// A list that is always empty.
pub(super) fn nothing(call: &Call<'_>) -> Answer {
    Page::parse(&call.query)?;
    Ok(json!({ "data": [], "nextCursor": null }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AddressFormat {
    P2tr,
    P2wpkh,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddressBody {
    #[serde(rename = "format")]
    _format: Option<AddressFormat>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DepositBody {
    amount: i64,
    #[serde(rename = "comment")]
    _comment: Option<String>,
    #[serde(rename = "descriptionHash")]
    _description_hash: Option<String>,
}

/// The account's address: made up, the same every time.
pub(super) fn address(call: &Call<'_>) -> Answer {
    let engine = lock(&call.world.engine);
    let account = engine
        .accounts
        .get(call.key)
        .ok_or_else(|| ApiError::bad("key", "no such account"))?;
    Ok(json!({ "address": format!("tb1q{}", account.user_id.simple()) }))
}

/// A new address: made up.
pub(super) fn new_address(call: &Call<'_>) -> Answer {
    if !call.body.is_empty() {
        parse::<AddressBody>(call.body)?;
    }
    call.world.apply(|engine, now| {
        let address = format!("tb1q{}", engine.next_id().simple());
        Ok(json!({ "address": address, "createdAt": iso(now) }))
    })
}

/// An invoice that nobody can pay.
pub(super) fn invoice(call: &Call<'_>) -> Answer {
    let body: DepositBody = parse(call.body)?;
    if body.amount < 1 {
        return Err(ApiError::bad("amount", "amount must be at least 1 sat"));
    }
    call.world.apply(|engine, _| {
        let id = engine.next_id();
        let request = format!("lntbs{}n1{}", body.amount, id.simple());
        Ok(json!({ "depositId": id, "paymentRequest": request }))
    })
}

/// No invoice can be paid from here.
pub(super) fn no_invoice(_: &Call<'_>) -> Answer {
    Err(ApiError::bad("invoice", "Send a correct BOLT 11 invoice"))
}

/// No address can be paid from here.
pub(super) fn no_address(_: &Call<'_>) -> Answer {
    Err(ApiError::bad("address", "Invalid address"))
}

/// No dollars are kept here.
pub(super) fn no_swap(_: &Call<'_>) -> Answer {
    Err(ApiError::bad(
        "inAmount",
        "synthetic dollars are not simulated",
    ))
}
