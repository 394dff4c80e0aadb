use super::*;
use crate::kubernetes::fixtures::FakeApi;

const HOME: &str = "lazymesh-system";

async fn acquire(client: &Client, holder: &str) -> Result<Lease, KubernetesError> {
    Lease::acquire(client, HOME, holder.to_owned()).await
}

fn holder(api: &FakeApi) -> String {
    let live = api.get("leases", &format!("{HOME}/{NAME}"));
    let live = live.expect("a Lease");
    let holder = live["spec"]["holderIdentity"].as_str();
    holder.unwrap_or_default().to_owned()
}

fn is_held(outcome: Result<Lease, KubernetesError>, by: &str) -> bool {
    let error = outcome.map(|_| ()).expect_err("a refusal");
    matches!(&error, KubernetesError::Held { holder, .. } if holder == by)
}

#[tokio::test(start_paused = true)]
async fn a_second_collector_refuses_while_the_first_lives() {
    let (api, client) = FakeApi::start();
    let first = acquire(&client, "first").await.expect("it is free");
    tokio::select! {
        error = first.keep() => panic!("{error}"),
        second = acquire(&client, "second") => assert!(is_held(second, "first")),
    }
    assert_eq!(holder(&api), "first");
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_collector_held_is_free_after_a_while() {
    let (api, client) = FakeApi::start();
    drop(acquire(&client, "first").await.expect("it is free"));
    let before = Instant::now();
    acquire(&client, "second").await.expect("nobody renews it");
    assert!(before.elapsed() >= DURATION);
    assert_eq!(holder(&api), "second");
}

#[tokio::test(start_paused = true)]
async fn what_is_released_or_one_s_own_is_free_at_once() {
    let (api, client) = FakeApi::start();
    let first = acquire(&client, "first").await.expect("it is free");
    let before = Instant::now();
    acquire(&client, "first").await.expect("it is its own");
    first.release().await;
    assert_eq!(holder(&api), "");
    acquire(&client, "second").await.expect("it is free");
    assert!(before.elapsed() < LOOK);
}

#[tokio::test(start_paused = true)]
async fn who_has_lost_it_ends() {
    let (api, client) = FakeApi::start();
    let first = acquire(&client, "first").await.expect("it is free");
    let mut stolen = api.get("leases", &format!("{HOME}/{NAME}")).expect("there");
    stolen["spec"]["holderIdentity"] = json!("thief");
    api.put("leases", stolen);
    let lost = first.keep().await;
    assert!(matches!(lost, KubernetesError::Held { .. }), "{lost}");
    first.release().await;
    assert_eq!(holder(&api), "thief", "it is not the first's to release");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_deleted_is_made_anew() {
    let (api, client) = FakeApi::start();
    let first = acquire(&client, "first").await.expect("it is free");
    api.delete("leases", &format!("{HOME}/{NAME}"));
    first.renew().await.expect("renewed");
    assert_eq!(holder(&api), "first");
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_does_not_serve_yet_is_waited_for() {
    let (api, client) = FakeApi::start();
    api.set_unknown("leases", true);
    let later = async {
        sleep(DURATION).await;
        api.set_unknown("leases", false);
    };
    let (taken, ()) = tokio::join!(acquire(&client, "first"), later);
    taken.expect("it is free");
    assert_eq!(holder(&api), "first");
}
