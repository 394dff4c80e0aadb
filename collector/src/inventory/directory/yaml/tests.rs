use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

#[track_caller]
fn check(text: &str, expect: &[(u64, Value)]) {
    let found: Vec<_> = documents(text)
        .into_iter()
        .map(|found| found.unwrap())
        .map(|document| (document.line, document.value))
        .collect();
    assert_eq!(found, expect, "{text:?}");
}

#[test]
fn documents_know_their_lines() {
    check("", &[]);
    check("# nothing\n---\n---\n", &[]);
    check(
        "a: 1\n---\nb: x\n",
        &[(1, json!({"a": 1})), (3, json!({"b": "x"}))],
    );
    check("---\n# c\n\na: [1, 2]\n", &[(4, json!({"a": [1, 2]}))]);
    check(
        "--- # c\r\na: 1\r\n---\r\nb: 2\r\n",
        &[(2, json!({"a": 1})), (4, json!({"b": 2}))],
    );
    check(
        "--- {a: 1}\n--- b\n",
        &[(1, json!({"a": 1})), (2, json!("b"))],
    );
    check("%YAML 1.1\n---\na: 1\n...\n", &[(3, json!({"a": 1}))]);
    check(
        "a: |\n  x\n  ---\nb: ---\n",
        &[(1, json!({"a": "x\n---\n", "b": "---"}))],
    );
    check("\u{feff}a: 1\n", &[(1, json!({"a": 1}))]);
}

#[test]
fn json_values_follow_each_other_in_any_way() {
    let (a, b) = (json!({"a": {"b": null}}), json!({"a": [1]}));
    check(&a.to_string(), &[(1, a.clone())]);
    check(&format!("{a}{b}"), &[(1, a.clone()), (1, b.clone())]);
    check(&format!("{a}\n\n{b}\n"), &[(1, a.clone()), (3, b.clone())]);
    check(
        &format!("{a:#}\n{b:#}\n"),
        &[(1, a.clone()), (6, b.clone())],
    );
    check(
        &format!("{a}\n---\nc: 1\n"),
        &[(1, a), (3, json!({"c": 1}))],
    );
    check("{\"a\": 1, \"a\": 2}", &[(1, json!({"a": 2}))]);
    check(
        "{a: b,\n{c: d}: e,\n\"f\": g}"
            .replace("{c: d}", "c")
            .as_str(),
        &[(1, json!({"a": "b", "c": "e", "f": "g"}))],
    );
    let deep = format!("{}1{}", "{\"a\":".repeat(900), "}".repeat(900));
    for found in documents(&format!("{deep}{b}")) {
        found.unwrap();
    }
}

#[test]
fn what_kubectl_takes_is_taken() {
    check(
        "a:\n  b: \"one\n  two\"\n  c: 'x\n\n  y'\n",
        &[(1, json!({"a": {"b": "one two", "c": "x\ny"}}))],
    );
    check("a: 1\na: 2\n", &[(1, json!({"a": 2}))]);
    check(
        "a: &x {b: 1}\nc: *x\n",
        &[(1, json!({"a": {"b": 1}, "c": {"b": 1}}))],
    );
    check(
        "a: &x {b: 1, c: 1}\nd:\n  <<: *x\n  b: 2\n",
        &[(1, json!({"a": {"b": 1, "c": 1}, "d": {"b": 2, "c": 1}}))],
    );
    check(
        "- <<: [{a: 1}, {a: 2, b: 2}]\n",
        &[(1, json!([{"a": 1, "b": 2}]))],
    );
    check("80: x\non: z\n", &[(1, json!({"80": "x", "true": "z"}))]);
    check(
        "a: ! x\nb: !!str 1\nc: !odd 1\nd: !!int \"2\"\n",
        &[(1, json!({"a": "x", "b": "1", "c": "1", "d": 2}))],
    );
}

#[test]
fn labels_are_text() {
    check(
        "labels: {mode: off, m: 1, e: , off: x}\nannotations: {y: yes}\nother: {mode: off}\n",
        &[(
            1,
            json!({
                "labels": {"mode": "off", "m": "1", "e": "", "false": "x"},
                "annotations": {"true": "yes"},
                "other": {"mode": false},
            }),
        )],
    );
}

#[test]
fn plain_scalars_are_what_kubectl_says() {
    let check = |text: &str, expect: Value| assert_eq!(scalar::resolve(text), expect, "{text}");
    for text in ["", "~", "null"] {
        check(text, Value::Null);
    }
    for text in ["true", "yes", "On", "y"] {
        check(text, json!(true));
    }
    for text in ["False", "no", "OFF", "n"] {
        check(text, json!(false));
    }
    for (text, number) in [
        ("0", 0),
        ("80", 80),
        ("-1", -1),
        ("+7", 7),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 15),
        ("0b11", 3),
    ] {
        check(text, json!(number));
    }
    check("18446744073709551615", json!(u64::MAX));
    check("-9223372036854775808", json!(i64::MIN));
    for (text, number) in [
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("08", 8.0),
        ("-1.", -1.0),
    ] {
        check(text, json!(number));
    }
    for text in [
        "1.2.3",
        "10.0.0.1",
        "-",
        "+",
        "1s",
        "0x",
        "0xg",
        "--1",
        "inf",
        "+inf",
        "nan",
        "2026-01-02T03:04:05Z",
        "<<",
        "é",
    ] {
        check(text, json!(text));
    }
}

#[test]
fn an_error_knows_its_document_and_line() {
    #[track_caller]
    fn check(text: &str, expect: &str) {
        let errors: Vec<_> = documents(text)
            .into_iter()
            .filter_map(Result::err)
            .collect();
        let [error] = &errors[..] else {
            panic!("{text}: {errors:?}")
        };
        let found = format!("{}/{}: {}", error.document, error.line, error.reason);
        assert_eq!(found, expect, "{text}");
    }
    check(
        "a: [",
        "1/2: column 1: a value that is missing, or a brace or bracket that is not closed",
    );
    check(
        "a: 1\n---\nb: *nowhere\n",
        "2/3: an alias of what has no anchor before it",
    );
    check(
        "a: 1\n---\nb: 1\n c: 1\n",
        "2/4: column 3: a colon where no key can be; text with a colon and a space in it needs quotes",
    );
    check(
        "a: 1\n---\nb: \"x\n",
        "2/4: column 1: a quote that is never closed",
    );
    check(
        "a: @x\n",
        "1/1: column 4: a character that no value can start with, as a tab, @ or `; it needs quotes",
    );
    check(
        "a: {{ .Values.a }}\n",
        "1/1: expected a manifest, got a Helm template; write what `helm template` renders",
    );
    check(
        "{{- if .Values.a }}\na: 1\n{{- end }}\n",
        "1/1: expected a manifest, got a Helm template; write what `helm template` renders",
    );
    check(
        "? [a]\n: b\n",
        "1/1: a key of a map is a list or a map; expected text",
    );
}

#[test]
fn a_broken_document_does_not_cost_its_neighbours() {
    #[track_caller]
    fn check(text: &str, expect: &[Result<Value, u64>]) {
        let found: Vec<_> = documents(text)
            .into_iter()
            .map(|found| {
                found
                    .map(|document| document.value)
                    .map_err(|error| error.line)
            })
            .collect();
        assert_eq!(found, expect, "{text}");
    }
    let (one, two) = (json!({"a": 1}), json!({"b": 2}));
    check(
        "a: 1\n---\nx: [\n---\nb: 2\n",
        &[Ok(one.clone()), Err(4), Ok(two.clone())],
    );
    check(
        "a: 1\n---\n{{ x }}\n---\nb: 2\n",
        &[Ok(one.clone()), Err(3), Ok(two.clone())],
    );
    check(
        "{\"a\": 1}\n{\"x\": \n{\"b\": 2}\n",
        &[Ok(one.clone()), Err(3), Ok(two.clone())],
    );
    check("{\"a\": 1}\n}\n---\nb: 2\n", &[Ok(one), Err(2), Ok(two)]);
}

#[test]
fn bombs_are_refused_at_once() {
    let laughs = (1..20).fold("a0: &a0 [x, x]\n".to_owned(), |text, level| {
        let inner = format!("*a{}, ", level - 1).repeat(10);
        text + &format!("a{level}: &a{level} [{inner}]\n")
    });
    let merges = (1..40).fold("a0: &a0 {x: y}\n".to_owned(), |text, level| {
        let inner = format!("*a{}, ", level - 1).repeat(10);
        text + &format!(
            "a{level}: &a{level} {{<<: [{inner}], k{level}: *a{}}}\n",
            level - 1
        )
    });
    let nested = (1..9_000).fold("a0: &a0 [x]\n".to_owned(), |text, level| {
        text + &format!("a{level}: &a{level} [*a{}]\n", level - 1)
    });
    let cases = [
        (laughs, false),
        (merges, false),
        (nested, false),
        ("[".repeat(100_000), false),
        ("{a: ".repeat(100_000), false),
        ("- ".repeat(100_000), false),
        ("{\"a\":".repeat(100_000), false),
        (
            format!("a: &a {}\nb: [{}]", "x".repeat(1 << 20), "*a, ".repeat(999)),
            false,
        ),
        (
            format!(
                "a: &a [{}]\nb: [{}]",
                "x, ".repeat(1_000),
                "*a, ".repeat(999)
            ),
            false,
        ),
        (
            format!(
                "{}{}{}",
                "[".repeat(990),
                "[],".repeat(1_000_000),
                "]".repeat(990)
            ),
            false,
        ),
    ];
    for (text, is_good) in cases {
        let start = Instant::now();
        let found = documents(&text);
        assert_eq!(found.iter().all(Result::is_ok), is_good, "{text:.60}");
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{text:.60}: {:?}",
            start.elapsed()
        );
    }
}
