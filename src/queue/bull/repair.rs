//! Options of jobs. The crate reads none of them where it cannot read one: the job would lose its
//! attempts and its backoff. Job schedulers store a backoff that is a bare number, and delays may
//! have fractions; such options are rewritten in a form that means the same.

use bullmq::JobOptions;
use serde_json::{Map, Number, Value, json};

/// Keys whose values are whole numbers to the crate.
const WHOLE: [&str; 7] = [
    "attempts",
    "delay",
    "priority",
    "prevMillis",
    "sizeLimit",
    "stackTraceLimit",
    "timestamp",
];
/// Keys that decide what happens to a job here; what else cannot be read is left out.
const NEEDED: [&str; 6] = [
    "attempts",
    "backoff",
    "delay",
    "priority",
    "removeOnComplete",
    "removeOnFail",
];

/// The options in a form that the crate can read; none where it can read them as they are.
pub(super) fn readable(options: &str) -> Option<String> {
    if serde_json::from_str::<JobOptions>(options).is_ok() {
        return None;
    }
    let Ok(Value::Object(mut options)) = serde_json::from_str(options) else {
        return Some("{}".to_owned());
    };
    for key in WHOLE {
        if let Some(value) = options.get_mut(key) {
            round(value);
        }
    }
    if let Some(backoff) = options.get_mut("backoff") {
        *backoff = match std::mem::take(backoff) {
            delay @ Value::Number(_) => json!({ "type": "fixed", "delay": whole(&delay) }),
            Value::String(name) => json!({ "type": name, "delay": 0 }),
            Value::Object(mut fields) => {
                round_all(&mut fields);
                Value::Object(fields)
            }
            other => other,
        };
    }
    for key in ["removeOnComplete", "removeOnFail"] {
        match options.get_mut(key) {
            Some(Value::Object(fields)) => round_all(fields),
            // -1 keeps all, which is what false says.
            Some(Value::Number(count)) if count.as_f64() < Some(0.0) => {
                options.insert(key.to_owned(), Value::Bool(false));
            }
            Some(value) => round(value),
            None => {}
        }
    }
    if reads(&options) {
        return Some(Value::Object(options).to_string());
    }
    // One that still cannot be read must not take the others with it.
    let mut read = Map::new();
    let (needed, rest): (Vec<_>, Vec<_>) = options
        .into_iter()
        .partition(|(key, _)| NEEDED.contains(&key.as_str()));
    for (key, value) in needed.into_iter().chain(rest) {
        let mut with = read.clone();
        with.insert(key, value);
        if reads(&with) {
            read = with;
        }
    }
    Some(Value::Object(read).to_string())
}

fn reads(options: &Map<String, Value>) -> bool {
    serde_json::from_value::<JobOptions>(Value::Object(options.clone())).is_ok()
}

fn round_all(fields: &mut Map<String, Value>) {
    for (key, value) in fields {
        // A share of the delay; the crate does not read it.
        if key != "jitter" {
            round(value);
        }
    }
}

fn round(value: &mut Value) {
    if value.is_number() {
        *value = Value::Number(whole(value));
    }
}

fn whole(value: &Value) -> Number {
    let number = value.as_f64().unwrap_or_default().round();
    // Saturates: what is negative is 0.
    Number::from(number.max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bullmq::types::BackoffStrategy;

    fn read(options: &str) -> JobOptions {
        let repaired = readable(options).expect(options);
        serde_json::from_str(&repaired).unwrap()
    }

    #[test]
    fn what_the_crate_can_read_stays() {
        for options in [
            "{}",
            r#"{"attempts":3,"backoff":{"type":"exponential","delay":2000},"removeOnFail":50}"#,
            r#"{"backoff":{"type":"fixed","delay":1,"jitter":0.5},"removeOnComplete":{"age":1}}"#,
            r#"{"kl":3,"somethingNew":[],"removeOnComplete":true,"repeat":{"every":500}}"#,
        ] {
            assert_eq!(readable(options), None, "{options}");
        }
    }

    #[test]
    fn every_form_that_a_producer_stores_is_read() {
        let options = read(r#"{"attempts":3,"backoff":3000,"removeOnComplete":100}"#);
        assert_eq!(options.attempts, Some(3));
        assert!(matches!(
            options.backoff,
            Some(BackoffStrategy::Fixed(3000))
        ));
        let options = read(r#"{"attempts":2,"backoff":{"type":"exponential","delay":99.6}}"#);
        assert!(matches!(
            options.backoff,
            Some(BackoffStrategy::Exponential(100))
        ));
        let options = read(r#"{"attempts":2,"backoff":"soon"}"#);
        assert!(matches!(options.backoff, Some(BackoffStrategy::Custom(name)) if name == "soon"));
        let options = read(r#"{"attempts":2,"delay":10.5,"removeOnFail":{"age":1.5,"count":2}}"#);
        assert_eq!((options.attempts, options.delay), (Some(2), Some(11)));
        let options = read(r#"{"attempts":4,"removeOnComplete":-1,"priority":-1}"#);
        assert_eq!((options.attempts, options.priority), (Some(4), Some(0)));
        let dated = r#"{"attempts":5,"repeat":{"pattern":"* * * * *","endDate":"2030-01-01"}}"#;
        assert_eq!(read(dated).attempts, Some(5));
        assert_eq!(read("not JSON").attempts, None);
    }
}
