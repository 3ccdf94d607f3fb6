//! Paused time: what takes minutes at a node takes none here.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

const BUDGET: Duration = Duration::from_secs(4);
const LEASE: Duration = Duration::from_secs(60);

fn gate(max_held: usize) -> Gate {
    Gate::new(GateLimits { hold_budget: BUDGET, max_held })
}

async fn admit(gate: &Gate, effect: Effect) -> Result<Permit, Refused> {
    gate.admit(effect, Instant::now() + BUDGET).await
}

/// Lets every task that can run do so.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn held_writes_wait_and_reads_go_on() {
    let gate = gate(10);
    let hold = gate.hold_writes(LEASE).await;
    let _read = admit(&gate, Effect::Read).await.unwrap();
    let writer = tokio::spawn({
        let gate = gate.clone();
        async move { admit(&gate, Effect::Write).await.map(drop) }
    });
    settle().await;
    assert_eq!(gate.status().held, 1);
    hold.release();
    writer.await.unwrap().unwrap();
    assert_eq!(gate.status().held, 0);
    assert_eq!(gate.status().writes_in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_is_held_no_longer_than_the_budget_from_its_own_arrival() {
    let gate = gate(10);
    let _hold = gate.hold_writes(LEASE).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let arrived = Instant::now();
    let refused = admit(&gate, Effect::Write).await.unwrap_err();
    assert_eq!(refused, Refused::BudgetSpent { budget: BUDGET });
    assert_eq!(gate.status().shed, 1);
    assert_eq!(arrived.elapsed(), BUDGET);
    assert_eq!(gate.status().held, 0);
}

#[tokio::test(start_paused = true)]
async fn more_than_may_be_held_are_refused_at_once() {
    let gate = gate(2);
    let hold = gate.hold_writes(LEASE).await;
    hold.hold_all();
    let held: Vec<_> = [Effect::Read, Effect::Write]
        .into_iter()
        .map(|effect| {
            let gate = gate.clone();
            tokio::spawn(async move { admit(&gate, effect).await.map(drop) })
        })
        .collect();
    settle().await;
    let arrived = Instant::now();
    let refused = admit(&gate, Effect::Read).await.unwrap_err();
    assert_eq!(refused, Refused::TooManyHeld { held: 2 });
    assert_eq!(gate.status().shed, 1);
    assert_eq!(arrived.elapsed(), Duration::ZERO);
    hold.release();
    for task in held {
        task.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_whose_holder_forgets_it_ends_with_its_lease() {
    let gate = gate(10);
    let hold = gate.hold_writes(Duration::from_secs(3)).await;
    let arrived = Instant::now();
    admit(&gate, Effect::Write).await.unwrap();
    assert!(arrived.elapsed() < Duration::from_millis(3100), "{:?}", arrived.elapsed());
    assert!(!hold.active());
    // Its late holder does not hold again, nor end what others do.
    hold.hold_all();
    assert_eq!(gate.status().phase, Phase::Open);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_hold_is_a_released_one() {
    let gate = gate(10);
    drop(gate.hold_writes(LEASE).await);
    admit(&gate, Effect::Write).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_the_held_kinds_alone() {
    let gate = gate(10);
    let read = admit(&gate, Effect::Read).await.unwrap();
    let write = admit(&gate, Effect::Write).await.unwrap();
    let hold = gate.hold_writes(LEASE).await;
    let second = Duration::from_secs(1);
    let stuck = hold.drain(second).await.unwrap_err();
    assert_eq!(stuck, DrainTimeout { after: second, reads: 1, writes: 1 });
    drop(write);
    hold.drain(second).await.unwrap();
    hold.hold_all();
    hold.drain(second).await.unwrap_err();
    drop(read);
    hold.drain(second).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_drain_hurries_the_held_kinds_after_half_the_hold_budget() {
    let gate = gate(10);
    let read = admit(&gate, Effect::Read).await.unwrap();
    let write = admit(&gate, Effect::Write).await.unwrap();
    let (slow_read, slow_write) = (read.hurried(), write.hurried());
    let writer = tokio::spawn(async move {
        slow_write.await;
        drop(write);
    });
    let hold = gate.hold_writes(LEASE).await;
    let begun = Instant::now();
    hold.drain(Duration::from_secs(10)).await.unwrap();
    assert_eq!(begun.elapsed(), BUDGET / 2);
    writer.await.unwrap();
    let cut = tokio::time::timeout(LEASE, slow_read).await;
    assert!(cut.is_err(), "a read was cut though reads were not held");
    drop(read);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_with_the_last_permit() {
    let gate = gate(10);
    let write = admit(&gate, Effect::Write).await.unwrap();
    let hold = gate.hold_writes(LEASE).await;
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(250)).await;
        drop(write);
    });
    let begun = Instant::now();
    hold.drain(LEASE).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_millis(250));
}

#[tokio::test(start_paused = true)]
async fn held_requests_go_in_the_order_of_their_arrival_spread_out_and_before_new_ones() {
    let gate = gate(1024);
    let hold = gate.hold_writes(LEASE).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..100 {
        let (gate, order) = (gate.clone(), Arc::clone(&order));
        tasks.push(tokio::spawn(async move {
            let permit = admit(&gate, Effect::Write).await.unwrap();
            order.lock().push(number);
            drop(permit);
        }));
        settle().await;
    }
    hold.release();
    settle().await;
    assert_eq!(order.lock().len(), RELEASE_BATCH);
    let permit = admit(&gate, Effect::Write).await.unwrap();
    assert_eq!(order.lock().len(), 100, "a new request overtook held ones");
    drop(permit);
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock(), (0..100).collect::<Vec<_>>());
    assert_eq!(gate.status().writes_in_flight, 0);
}

/// Holds so many requests, reads and writes in turn, and notes who was let through in which order.
async fn queue(
    gate: &Gate,
    count: usize,
) -> (Arc<Mutex<Vec<usize>>>, Vec<tokio::task::JoinHandle<()>>) {
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..count {
        let (gate, order) = (gate.clone(), Arc::clone(&order));
        let effect = if number.is_multiple_of(2) { Effect::Read } else { Effect::Write };
        tasks.push(tokio::spawn(async move {
            let permit = admit(&gate, effect).await.unwrap();
            order.lock().push(number);
            drop(permit);
        }));
        settle().await;
    }
    (order, tasks)
}

#[tokio::test(start_paused = true)]
async fn reads_and_writes_go_in_one_order_and_no_more_at_once_than_one_batch() {
    let gate = gate(1024);
    let hold = gate.hold_writes(LEASE).await;
    hold.hold_all();
    let count = 3 * RELEASE_BATCH + 1;
    let (order, tasks) = queue(&gate, count).await;
    assert_eq!(gate.status().held, count);
    hold.release();
    for pause in 1..=3 {
        settle().await;
        assert_eq!(order.lock().len(), pause * RELEASE_BATCH);
        tokio::time::advance(RELEASE_PAUSE / 2).await;
        settle().await;
        assert_eq!(order.lock().len(), pause * RELEASE_BATCH, "before the pause was over");
        tokio::time::advance(RELEASE_PAUSE).await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock(), (0..count).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_hold_amid_a_release_keeps_who_still_waits_in_its_place() {
    let gate = gate(1024);
    let hold = gate.hold_writes(LEASE).await;
    hold.hold_all();
    let (order, tasks) = queue(&gate, 2 * RELEASE_BATCH).await;
    hold.release();
    settle().await;
    let hold = gate.hold_writes(LEASE).await;
    hold.hold_all();
    tokio::time::advance(RELEASE_PAUSE * 10).await;
    settle().await;
    assert_eq!(order.lock().len(), RELEASE_BATCH, "let through a gate that is held");
    assert_eq!(gate.status().held, RELEASE_BATCH);
    hold.release();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock(), (0..2 * RELEASE_BATCH).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_gives_its_place_up() {
    let gate = gate(1);
    let hold = gate.hold_writes(LEASE).await;
    let left = tokio::time::timeout(Duration::from_millis(1), admit(&gate, Effect::Write));
    assert!(left.await.is_err());
    assert_eq!(gate.status().held, 0);
    hold.release();
    admit(&gate, Effect::Write).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_second_hold_waits_for_the_first() {
    let gate = gate(10);
    let first = gate.hold_writes(LEASE).await;
    let second = tokio::time::timeout(Duration::from_secs(1), gate.hold_writes(LEASE));
    assert!(second.await.is_err());
    first.release();
    gate.hold_writes(LEASE).await.release();
}

/// What is in flight, as the engine would see it.
#[derive(Default)]
struct Seen {
    reads: AtomicUsize,
    writes: AtomicUsize,
    /// Clients that have come through at least once.
    clients: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_of_what_is_held_and_drained_is_ever_in_flight() {
    let gate = gate(1024);
    let seen = Arc::new(Seen::default());
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for number in 0..16 {
        let (gate, seen, stop) = (gate.clone(), Arc::clone(&seen), Arc::clone(&stop));
        clients.push(tokio::spawn(async move {
            let mut begun = false;
            while !stop.load(Ordering::SeqCst) {
                let (effect, counter) = match number % 2 {
                    0 => (Effect::Read, &seen.reads),
                    _ => (Effect::Write, &seen.writes),
                };
                let permit = admit(&gate, effect).await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                counter.fetch_sub(1, Ordering::SeqCst);
                drop(permit);
                if !std::mem::replace(&mut begun, true) {
                    seen.clients.fetch_add(1, Ordering::SeqCst);
                }
            }
        }));
    }
    // On a busy machine some would first be scheduled after the last hold.
    while seen.clients.load(Ordering::SeqCst) < clients.len() {
        tokio::task::yield_now().await;
    }
    for _ in 0..200 {
        let hold = gate.hold_writes(LEASE).await;
        hold.drain(LEASE).await.unwrap();
        for _ in 0..10 {
            assert_eq!(seen.writes.load(Ordering::SeqCst), 0);
            tokio::task::yield_now().await;
        }
        hold.hold_all();
        hold.drain(LEASE).await.unwrap();
        for _ in 0..10 {
            let both = (seen.reads.load(Ordering::SeqCst), seen.writes.load(Ordering::SeqCst));
            assert_eq!(both, (0, 0));
            tokio::task::yield_now().await;
        }
        hold.release();
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    let status = gate.status();
    assert_eq!((status.reads_in_flight, status.writes_in_flight, status.held), (0, 0, 0));
}
