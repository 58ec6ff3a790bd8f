//! TLB figures of a result, and the `tlb` of a scenario.

use serde_json::Value;

use crate::place::Place;

const TRACE: &str = r#""trace": {"generate": {"duration": "6h", "classes": [{"preset": "general-mix", "every": "1m"}]}},
    "machine": {"memory": "8GiB", "start": {"aged": "month"}}, "allocators": ["per-prog", "pack-2m-fixed"]"#;

fn result(place: &Place, arguments: &[&str]) -> Value {
    let ended = place.run(&[&["run", "s.json", "--output", "-"], arguments].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).expect("the output is JSON")
}

fn figure(result: &Value, run: usize, name: &str) -> f64 {
    result["runs"][run]["tlb"][name].as_f64().unwrap_or_else(|| panic!("{name} of run {run}"))
}

#[test]
fn results_say_what_splits_cost_and_what_that_rests_on() {
    let place = Place::new();
    place.write("s.json", format!("{{{TRACE}}}"));
    let found = result(&place, &[]);
    assert_eq!((&found["tlb"]["cpu"], &found["tlb"]["workload"]), (&"icelake-sp".into(), &"web-server".into()));
    assert!(figure(&found, 0, "walks_per_1000") > figure(&found, 1, "walks_per_1000"));
    assert!(figure(&found, 0, "extra_walks_per_1000") > 1.0);
    let lost = ["lost_percent_least", "lost_percent", "lost_percent_most"].map(|name| figure(&found, 0, name));
    assert!(lost.is_sorted() && lost[0] > 0.0);
    // Both start on the same host with the same accesses.
    let start = |run: usize| &found["runs"][run]["tlb_series"][0];
    assert_eq!(start(0)["time_ns"], 0);
    let walks = [0, 1].map(|run| start(run)["extra_walks_per_1000"].as_f64().unwrap());
    assert!((walks[0] - walks[1]).abs() < 0.1, "{walks:?}");
    assert!((figure(&found, 1, "extra_walks_per_1000") - walks[1]).abs() < 0.1, "nothing was split by the trace");
    // A table for each split; and of each flush 4000 cycles of 3.7 billion.
    let counter = |run: usize, name: &str| found["runs"][run]["counters"][name].as_f64().unwrap();
    let seconds = figure(&found, 0, "time_ns") / 1e9;
    for run in [0, 1] {
        let tables = counter(run, "direct_map_page_table_pages") * 4096.0;
        assert_eq!(figure(&found, run, "split_table_bytes"), tables);
        let rate = (counter(run, "flush_tlb_all") + counter(run, "flush_tlb_pages")) / seconds;
        assert!((figure(&found, run, "flush_interrupts_per_second") / rate - 1.0).abs() < 1e-4 || rate == 0.0);
        let percent =
            ["flush_percent_least", "flush_percent", "flush_percent_most"].map(|name| figure(&found, run, name));
        for (percent, cycles) in percent.into_iter().zip([1000.0, 4000.0, 25_000.0]) {
            assert!((percent - 100.0 * rate * cycles / 3.7e9).abs() <= 1e-4 * percent, "{percent} {rate}");
        }
    }
    assert!(figure(&found, 0, "split_table_bytes") > 0.0 && figure(&found, 0, "flush_percent") > 0.0);
    let two = place.run(&["run", "s.json", "--output", "-", "--threads", "2"]).stdout;
    assert!(two == place.run(&["run", "s.json", "--output", "-", "--threads", "1"]).stdout);
    let table = place.run(&["run", "s.json"]).stdout;
    assert!(table.contains("page walks per") && table.contains("one icelake-sp core (native)"), "{table}");
}

#[test]
fn the_moments_of_the_figures_are_those_of_the_series() {
    let place = Place::new();
    place.write("s.json", format!("{{{TRACE}, \"sampling\": {{\"points\": 40}}}}"));
    let times = |result: &Value, series: &str| -> Vec<u64> {
        let moments = result["runs"][0][series].as_array().unwrap().iter();
        moments.map(|one| one["time_ns"].as_u64().unwrap()).collect()
    };
    for (samples, between) in [("0", 0..=0), ("8", 4..=8), ("20000", 40..=80)] {
        let found = result(&place, &["--set", &format!("tlb.samples={samples}")]);
        let (all, some) = (times(&found, "series"), times(&found, "tlb_series"));
        assert!(between.contains(&(some.len() - 2)), "{samples}: {some:?}");
        assert!(some.iter().all(|time| all.contains(time)), "{samples}: {some:?} of {all:?}");
        assert_eq!((some[0], some.last()), (0, all.last()));
        assert!(samples != "20000" || all == some);
        assert_eq!(found["runs"][0]["tlb"], *found["runs"][0]["tlb_series"].as_array().unwrap().last().unwrap());
    }
}

#[test]
fn figures_can_be_simulated_instead_of_estimated() {
    let place = Place::new();
    place.write("s.json", format!("{{{TRACE}}}"));
    let simulate = ["--set", "tlb.engine=simulate", "--set", "tlb.simulated_accesses=5000", "--set", "tlb.samples=2"];
    let (found, estimated) = (result(&place, &simulate), result(&place, &[]));
    assert_eq!((&found["tlb"]["engine"], &found["tlb"]["simulated_accesses"]), (&"simulate".into(), &5000.into()));
    assert_eq!(estimated["tlb"]["engine"], "estimate");
    assert!(
        estimated["tlb"].get("simulated_accesses").is_none()
            && estimated["runs"][0]["tlb"].get("beside_estimate").is_none()
    );
    for run in [0, 1] {
        let (walks, beside) = (figure(&found, run, "walks_per_1000"), &found["runs"][run]["tlb"]["beside_estimate"]);
        let of = |name: &str| beside[name].as_f64().unwrap();
        assert!((of("estimated_walks_per_1000") - figure(&estimated, run, "walks_per_1000")).abs() < 1e-9);
        let refills = 1000.0 * figure(&found, run, "refill_walks_per_second") / 30e6;
        assert!((walks - of("simulated_walks_per_1000") - refills).abs() < 0.01, "{walks} {beside} {refills}");
        // By chance 5000 accesses are off by no more than this, and so is the estimate.
        assert!((walks - of("estimated_walks_per_1000")).abs() < 60.0, "{walks} {beside}");
        // Other tools that flush cost nothing that the estimate has; BPF text has one figure only.
        assert_eq!(figure(&found, run, "text_walks_per_second"), figure(&estimated, run, "text_walks_per_second"));
        let most = figure(&found, run, "refill_walks_per_second_most");
        assert!((0.0..=most + 1.0).contains(&figure(&found, run, "refill_walks_per_second")));
    }
    assert!(figure(&found, 0, "extra_walks_per_1000") > figure(&found, 1, "extra_walks_per_1000") + 1.0);
    // The same accesses for all: before the trace, hosts differ by far less than two lists of accesses would.
    let start = [0, 1].map(|run| found["runs"][run]["tlb_series"][0]["walks_per_1000"].as_f64().unwrap());
    assert!((start[0] - start[1]).abs() < 1.0, "{start:?}");
    let run = |more: &[&str]| place.run(&[&["run", "s.json"], &simulate[..], more].concat()).stdout;
    assert!(run(&["--output", "-", "--threads", "2"]) == run(&["--output", "-", "--threads", "1"]));
    assert!(run(&["--output", "-", "--seed", "2"]) != run(&["--output", "-"]));
    let table = run(&[]).replace('\n', " ");
    assert!(table.contains("TLB: simulated (5000 accesses with the replay's flushes in between) for one"), "{table}");
    assert!(table.contains("The estimate is off by more than 2 %") || table.contains("The estimate agrees"), "{table}");
}

#[test]
fn some_programs_may_run_more_often_than_others() {
    let place = Place::new();
    place.write("s.json", format!("{{{TRACE}}}"));
    let often = ["--set", "tlb.text_runs_per_second=200000", "--set", "tlb.samples=0"];
    let hot = r#"tlb.text_runs={"hot_set": {"programs_percent": 10, "runs_percent": 90}}"#;
    let (uniform, hot) = (result(&place, &often), result(&place, &[&often[..], &["--set", hot]].concat()));
    assert_eq!(
        (&uniform["tlb"]["text_runs"], &hot["tlb"]["text_runs"]),
        (&"uniform".into(), &"90 % of runs in 10 % of programs".into())
    );
    let first = |result: &Value| figure(result, 0, "text_l1_misses_per_second");
    assert!(first(&hot) < 0.5 * first(&uniform), "what runs more often stays: {} {}", first(&hot), first(&uniform));
    let name = "text_walks_per_second";
    assert!(figure(&hot, 0, name) != figure(&uniform, 0, name));
    for result in [&uniform, &hot] {
        // One large page instead of a page for each program.
        assert!(figure(result, 1, name) < 0.5 * figure(result, 0, name));
        for run in [0, 1] {
            let first = figure(result, run, "text_l1_misses_per_second");
            assert!((figure(result, run, name)..=200_001.0).contains(&first), "{first}");
        }
    }
    // As often as was measured on a web server, text is next to nothing, hot set or not.
    for more in [&[][..], &["--set", r#"tlb.text_runs={"hot_set": {"programs_percent": 1, "runs_percent": 99}}"#]] {
        let found = result(&place, more);
        let (text, lost) = (figure(&found, 0, "text_walk_percent"), figure(&found, 0, "extra_lost_percent"));
        assert!(text > 0.0 && text < 0.01 && text < lost / 10.0, "{text} {lost}");
    }
}

#[test]
fn core_workload_and_platform_can_be_chosen() {
    let place = Place::new();
    let workload = r#"{"name": "mine", "accesses_per_second": 1000000, "classes": [{"name": "slab",
        "memory": "unmovable", "share_percent": 100, "working_set": "1GiB", "pattern": {"uniform": {}}}]}"#;
    let tlb = format!(r#""tlb": {{"cpu": "zen4", "workload": {workload}, "host": {{"guest": "4KiB"}}}}"#);
    place.write("s.json", format!("{{{TRACE}, {tlb}}}"));
    let found = result(&place, &[]);
    assert_eq!((&found["tlb"]["cpu"], &found["tlb"]["workload"]), (&"zen4".into(), &"mine".into()));
    assert_eq!(found["tlb"]["host"], "guest on pages of 4K");
    // Under a hypervisor with small pages the guest's large ones bring no reach.
    let walks = [0, 1].map(|run| figure(&found, run, "walks_per_1000"));
    assert!(walks[0] > 900.0 && walks[1] > 900.0, "{walks:?}");
}

#[test]
fn wrong_choices_are_named_with_their_place() {
    let place = Place::new();
    for (tlb, messages) in [
        (r#"{"cpu": "icelake-ps"}"#, &["there is no CPU `icelake-ps`", "tlb.cpu", "did you mean `icelake-sp`?"][..]),
        (r#"{"workload": "webserver"}"#, &["tlb.workload", "did you mean `web-server`?"]),
        (r#"{"cpus": "zen4"}"#, &["unknown key `cpus`", "did you mean `cpu`?"]),
        (r#"{"cpu": 4}"#, &["tlb.cpu"]),
        (r#"{"exposed_share": [0.5, 0.1, 1.0]}"#, &["tlb.exposed_share", "three ascending numbers from 0 to 1"]),
        (r#"{"host": {"guest": "3KiB"}}"#, &["tlb.host"]),
        (r#"{"flush_cycles": [2, 1, 3]}"#, &["tlb.flush_cycles", "three ascending numbers from 0 to 1e9"]),
        (r#"{"samples": 20001}"#, &["tlb.samples", "20001 is more than 20000 samples", "no series has more"]),
        (r#"{"samples": -1}"#, &["tlb.samples"]),
        (r#"{"engine": "simulated"}"#, &["unknown name `simulated`", "tlb.engine", "did you mean `simulate`?"]),
        (r#"{"engine": "exact"}"#, &["unknown name `exact`", "tlb.engine", "estimate", "simulate"]),
        (r#"{"engine": 1}"#, &["tlb.engine"]),
        (r#"{"text_runs": "unifrm"}"#, &["unknown name `unifrm`", "tlb.text_runs", "did you mean `uniform`?"]),
        (
            r#"{"text_runs": {"hot_set": {"programs_percent": 10, "runs_percent": 900}}}"#,
            &["900 is no percentage", "tlb.text_runs.hot_set.runs_percent", "from 0 to 100"],
        ),
        (
            r#"{"text_runs": {"hot_set": {"programs_percent": 0, "runs_percent": 90}}}"#,
            &["no program is hot", "tlb.text_runs.hot_set.programs_percent"],
        ),
        (r#"{"text_runs": {"hot_set": {"programs_percent": 10}}}"#, &["runs_percent"]),
        (
            r#"{"engine": "simulate", "simulated_accesses": 7}"#,
            &["7 accesses cannot be simulated", "tlb.simulated_accesses", "write from 1000 to 1000000000"],
        ),
        (
            r#"{"workload": {"name": "x", "accesses_per_second": 1, "classes": [{"name": "a", "memory": "movable",
                "share_percent": 60, "working_set": "1GiB", "pattern": {"uniform": {}}}]}}"#,
            &["the shares of the classes add up to 60, not to 100", "tlb.workload.classes"],
        ),
        (
            r#"{"cpu": {"name": "x", "structures": [{"name": "L1D", "level": 1, "pages": ["4K", "2M", "1G"],
                "entries": 64, "ways": 5}]}}"#,
            &["tlb.cpu.structures[0]"],
        ),
    ] {
        place.write("s.json", format!("{{{TRACE},\n \"tlb\": {tlb}}}"));
        let ended = place.run(&["run", "s.json"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{tlb}: {}", ended.stderr);
        for message in messages {
            assert!(ended.stderr.contains(message), "{tlb}: {}", ended.stderr);
        }
        assert!(ended.stderr.contains("s.json:"), "{}", ended.stderr);
    }
}
