//! Limits that the keeper enforces.

use super::*;

#[test]
fn limits_end_the_run_with_their_reason() {
    let ms = |n| Some(Duration::from_millis(n));
    fn later(limit: Duration) -> Duration {
        limit + Duration::from_millis(200)
    }
    let silent = "sleep 1000";
    let chatty = "while :; do echo x; sleep 0.2; done";
    let once = "echo x >&2; sleep 1000";
    type Set = fn(&mut KeeperLimits, Option<Duration>);
    // The limit that must not strike is long, as a busy machine may be slow to write.
    let cases: [(&str, Set, Option<Reason>, u64); 6] = [
        (silent, |l, t| l.first_byte = t, Some(Reason::FirstByte), 150),
        (once, |l, t| (l.first_byte, l.total) = (t, t.map(later)), Some(Reason::Total), 20_000),
        (silent, |l, t| l.idle = t, Some(Reason::Idle), 150),
        (once, |l, t| l.idle = t, Some(Reason::Idle), 150),
        (chatty, |l, t| (l.idle, l.total) = (t, t.map(later)), Some(Reason::Total), 20_000),
        ("exit 0", |l, t| (l.idle, l.total, l.first_byte) = (t, t, t), Some(Reason::Exit), 60_000),
    ];
    std::thread::scope(|scope| {
        for (n, (script, set, reason, limit)) in cases.into_iter().enumerate() {
            scope.spawn(move || {
                let run = Run::fresh().limited(|l| set(l, ms(limit)));
                let begun = Instant::now();
                run.go(script);
                let (_, end) = run.end();
                assert_eq!(end.reason, reason, "case {n}");
                let early = reason == Some(Reason::Exit);
                assert!(early || begun.elapsed() >= Duration::from_millis(limit), "case {n}");
            });
        }
    });
}
