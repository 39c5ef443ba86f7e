//! What a job asks for.

use serde_json::{Map, Value};

use crate::domain::ids::{AutomationId, PositionId, UserId};

/// More data than this is no request: it fails the job.
pub const MOST_BYTES: usize = 64 * 1024;
/// Longer ids and names are no ids and names.
const LONGEST_TEXT: usize = 128;

/// What a job asks for: `{ userId, automationId, action?, tradeId? }`. More keys may follow.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload {
    /// Who asks; the automation must be theirs.
    pub user: UserId,
    /// What is to run.
    pub automation: AutomationId,
    /// The action that the producer expects.
    pub action: Option<String>,
    /// The one position that it is about.
    pub position: Option<PositionId>,
    /// All other keys: they inform, the stored automation decides.
    pub more: Map<String, Value>,
}

/// Why data is no request; all that is wrong with it. Trying again cannot help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the job's data cannot be used: {0}")]
pub struct PayloadError(String);

impl Payload {
    /// Reads a job's data.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(data: &str) -> Result<Self, PayloadError> {
        if data.len() > MOST_BYTES {
            let size = data.len();
            let what = format!("it has {size} bytes, {MOST_BYTES} at most are read");
            return Err(PayloadError(what));
        }
        let value: Value = serde_json::from_str(data)
            .map_err(|error| PayloadError(format!("it is no JSON: {error}")))?;
        let Value::Object(fields) = value else {
            let what = "it is no object; it must be { userId, automationId, action?, tradeId? }";
            return Err(PayloadError(what.to_owned()));
        };
        let mut fields = Fields {
            fields,
            wrong: vec![],
        };
        let user = fields.required("userId");
        let automation = fields.required("automationId");
        let action = fields.optional("action");
        let trade = fields.optional("tradeId");
        let position = trade.map(|trade| trade.parse::<PositionId>());
        if let Some(Err(_)) = position {
            fields.wrong.push("tradeId: is no id of a trade".to_owned());
        }
        if !fields.wrong.is_empty() {
            return Err(PayloadError(fields.wrong.join("; ")));
        }
        Ok(Self {
            user: UserId::new(user),
            automation: AutomationId::new(automation),
            action,
            position: position.and_then(Result::ok),
            more: fields.fields,
        })
    }
}

struct Fields {
    fields: Map<String, Value>,
    wrong: Vec<String>,
}

impl Fields {
    fn required(&mut self, key: &str) -> String {
        let before = self.wrong.len();
        let found = self.optional(key);
        if found.is_none() && self.wrong.len() == before {
            self.wrong.push(format!("{key}: is missing"));
        }
        found.unwrap_or_default()
    }

    fn optional(&mut self, key: &str) -> Option<String> {
        let problem = match self.fields.remove(key) {
            None | Some(Value::Null) => return None,
            Some(Value::String(text)) => match text.chars().count() {
                0 => "is empty".to_owned(),
                1..=LONGEST_TEXT if !text.chars().any(char::is_control) => return Some(text),
                _ => format!("is no text of up to {LONGEST_TEXT} printable characters"),
            },
            Some(_) => "is no text".to_owned(),
        };
        self.wrong.push(format!("{key}: {problem}"));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_node_scheduler_sends_is_read_and_the_rest_is_kept() {
        let data = r#"{"userId":"u1","automationId":"a1","action":"close_position",
            "tradeId":"0a1b2c3d-0000-4000-8000-00000000000f","accountId":"acc","accountName":null,
            "automationType":"margin_guard","config":{"action":"close_position"},"scheduledAt":1}"#;
        let payload = Payload::parse(data).unwrap();
        assert_eq!(payload.user.as_str(), "u1");
        assert_eq!(payload.automation.as_str(), "a1");
        assert_eq!(payload.action.as_deref(), Some("close_position"));
        let position = payload.position.unwrap().to_string();
        assert_eq!(position, "0a1b2c3d-0000-4000-8000-00000000000f");
        assert_eq!(payload.more.len(), 5);
        let least = Payload::parse(r#"{"userId":"u1","automationId":"a1","tradeId":null}"#);
        assert_eq!(least.unwrap().position, None);
    }

    #[test]
    fn everything_that_is_wrong_is_told() {
        for (data, told) in [
            ("{", "it is no JSON: EOF"),
            ("null", "it is no object"),
            ("[1]", "it is no object"),
            ("{}", "userId: is missing; automationId: is missing"),
            (
                r#"{"userId":1,"automationId":"","action":[],"tradeId":"x"}"#,
                "userId: is no text; automationId: is empty; action: is no text; \
                 tradeId: is no id of a trade",
            ),
            (
                r#"{"userId":"a\u0007","automationId":"b"}"#,
                "userId: is no text of",
            ),
        ] {
            let error = Payload::parse(data).unwrap_err().to_string();
            assert!(error.contains(told), "{data}: {error}");
        }
        let padding = "x".repeat(1024 * 1024);
        let large = format!(r#"{{"userId":"u","automationId":"a","x":"{padding}"}}"#);
        let error = Payload::parse(&large).unwrap_err().to_string();
        assert!(error.contains("bytes, 65536 at most"), "{error}");
    }
}
