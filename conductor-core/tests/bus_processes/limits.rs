//! More followers than the system tells of news.

use super::child::alone;
use super::kit::*;
use conductor_core::Step;

/// Notifiers of this process.
fn notifiers() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    targets.filter(|target| target.as_os_str() == "anon_inode:inotify").count()
}

#[test]
fn followers_share_what_tells_of_news_and_those_beyond_its_limit_look_often() {
    const FOLLOWERS: usize = 200;
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path());
    let mut followers: Vec<_> =
        (0..FOLLOWERS).map(|_| bus.follow(&Cursor::START, SOON).unwrap()).collect();
    assert!(notifiers() <= 16, "{} notifiers", notifiers());
    for follower in &mut followers {
        assert_eq!(follower.step().unwrap(), Step::Pending);
    }
    for body in ["1", "2"] {
        say(&bus, body);
        for follower in &mut followers {
            let Some(Ok(Event::Message(message))) = follower.next() else { panic!() };
            assert_eq!(message.body, body);
        }
    }
    drop(followers);
    assert_eq!(notifiers(), 0, "what nobody uses is closed");
}
