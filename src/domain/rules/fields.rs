//! Reads a configuration field by field and collects what is wrong instead of stopping at it.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

/// What is wrong with one field of a configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldError {
    /// The field's name.
    pub field: String,
    /// The value found; null where it is missing.
    pub value: Value,
    /// What is allowed instead.
    pub allowed: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Null => write!(f, "{}: missing; {}", self.field, self.allowed),
            value => write!(
                f,
                "{}: {value} is not possible; {}",
                self.field, self.allowed
            ),
        }
    }
}

impl std::error::Error for FieldError {}

/// The fields of one configuration, with the errors found so far.
pub(super) struct Fields<'a> {
    map: Option<&'a Map<String, Value>>,
    known: BTreeSet<&'static str>,
    errors: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(config: &'a Value) -> Self {
        let mut fields = Self {
            map: config.as_object(),
            known: BTreeSet::new(),
            errors: vec![],
        };
        if fields.map.is_none() {
            fields.refuse("config", config.clone(), "it must be a JSON object");
        }
        fields
    }

    /// The field's value; JSON null counts as absent.
    pub(super) fn get(&mut self, field: &'static str) -> Option<&'a Value> {
        self.known.insert(field);
        self.map?.get(field).filter(|value| !value.is_null())
    }

    pub(super) fn refuse(&mut self, field: &str, value: Value, allowed: impl Into<String>) {
        self.errors.push(FieldError {
            field: field.into(),
            value,
            allowed: allowed.into(),
        });
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        field: &'static str,
        choices: &[(&str, T)],
        default: Option<T>,
    ) -> Option<T> {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let allowed = format!("one of {}", names.join(", "));
        let Some(value) = self.get(field) else {
            if default.is_none() {
                self.refuse(field, Value::Null, allowed);
            }
            return default;
        };
        let found = choices
            .iter()
            .find(|(name, _)| value.as_str() == Some(name));
        if found.is_none() {
            self.refuse(field, value.clone(), allowed);
        }
        found.map(|(_, choice)| *choice)
    }

    /// A number that a test accepts.
    pub(super) fn number(
        &mut self,
        field: &'static str,
        allowed: &str,
        accepts: impl Fn(f64) -> bool,
    ) -> Option<f64> {
        let value = self.get(field)?;
        let number = value
            .as_f64()
            .filter(|number| number.is_finite() && accepts(*number));
        if number.is_none() {
            self.refuse(field, value.clone(), allowed);
        }
        number
    }

    /// A whole number within a range.
    pub(super) fn whole(
        &mut self,
        field: &'static str,
        range: std::ops::RangeInclusive<i64>,
        unit: &str,
    ) -> Option<i64> {
        let value = self.get(field)?;
        let number = value.as_i64().filter(|number| range.contains(number));
        if number.is_none() {
            let allowed = format!(
                "a whole number of {unit} from {} to {}",
                range.start(),
                range.end()
            );
            self.refuse(field, value.clone(), allowed);
        }
        number
    }

    /// True or false.
    pub(super) fn flag(&mut self, field: &'static str) -> Option<bool> {
        let value = self.get(field)?;
        if !value.is_boolean() {
            self.refuse(field, value.clone(), "true or false");
        }
        value.as_bool()
    }

    /// Refuses a field that has no meaning here.
    pub(super) fn only_with(&mut self, field: &'static str, what: &str) {
        if let Some(value) = self.get(field).cloned() {
            self.refuse(field, value, format!("only with {what}; leave it out"));
        }
    }

    pub(super) fn require<T>(
        &mut self,
        field: &'static str,
        value: Option<T>,
        allowed: &str,
    ) -> Option<T> {
        let refused = self.errors.iter().any(|error| error.field == field);
        if value.is_none() && !refused {
            self.refuse(field, Value::Null, allowed);
        }
        value
    }

    /// Ends the reading: unknown fields are errors too.
    pub(super) fn finish<T>(mut self, rule: Option<T>) -> Result<T, Vec<FieldError>> {
        let known: Vec<_> = self.known.iter().copied().collect();
        for (field, value) in self.map.into_iter().flatten() {
            if !self.known.contains(field.as_str()) {
                let allowed = format!("unknown field; known are {}", known.join(", "));
                self.errors.push(FieldError {
                    field: field.clone(),
                    value: value.clone(),
                    allowed,
                });
            }
        }
        match rule {
            Some(rule) if self.errors.is_empty() => Ok(rule),
            _ => Err(self.errors),
        }
    }
}
