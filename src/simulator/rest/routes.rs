//! The table of routes.

use axum::http::Method;
use serde_json::{Value, json};

use super::{ApiError, Call, isolated, market};

type Handler = fn(&Call<'_>) -> Result<Value, ApiError>;

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Public,
    /// A signature, and this scope.
    Scope(&'static str),
}

pub(super) struct Route {
    method: Method,
    pub(super) path: &'static str,
    pub(super) access: Access,
    pub(super) handler: Handler,
}

const fn route(method: Method, path: &'static str, access: Access, handler: Handler) -> Route {
    Route {
        method,
        path,
        access,
        handler,
    }
}

const ACCOUNT: Access = Access::Scope("account:read");
const READ: Access = Access::Scope("futures:isolated:read");
const WRITE: Access = Access::Scope("futures:isolated:write");
const CROSS_READ: Access = Access::Scope("futures:cross:read");
const CROSS_WRITE: Access = Access::Scope("futures:cross:write");

static ROUTES: [Route; 36] = [
    route(Method::GET, "/ping", Access::Public, |_| Ok(json!("pong"))),
    route(Method::GET, "/time", Access::Public, market::time),
    route(
        Method::GET,
        "/futures/ticker",
        Access::Public,
        market::ticker,
    ),
    route(
        Method::GET,
        "/futures/candles",
        Access::Public,
        market::candles,
    ),
    route(
        Method::GET,
        "/futures/funding-settlements",
        Access::Public,
        market::settlements,
    ),
    route(Method::GET, "/account", ACCOUNT, market::account),
    route(
        Method::POST,
        "/futures/isolated/trade",
        WRITE,
        isolated::place,
    ),
    route(
        Method::GET,
        "/futures/isolated/trades/open",
        READ,
        isolated::open,
    ),
    route(
        Method::GET,
        "/futures/isolated/trades/running",
        READ,
        isolated::running,
    ),
    route(
        Method::GET,
        "/futures/isolated/trades/closed",
        READ,
        isolated::closed,
    ),
    route(
        Method::GET,
        "/futures/isolated/trades/canceled",
        READ,
        isolated::canceled,
    ),
    route(
        Method::POST,
        "/futures/isolated/trade/close",
        WRITE,
        isolated::close,
    ),
    route(
        Method::POST,
        "/futures/isolated/trade/cancel",
        WRITE,
        isolated::cancel,
    ),
    route(
        Method::POST,
        "/futures/isolated/trades/cancel-all",
        WRITE,
        isolated::cancel_all,
    ),
    route(
        Method::POST,
        "/futures/isolated/trade/add-margin",
        WRITE,
        isolated::add_margin,
    ),
    route(
        Method::POST,
        "/futures/isolated/trade/cash-in",
        WRITE,
        isolated::cash_in,
    ),
    route(
        Method::PUT,
        "/futures/isolated/trade/stoploss",
        WRITE,
        isolated::set_stoploss,
    ),
    route(
        Method::DELETE,
        "/futures/isolated/trade/stoploss",
        WRITE,
        isolated::remove_stoploss,
    ),
    route(
        Method::PUT,
        "/futures/isolated/trade/takeprofit",
        WRITE,
        isolated::set_takeprofit,
    ),
    route(
        Method::DELETE,
        "/futures/isolated/trade/takeprofit",
        WRITE,
        isolated::remove_takeprofit,
    ),
    route(
        Method::GET,
        "/futures/isolated/funding-fees",
        READ,
        isolated::funding_fees,
    ),
    route(
        Method::GET,
        "/futures/cross/position",
        CROSS_READ,
        market::flat_position,
    ),
    route(
        Method::GET,
        "/futures/cross/orders/open",
        CROSS_READ,
        |_| Ok(json!([])),
    ),
    route(
        Method::GET,
        "/futures/cross/orders/filled",
        CROSS_READ,
        cross,
    ),
    route(Method::POST, "/futures/cross/order", CROSS_WRITE, cross),
    route(
        Method::POST,
        "/futures/cross/order/cancel",
        CROSS_WRITE,
        cross,
    ),
    route(
        Method::POST,
        "/futures/cross/orders/cancel-all",
        CROSS_WRITE,
        cross,
    ),
    route(
        Method::POST,
        "/futures/cross/position/close",
        CROSS_WRITE,
        cross,
    ),
    route(Method::POST, "/futures/cross/deposit", CROSS_WRITE, cross),
    route(Method::POST, "/futures/cross/withdraw", CROSS_WRITE, cross),
    route(Method::PUT, "/futures/cross/leverage", CROSS_WRITE, cross),
    route(Method::GET, "/futures/cross/transfers", CROSS_READ, cross),
    route(
        Method::GET,
        "/futures/cross/funding-fees",
        CROSS_READ,
        cross,
    ),
    route(
        Method::GET,
        "/futures/leaderboard",
        Access::Public,
        market::leaderboard,
    ),
    route(
        Method::GET,
        "/synthetic-usd/best-price",
        Access::Public,
        market::best_price,
    ),
    route(
        Method::GET,
        "/account/notifications",
        Access::Scope("account:notifications:read"),
        |_| Ok(json!({ "data": [], "nextCursor": null })),
    ),
];

fn cross(_: &Call<'_>) -> Result<Value, ApiError> {
    Err(ApiError::bad("path", "cross margin is not simulated yet"))
}

/// The route of a method and a full path, which begins with `/v3`.
pub(super) fn find(method: &Method, path: &str) -> Option<&'static Route> {
    let path = path.strip_prefix("/v3")?;
    ROUTES
        .iter()
        .find(|route| route.path == path && route.method == method)
}
