//! One process trades an account.

use vigia::app::App;

use crate::harness::{DANGER, Stage, adding};

#[actix::test]
async fn a_second_service_on_the_same_data_is_refused_and_told_by_whom() {
    let mut stage = Stage::set().await;
    let (alpha, _) = stage.guarded("alpha", adding()).await;
    let Err(refused) = App::start(&stage.settings, false).await else {
        panic!("a second service started");
    };
    let text = format!("{refused:#}");
    let holder = format!("pid {}", std::process::id());
    assert!(text.contains(&holder) && text.contains("host"), "{text}");
    stage.control.set_price(DANGER).unwrap();
    stage.done(&alpha).await;
    stage.stop().await;
    stage.start_again().await;
    assert_eq!(stage.effects(&alpha).len(), 1);
    stage.end().await;
}
