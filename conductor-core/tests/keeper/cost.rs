//! What a keeper costs.

use super::*;

#[test]
fn small() {
    assert!(keeper_bytes().len() < 20 << 10, "{}", keeper_bytes().len());
    let run = Run::fresh();
    let fifo = run.fifo();
    let born = run.go("echo up >$DIR/fifo; read x <$DIR/fifo");
    lines(&fifo, 1);
    let kib = |key: &str| {
        let status = fs::read_to_string(format!("/proc/{}/status", born.keeper.pid)).unwrap();
        let line = status.lines().find(|l| l.starts_with(key)).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let (rss, anon) = (kib("VmRSS"), kib("RssAnon"));
    println!("file {} B, RSS {rss} KiB of which {anon} KiB its own", keeper_bytes().len());
    assert!(rss <= 64, "{rss}");
    fs::write(&fifo, "end\n").unwrap();
    run.end();
}

/// Prints figures: `cargo test --release -- --ignored --nocapture --exact cost::cost`.
#[test]
#[ignore = "figures"]
fn cost() {
    const N: usize = 500;
    let median = |mut f: Box<dyn FnMut()>| {
        let mut times: Vec<_> = (0..N)
            .map(|_| {
                let t = Instant::now();
                f();
                t.elapsed()
            })
            .collect();
        times.sort();
        (times[N / 2], times[N * 95 / 100])
    };
    let spawn = median(Box::new(|| {
        let mut pid = 0;
        let argv = [c"/bin/true".as_ptr().cast_mut(), ptr().cast()];
        let (path, null) = (argv[0], std::ptr::null());
        unsafe {
            let r = libc::posix_spawn(
                &mut pid,
                path,
                null,
                null.cast(),
                argv.as_ptr(),
                argv.as_ptr().add(1),
            );
            assert_eq!(r, 0);
            libc::waitpid(pid, ptr(), 0);
        }
    }));
    println!("posix_spawn /bin/true + wait: median {:?} p95 {:?}", spawn.0, spawn.1);
    let image = sys::spawn::memfd_image().unwrap();
    for memfd in [false, true] {
        let mut starts = Vec::new();
        let mut borns = Vec::new();
        let mut releases = Vec::new();
        for _ in 0..N {
            let run = Run::fresh();
            let image = if memfd {
                KeeperImage::Memfd(image.as_fd())
            } else {
                KeeperImage::Path(&run.image)
            };
            let t = Instant::now();
            let mut control = run.start_program(image, "/bin/true", &[]);
            starts.push(t.elapsed());
            control.born().unwrap();
            borns.push(t.elapsed());
            control.release().unwrap();
            releases.push(t.elapsed());
            run.end();
        }
        for (name, v) in [("start", &mut starts), ("born", &mut borns), ("released", &mut releases)]
        {
            v.sort();
            println!("memfd={memfd} {name}: median {:?} p95 {:?}", v[N / 2], v[N * 95 / 100]);
        }
    }
}
