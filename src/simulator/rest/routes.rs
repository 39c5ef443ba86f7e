//! The table of routes.

use axum::http::Method;
use serde_json::{Value, json};

use super::{ApiError, Call, cross, isolated, market, wallet};

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

const fn get(path: &'static str, access: Access, handler: Handler) -> Route {
    route(Method::GET, path, access, handler)
}

const fn post(path: &'static str, access: Access, handler: Handler) -> Route {
    route(Method::POST, path, access, handler)
}

const fn put(path: &'static str, access: Access, handler: Handler) -> Route {
    route(Method::PUT, path, access, handler)
}

const fn delete(path: &'static str, access: Access, handler: Handler) -> Route {
    route(Method::DELETE, path, access, handler)
}

const PUBLIC: Access = Access::Public;
const ACCOUNT: Access = Access::Scope("account:read");
const READ: Access = Access::Scope("futures:isolated:read");
const WRITE: Access = Access::Scope("futures:isolated:write");
const CROSS_READ: Access = Access::Scope("futures:cross:read");
const CROSS_WRITE: Access = Access::Scope("futures:cross:write");
const DEPOSITS: Access = Access::Scope("account:deposits:read");
const DEPOSIT: Access = Access::Scope("account:deposits:write");
const WITHDRAWALS: Access = Access::Scope("account:withdrawals:read");
const WITHDRAW: Access = Access::Scope("account:withdrawals:write");
const NOTICES: Access = Access::Scope("account:notifications:read");
const MARK_NOTICES: Access = Access::Scope("account:notifications:write");
const DOLLARS: Access = Access::Scope("synthetic-usd:read");
const SWAP: Access = Access::Scope("synthetic-usd:write");

static MARKET: [Route; 9] = [
    get("/ping", PUBLIC, |_| Ok(json!("pong"))),
    get("/time", PUBLIC, market::time),
    get("/futures/ticker", PUBLIC, market::ticker),
    get("/futures/candles", PUBLIC, market::candles),
    get("/futures/funding-settlements", PUBLIC, market::settlements),
    get("/futures/leaderboard", PUBLIC, market::leaderboard),
    get("/synthetic-usd/best-price", PUBLIC, market::best_price),
    get("/synthetic-usd/swaps", DOLLARS, wallet::nothing),
    post("/synthetic-usd/swap", SWAP, wallet::no_swap),
];

static ACCOUNT_ROUTES: [Route; 12] = [
    get("/account", ACCOUNT, market::account),
    get("/account/address/bitcoin", DEPOSITS, wallet::address),
    post("/account/address/bitcoin", DEPOSIT, wallet::new_address),
    post("/account/deposit/lightning", DEPOSIT, wallet::invoice),
    post("/account/withdraw/lightning", WITHDRAW, wallet::no_invoice),
    post("/account/withdraw/on-chain", WITHDRAW, wallet::no_address),
    get("/account/deposits/lightning", DEPOSITS, wallet::nothing),
    get("/account/deposits/on-chain", DEPOSITS, wallet::nothing),
    get(
        "/account/withdrawals/lightning",
        WITHDRAWALS,
        wallet::nothing,
    ),
    get(
        "/account/withdrawals/on-chain",
        WITHDRAWALS,
        wallet::nothing,
    ),
    get("/account/notifications", NOTICES, wallet::nothing),
    put("/account/notifications", MARK_NOTICES, |_| Ok(json!({}))),
];

static ISOLATED: [Route; 15] = [
    post("/futures/isolated/trade", WRITE, isolated::place),
    get("/futures/isolated/trades/open", READ, isolated::open),
    get("/futures/isolated/trades/running", READ, isolated::running),
    get("/futures/isolated/trades/closed", READ, isolated::closed),
    get(
        "/futures/isolated/trades/canceled",
        READ,
        isolated::canceled,
    ),
    post("/futures/isolated/trade/close", WRITE, isolated::close),
    post("/futures/isolated/trade/cancel", WRITE, isolated::cancel),
    post(
        "/futures/isolated/trades/cancel-all",
        WRITE,
        isolated::cancel_all,
    ),
    post(
        "/futures/isolated/trade/add-margin",
        WRITE,
        isolated::add_margin,
    ),
    post("/futures/isolated/trade/cash-in", WRITE, isolated::cash_in),
    put(
        "/futures/isolated/trade/stoploss",
        WRITE,
        isolated::set_stoploss,
    ),
    delete(
        "/futures/isolated/trade/stoploss",
        WRITE,
        isolated::remove_stoploss,
    ),
    put(
        "/futures/isolated/trade/takeprofit",
        WRITE,
        isolated::set_takeprofit,
    ),
    delete(
        "/futures/isolated/trade/takeprofit",
        WRITE,
        isolated::remove_takeprofit,
    ),
    get(
        "/futures/isolated/funding-fees",
        READ,
        isolated::funding_fees,
    ),
];

static CROSS: [Route; 12] = [
    get("/futures/cross/position", CROSS_READ, cross::position),
    get("/futures/cross/orders/open", CROSS_READ, cross::open),
    get("/futures/cross/orders/filled", CROSS_READ, cross::filled),
    post("/futures/cross/order", CROSS_WRITE, cross::place),
    post("/futures/cross/order/cancel", CROSS_WRITE, cross::cancel),
    post(
        "/futures/cross/orders/cancel-all",
        CROSS_WRITE,
        cross::cancel_all,
    ),
    post("/futures/cross/position/close", CROSS_WRITE, cross::close),
    post("/futures/cross/deposit", CROSS_WRITE, cross::deposit),
    post("/futures/cross/withdraw", CROSS_WRITE, cross::withdraw),
    put("/futures/cross/leverage", CROSS_WRITE, cross::leverage),
    get("/futures/cross/transfers", CROSS_READ, cross::transfers),
    get(
        "/futures/cross/funding-fees",
        CROSS_READ,
        cross::funding_fees,
    ),
];

/// The route of a method and a full path, which begins with `/v3`.
pub(super) fn find(method: &Method, path: &str) -> Option<&'static Route> {
    let path = path.strip_prefix("/v3")?;
    let all = MARKET
        .iter()
        .chain(&ACCOUNT_ROUTES)
        .chain(&ISOLATED)
        .chain(&CROSS);
    all.into_iter()
        .find(|route| route.path == path && route.method == *method)
}
