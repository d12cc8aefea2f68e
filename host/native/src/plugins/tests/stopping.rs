//! The end of a server: it waits for those who use a plugin, and for the plugin, and for neither for ever.

use super::*;

#[test]
fn a_stop_waits_for_the_threads_that_use_an_instance() {
    let (folder, plugins) = (Folder::new(), plugins());
    let (chain, made) = load(&plugins, &[plugin(&folder.plugin("a"), "1"), plugin(&folder.plugin("b"), "1")]);
    let ended = [0, 1].map(|number| told(made[number], || ()));
    std::thread::scope(|scope| {
        let plugins = &plugins;
        let stop = scope.spawn(move || plugins.stop_within(FOR_EVER));
        while !plugins.instances().is_empty() {
            std::thread::yield_now();
        }
        // A stop that did not wait would have ended it within this time, on most machines.
        assert!(ended[0].recv_timeout(Duration::from_millis(100)).is_err(), "it is used");
        drop(chain);
        stop.join().unwrap();
    });
    assert!(ended.iter().all(|ended| ended.try_recv() == Ok(())));
    assert!(plugins.thread.lock().is_none());
}

#[test]
fn a_stop_waits_for_nobody_for_ever() {
    let (folder, plugins) = (Folder::new(), plugins());
    let (chain, _) = load(&plugins, &[plugin(&folder.plugin("a"), "1")]);
    plugins.stop_within(Duration::ZERO);
    assert_eq!((chain.len(), plugins.instances().len()), (1, 0));
}

#[test]
fn a_stop_does_not_wait_for_ever_for_a_plugin_that_takes_its_time_to_end() {
    let (folder, plugins) = (Folder::new(), plugins());
    let (chain, made) = load(&plugins, &[plugin(&folder.plugin("a"), "1")]);
    drop(chain);
    let (sender, returns) = mpsc::channel::<()>();
    let ends = told(made[0], move || assert!(returns.recv_timeout(FOR_EVER).is_err()));
    let lines = introd_log::testing::logged(tracing::Level::ERROR, || plugins.stop_within(Duration::ZERO));
    assert_eq!(lines, ["ERROR a plugin's timer or end does not return; its thread is left behind"]);
    assert_eq!(ends.recv_timeout(FOR_EVER), Ok(()));
    drop(sender);
}

#[test]
fn dropping_the_plugins_ends_them() {
    let (folder, plugins) = (Folder::new(), plugins());
    let (chain, made) = load(&plugins, &[plugin(&folder.plugin("a"), "1")]);
    drop(chain);
    let state = Arc::clone(&plugins.state);
    drop(plugins);
    assert_eq!(made[0].calls(), ["destroy"]);
    // Nothing runs timers any more: this would not return otherwise.
    state.timers.run(&introd_liveness::Pulse::unwatched());
}

#[test]
fn timers_run_out_from_the_first_plugin_on() {
    let (folder, plugins) = (Folder::new(), plugins());
    let (_chain, made) = load(&plugins, &[plugin(&folder.plugin("a"), "1")]);
    let told = told(made[0], || ());
    let timer = made[0].extension::<introd_host_timer>(INTROD_EXT_TIMER);
    // SAFETY: the table is the host's.
    assert_ne!(unsafe { (timer.start.unwrap())(made[0].host, 0, 0, 7) }, 0);
    assert_eq!(told.recv_timeout(FOR_EVER), Ok(()));
    assert_eq!(made[0].calls(), ["timer 7"]);
}
