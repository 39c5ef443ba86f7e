//! Who is let in at the service's own HTTP.

use vigia::admin::Access;

use crate::desk::Desk;
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_open_and_everything_else_needs_the_token() {
    let stage = Stage::set().await;
    let watchman = stage.start();
    watchman.until("admin.listening").await;
    let access = Access::read(stage.data_dir()).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = |path: &str, token: Option<&str>| {
        let request = client.get(format!("http://{}{path}", access.address));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    };
    for open in ["/healthz", "/readyz"] {
        assert_eq!(
            ask(open, None).send().await.unwrap().status(),
            200,
            "{open}"
        );
    }
    use secrecy::ExposeSecret;
    let token = access.token.expose_secret();
    for (given, status) in [(None, 401), (Some("x"), 401), (Some(token), 200)] {
        let answer = ask("/v1/status", given).send().await.unwrap();
        assert_eq!(answer.status(), status, "{given:?}");
    }
    watchman.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_viewers_token_looks_and_the_operators_acts_and_neither_is_ever_told() {
    const OPERATORS: &str = "operators-0123456789-abcdef";
    const VIEWERS: &str = "viewers-0123456789-abcdef-xyz";
    let stage = Stage::set().await;
    let files = [("operator", OPERATORS), ("viewer", VIEWERS)];
    let [operators, viewers] = files.map(|(name, token)| {
        let path = stage.credentials_file(name, [token, "", ""]);
        format!("{name}_token_file = \"{path}\"\n")
    });
    let mut config = std::fs::read_to_string(stage.config_file()).unwrap();
    config += &format!("[admin]\n{operators}{viewers}");
    std::fs::write(stage.config_file(), config).unwrap();
    let watchman = stage.start();
    let desk = Desk::of(&stage, &watchman).await;
    let viewer = desk.bearing(VIEWERS);
    for path in [
        "/v1/status",
        "/v1/accounts",
        "/v1/automations",
        "/v1/kill-switches",
    ] {
        viewer.get(path).await.ok();
        desk.bearing(OPERATORS).get(path).await.ok();
        let wrong = [&VIEWERS[1..], "", "operators"];
        for wrong in wrong {
            desk.bearing(wrong)
                .get(path)
                .await
                .refused(401, &["bearer token"]);
        }
    }
    let on = async |desk: &Desk| {
        desk.put("/v1/kill-switches/service", serde_json::json!({}))
            .await
    };
    on(&viewer).await.refused(403, &["looks and does not act"]);
    let listed = viewer.get("/v1/kill-switches").await.ok();
    assert_eq!(listed["killSwitches"], serde_json::json!([]));
    on(&desk.bearing(OPERATORS)).await.ok();
    let told = watchman.told();
    assert!(
        !told.contains(OPERATORS) && !told.contains(VIEWERS),
        "{told}"
    );
    watchman.stop().await;
}

/// The page is held against the routes: each that it names is there, and closed as it says; each that
/// the code has is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_on_http_names_every_route_and_who_may_use_it() {
    let stage = Stage::set().await;
    let path = stage.credentials_file("viewer", ["viewers-0123456789-abcdef-xyz", "", ""]);
    let mut config = std::fs::read_to_string(stage.config_file()).unwrap();
    config += &format!("[admin]\nviewer_token_file = \"{path}\"\n");
    std::fs::write(stage.config_file(), config).unwrap();
    let watchman = stage.start();
    let operator = Desk::of(&stage, &watchman).await;
    let (viewer, nobody) = (
        operator.bearing("viewers-0123456789-abcdef-xyz"),
        operator.bearing(""),
    );
    let page = include_str!("../../docs/http.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter_map(|row| {
        let (route, rest) = row.split_once("` | ")?;
        let (method, path) = route.split_once(' ')?;
        Some((method, path, rest.split(' ').next()?))
    });
    let rows: Vec<_> = rows.collect();
    for (method, path, who) in &rows {
        let at = path
            .replace("{account}", "nobody")
            .replace("{automation}", "nobody");
        // Wrong in each route, so that nothing is done.
        let body = (*method != "GET").then_some("[]");
        let asked = [&nobody, &viewer, &operator].map(|desk| desk.ask(method, &at, body));
        let asked = futures_util::future::join_all(asked).await;
        let statuses: Vec<_> = asked.iter().map(|answer| answer.status).collect();
        let shut = statuses
            .iter()
            .take_while(|status| [401, 403].contains(*status))
            .count();
        let expected = ["open", "viewer", "operator"]
            .iter()
            .position(|role| role == who);
        assert_eq!(Some(shut), expected, "{method} {path}: {statuses:?}");
        for answer in &asked[shut..] {
            let missing = answer.text.contains("no such route") || answer.status == 405;
            assert!(!missing, "{method} {path}: {answer:?}");
        }
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin");
    let mut folders = vec![folder];
    let mut routes = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let code = std::fs::read_to_string(&path).unwrap();
            let words: String = code.split_whitespace().collect();
            for route in words.split(".route(\"").skip(1) {
                let route = route.split('"').next().unwrap();
                routes += 1;
                let named = rows.iter().any(|(_, path, _)| *path == route);
                assert!(
                    named,
                    "{}: docs/http.md does not name {route}",
                    path.display()
                );
            }
        }
    }
    assert!(routes > 10, "the routes are not found in the code");
    watchman.stop().await;
}
