//! The control interface over HTTP, under `/_control/`.

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Control, World};
use crate::simulator::config::AccountConfig;
use crate::simulator::faults::Injection;
use crate::simulator::rest::{ApiError, Request, parse};
use crate::simulator::wire::to_json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceBody {
    price: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum TapeAction {
    Start,
    Pause,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TapeBody {
    action: TapeAction,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DropBody {
    key: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FundingBody {
    rate: f64,
    fixing: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RateBody {
    rate: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PayBody {
    key: String,
    sats: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnnouncementBody {
    id: String,
    title: Option<String>,
    #[serde(default)]
    message: String,
    link: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RestartBody {
    down_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyBody {
    key: String,
}

/// Answers a control request. Nothing here is rate limited or signed: it listens where the
/// exchange listens, on loopback unless configured otherwise.
pub(in crate::simulator) fn answer(
    world: &std::sync::Arc<World>,
    request: &Request,
) -> Result<Value, ApiError> {
    let control = Control::new(std::sync::Arc::clone(world));
    let path = request
        .uri
        .path()
        .strip_prefix("/_control/")
        .unwrap_or_default();
    let body = request.body.as_ref();
    let done = json!({ "ok": true });
    match (&request.method, path) {
        (&Method::GET, "state") => Ok(state(&control)),
        (&Method::GET, "ledger") => Ok(to_json(&control.ledger())),
        (&Method::GET, path) if path.starts_with("account/") => {
            let key = path.trim_start_matches("account/");
            let account = control
                .account(key)
                .ok_or_else(|| ApiError::bad("key", "no such account"))?;
            Ok(to_json(&account))
        }
        (&Method::POST, "price") => {
            let price = parse::<PriceBody>(body)?.price;
            control
                .set_price(price)
                .map_err(|problem| ApiError::bad("price", problem.to_string()))?;
            Ok(done)
        }
        (&Method::POST, "tape") => {
            match parse::<TapeBody>(body)?.action {
                TapeAction::Start => control.start_tape(),
                TapeAction::Pause => control.pause_tape(),
            }
            Ok(done)
        }
        (&Method::POST, "fault") => {
            let injection: Injection = parse(body)?;
            control
                .inject(injection)
                .map_err(|problem| ApiError::bad("fault", problem.to_string()))?;
            Ok(done)
        }
        (&Method::DELETE, "faults") => {
            control.clear_faults();
            Ok(done)
        }
        (&Method::POST, "drop-sockets") => {
            let filter = if body.is_empty() {
                DropBody::default()
            } else {
                parse(body)?
            };
            Ok(json!({ "dropped": control.drop_sockets(filter.key.as_deref()) }))
        }
        (&Method::POST, "restart") => {
            let down = parse::<RestartBody>(body)?.down_ms;
            control.restart(std::time::Duration::from_millis(down));
            Ok(done)
        }
        (&Method::POST, "funding") => {
            let FundingBody { rate, fixing } = parse(body)?;
            control
                .settle_funding(rate, fixing)
                .map_err(|problem| ApiError::bad("fixing", problem.to_string()))?;
            Ok(done)
        }
        (&Method::POST, "funding-rate") => {
            control.set_funding_rate(parse::<RateBody>(body)?.rate);
            Ok(done)
        }
        (&Method::POST, "pay") => {
            let PayBody { key, sats } = parse(body)?;
            let paid = match sats {
                0.. => control.pay_in(&key, sats),
                _ => control.pay_out(&key, sats.saturating_abs()),
            };
            Ok(json!({ "paid": paid }))
        }
        (&Method::POST, "announcement") => {
            let said: AnnouncementBody = parse(body)?;
            match &said.title {
                Some(title) => {
                    control.announce(&said.id, title, &said.message, said.link.as_deref());
                }
                None => control.withdraw_announcement(&said.id),
            }
            Ok(done)
        }
        (&Method::POST, "account") => {
            let account: AccountConfig = parse(body)?;
            for (field, sats) in [
                ("balance_sats", account.balance_sats),
                ("cross_margin_sats", account.cross_margin_sats),
            ] {
                if sats < 0 {
                    return Err(ApiError::bad(field, "must be 0 or more"));
                }
            }
            control.add_account(account);
            Ok(done)
        }
        (&Method::POST, "revoke") => {
            let key = parse::<KeyBody>(body)?.key;
            Ok(json!({ "revoked": control.revoke_key(&key) }))
        }
        _ => Err(ApiError::unknown_route()),
    }
}

fn state(control: &Control) -> Value {
    let requests = control.requests();
    json!({
        "price": control.price(),
        "ticks": control.ticks(),
        "tape": {
            "running": *control.world.tape_running.borrow(),
            "finished": *control.world.tape_finished.borrow(),
        },
        "sockets": control.sockets(),
        "violations": control.violations(),
        "requests": requests.by_route,
        "statuses": requests.by_status.iter()
            .map(|(status, number)| (status.to_string(), json!(number)))
            .collect::<serde_json::Map<_, _>>(),
        "faults": control.faults(),
        "ledger_entries": control.ledger_len(),
    })
}
