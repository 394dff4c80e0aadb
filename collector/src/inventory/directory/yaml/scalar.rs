//! Tells what a plain scalar is, by the rules of YAML 1.1 as kubectl has them.

use serde_json::{Number, Value};

/// A scalar that is not quoted and has no tag.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        text => number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number),
    }
}

/// The value of a label or annotation, which is text whatever it looks like. kubectl takes no number or `off` there, but
/// what else could be meant?
pub(super) fn label(text: String) -> Value {
    match resolve(&text) {
        Value::Null => Value::String(String::new()),
        _ => Value::String(text),
    }
}

fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return None;
    }
    let plain = text.replace('_', "");
    integer(&plain).or_else(|| float(&plain))
}

fn integer(text: &str) -> Option<Number> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let prefix = digits.get(..2).map(str::to_ascii_lowercase);
    let (radix, digits) = match prefix.as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some(octal) if octal.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|first: char| first.is_digit(radix)) {
        return None;
    }
    let size = u64::from_str_radix(digits, radix).ok()?;
    match is_negative {
        false => Some(size.into()),
        true => 0_i64.checked_sub_unsigned(size).map(Number::from),
    }
}

fn float(text: &str) -> Option<Number> {
    let body = text.trim_start_matches(['+', '-']);
    let is_decimal = body
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let value: f64 = text.parse().ok().filter(|_| is_decimal)?;
    Number::from_f64(value)
}

/// A key of a map, which in JSON is text.
pub(super) fn key(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null => Err("a key of a map is empty".to_owned()),
        Value::Array(_) | Value::Object(_) => {
            Err("a key of a map is a list or a map; expected text".to_owned())
        }
    }
}
