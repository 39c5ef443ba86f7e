//! Who is let in at the service's own HTTP.

use vigia::admin::Access;

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
