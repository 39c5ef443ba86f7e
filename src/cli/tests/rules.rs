//! What a rule would do, and what is refused of one.

use super::*;

#[tokio::test]
async fn a_check_shows_what_a_rule_would_do_and_needs_no_store() {
    let mut shell = Shell::new();
    let check = |config| {
        [
            "automation",
            "check",
            "--type",
            "margin_guard",
            "--rule",
            config,
        ]
    };
    let said = shell.run(&check(GUARD)).await.ok();
    let expected = "\
margin_guard: add_margin 500 sats at margin_used >= 0.7, cooldown 60 s

For 1000 USD, opened at 100000:
POSITION   LIQUIDATION  ON      FIRES AT   MOVE      FROM LIQUIDATION
long 1x    50000        danger  58823.54   -41.18 %  15.00 %
long 10x   90909        danger  93457.98   -6.54 %   2.73 %
long 50x   98039        danger  98619.37   -1.38 %   0.59 %
short 1x   100000000    danger  333332.78  233.33 %  29900.05 %
short 10x  111111       danger  107526.83  7.53 %    3.33 %
short 50x  102041       danger  101419.83  1.42 %    0.61 %
";
    assert_eq!(said.out, expected);
    assert!(
        said.notes
            .contains("warning: long 50x, danger: it fires 0.59 % from"),
        "{}",
        said.notes
    );
    let late = r#"{"action": "close_position", "margin_threshold": 0.5}"#;
    let said = shell.run(&check(late)).await.ok();
    assert_eq!(said.notes.lines().count(), 6, "{}", said.notes);

    let with_json = |config| [check(config).as_slice(), &["--json", "--price", "50000"]].concat();
    let report = shell.run(&with_json(GUARD)).await.json();
    assert_eq!(report["config"]["margin_threshold"], json!(0.7));
    assert_eq!(report["examples"][1]["leverage"], json!(10));
    assert_eq!(report["examples"][0]["liquidation"], json!(25000));
    let wrong = r#"{"action": "dance", "colour": 1}"#;
    let said = shell.run(&with_json(wrong)).await;
    let told: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(told["errors"].as_array().unwrap().len(), 3);
    let fields = [
        "\n  action: ",
        "\n  margin_threshold: missing",
        "\n  colour: ",
    ];
    said.refused(&fields);
    shell.run(&check("{")).await.refused(&["--rule is no JSON"]);
    assert!(!shell.settings.data_dir.exists());
}

#[tokio::test]
async fn a_rule_is_shown_for_the_accounts_own_positions() {
    let (mut shell, _) = Shell::with_automation().await;
    let _exchange = exchange(&mut shell).await;
    let check = of_main("check", "margin_guard", GUARD);
    let report = shell
        .run(&[check.as_slice(), &["--json"]].concat())
        .await
        .json();
    let own = &report["account"];
    assert_eq!(
        (&own["name"], &own["price"]),
        (&json!("main"), &json!(100_000))
    );
    let trade = &own["positions"][0];
    assert_eq!(trade["marginMode"], "isolated");
    assert_eq!(trade["liquidation"], json!(90_909));
    assert_eq!(trade["firesAt"], json!(93_457.98));
    let cross = &own["positions"][1];
    assert_eq!(
        (&cross["marginMode"], &cross["side"]),
        (&json!("cross"), &json!("buy"))
    );
    assert!(cross["firesAt"].as_f64().unwrap() < 60_000.0, "{cross}");
    let said = shell.run(&check).await.ok();
    assert!(
        said.out.contains("For account main, at 100000:"),
        "{}",
        said.out
    );
    assert!(said.out.contains("long 10.0x "), "{}", said.out);
    assert!(said.out.contains("long 1.0x cross "), "{}", said.out);

    let entry = r#"{"side": "b", "quantity": 1000, "trigger_price": 100000}"#;
    let add = of_main("add", "auto_entry", entry);
    let said = shell
        .run(&[add.as_slice(), &["--disabled"]].concat())
        .await
        .ok();
    assert!(said.notes.contains("it enters at once"), "{}", said.notes);
}

#[tokio::test]
async fn why_the_accounts_positions_were_not_read_is_said() {
    let (mut shell, _) = Shell::with_automation().await;
    let add = of_main("add", "margin_guard", GUARD);
    let said = shell.run(&add).await.ok();
    let note = "note: the positions of account main were not read: ";
    assert!(said.notes.contains(note), "{}", said.notes);
    let said = shell
        .run(&[add.as_slice(), &["--offline"]].concat())
        .await
        .ok();
    assert!(!said.notes.contains(note), "{}", said.notes);
    let report = shell
        .run(&[add.as_slice(), &["--json"]].concat())
        .await
        .json();
    assert!(report["account"]["error"].is_string(), "{report}");
}

/// What cannot be obeyed is refused by both, with the same errors.
#[tokio::test]
async fn what_check_refuses_add_refuses_too() {
    let (mut shell, _) = Shell::with_automation().await;
    for (kind, rule) in [
        (
            "margin_guard",
            r#"{"action": "reduce_position", "margin_threshold": 0.5}"#,
        ),
        (
            "tp_sl",
            r#"{"action": "update_sl", "new_takeprofit": 5, "trigger_pnl_percentage": 1}"#,
        ),
        (
            "auto_entry",
            r#"{"side": "b", "quantity": 5, "margin_mode": "cross", "stoploss": 9}"#,
        ),
    ] {
        let rule = ["--type", kind, "--rule", rule, "--json"];
        let check = [["automation", "check"].as_slice(), &rule].concat();
        let add = [["automation", "add", "--account", "main"].as_slice(), &rule].concat();
        let (checked, added) = (shell.run(&check).await, shell.run(&add).await);
        let told: Value = serde_json::from_str(&checked.out).unwrap();
        let errors = told["errors"].as_array().unwrap();
        assert!(!errors.is_empty());
        for error in errors {
            assert!(
                error["field"].is_string() && error["allowed"].is_string(),
                "{error}"
            );
            assert!(error.get("value").is_some(), "{error}");
        }
        assert_eq!(checked.out, added.out);
        assert_eq!(checked.error, added.error);
    }
}

/// What `docs/automations.md` says of each type: its example can be obeyed, its table names every
/// field there is, and no other.
#[test]
fn the_documentation_names_every_field_of_every_automation() {
    use std::collections::BTreeSet;

    use crate::domain::rules::Rule;

    let page = include_str!("../../../docs/automations.md");
    for kind in RuleKind::ALL {
        let heading = format!("\n## {kind}\n");
        let section = page.split(&heading).nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let example = section.split("```json").nth(1).unwrap();
        let example = example.split("```").next().unwrap();
        let config = serde_json::from_str(example).unwrap();
        assert!(Rule::parse(kind, &config).is_ok(), "{kind}: {config}");

        let errors = Rule::parse(kind, &json!({"?": 1})).unwrap_err();
        let unknown = errors.iter().find(|error| error.field == "?").unwrap();
        let known = unknown.allowed.split("known are ").nth(1).unwrap();
        let known: BTreeSet<_> = known.split(", ").collect();
        let table = section.split("| field |").nth(1).unwrap();
        let table = table.split("\n\n").next().unwrap();
        let cells = table
            .lines()
            .skip(2)
            .map(|row| row.split('|').nth(1).unwrap());
        let told: BTreeSet<_> = cells
            .flat_map(|cell| cell.split(", "))
            .map(|name| name.trim().trim_matches('`'))
            .collect();
        assert_eq!(told, known, "{kind}");
    }
}
